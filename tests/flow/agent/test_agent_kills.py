"""The agent killed at random moments while pods come and go: nothing runs twice, nothing is left, nobody is hurt.

``PICLUSTER_AGENT_KILLS=200`` is the bar; the default is what a test run has time for. The seed of the moments is in
every failure; ``PICLUSTER_SEED`` repeats them.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from typing import Any

import pytest

from picluster.api.meta import condition_is
from picluster.api.resources import PODS
from picluster_agent import kernel

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]

KILLS = int(os.environ.get("PICLUSTER_AGENT_KILLS", "8"))
SEED = int(os.environ.get("PICLUSTER_SEED", random.randrange(2**32)))
PODS_MAX = 8
CHANGES = (2, 4)
LIFE_S = (0.1, 2.5)
SETTLED_S = 60.0
ENDLESS = {"exec": {"command": ["sleep", "4321"]}, "periodSeconds": 1, "timeoutSeconds": 5000}


def pod(make_pod: Any, box: Any, name: str) -> dict[str, Any]:
    """One that uses what can be left behind: an init container, volumes on disk and in memory, two containers."""
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("disk", "memory", "config")] + [
        {"name": "disk", "mountPath": "/part", "subPath": "part"}
    ]
    volumes = [
        {"name": "disk", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
        {"name": "config", "configMap": {"name": "kube-root-ca.crt"}},
    ]
    return dict(
        make_pod(
            name,
            box("a", "sleep", "10000", volumeMounts=mounts),
            box("b", "sleep", "10000"),
            initContainers=[box("init", "true")],
            volumes=volumes,
            terminationGracePeriodSeconds=0,
        )
    )


def doubled(node: Any) -> list[tuple[str, str]]:
    """Containers of which two run."""
    running = Counter(
        (one["Labels"]["io.kubernetes.pod.uid"], one["Labels"]["io.kubernetes.container.name"])
        for one in node.podman.containers()
        if one["State"] == "running"
    )
    return [name for name, count in running.items() if count > 1]


def left(node: Any) -> list[str]:
    """What pods have left on the node: containers, mounts, directories, control groups, addresses."""
    found = [f"container {one['Names'][0]}" for one in node.podman.containers()]
    found += [f"mount {point}" for point in kernel.mount_points(node.root)]
    for place in ("data/pods", "run/pods"):
        found += [f"directory {one}" for one in (node.root / place).iterdir()]
    found += [f"pid file {one}" for one in (node.root / "run" / "commands").iterdir()]
    found += [f"address {one}" for one in (node.root / "run" / "cni" / "addresses").glob("*/10.*")]
    return [*found, *(f"control group {one}" for one in control_groups(node.uids))]


def control_groups(uids: set[str]) -> list[str]:
    """Those named after a pod; others come and go while they are walked."""
    names = {form.format(uid) for uid in uids for form in ("pod{}", "pod{}.slice")}
    names |= {name.replace("-", "_") for name in names}
    return [place for place, _, _ in os.walk("/sys/fs/cgroup") if any(place.endswith(name) for name in names)]


async def settle(node: Any, wanted: set[str]) -> None:
    async def ready() -> bool:
        page = await node.client.list(PODS, namespace="default")
        return {one["metadata"]["name"] for one in page["items"] if condition_is(one, "Ready")} == wanted

    await node.eventually(ready, f"seed {SEED}: {len(wanted)} pods to be Ready", SETTLED_S)


async def test_an_agent_that_is_killed_again_and_again(node: Any, make_pod: Any, box: Any) -> None:
    chance = random.Random(SEED)
    node.uids = set()
    kept = pod(make_pod, box, "keeper")
    kept["spec"]["containers"][0]["livenessProbe"] = ENDLESS
    await node.run(kept)
    keeper = (await node.when("keeper", lambda one: condition_is(one, "Ready")))["status"]["containerStatuses"]
    alive, number = set[str](), 0
    for kill in range(KILLS):
        for _ in range(chance.randint(*CHANGES)):
            if alive and (len(alive) >= PODS_MAX or chance.random() < 0.5):
                name = chance.choice(sorted(alive))
                alive.remove(name)
                await node.client.delete(PODS, name, namespace="default")
            else:
                alive.add(f"churn-{number}")
                made = await node.run(pod(make_pod, box, f"churn-{number}"))
                node.uids.add(made["metadata"]["uid"])
                number += 1
        await asyncio.sleep(chance.uniform(*LIFE_S))
        node.stop(signal.SIGKILL)
        assert not doubled(node), f"seed {SEED}, kill {kill}"
        node.start()
    await settle(node, {*alive, "keeper"})
    assert not doubled(node), f"seed {SEED}"
    after = (await node.get("keeper"))["status"]["containerStatuses"]
    assert [(one["containerID"], one["restartCount"]) for one in after] == [
        (one["containerID"], 0) for one in keeper
    ], f"seed {SEED}: a container that had nothing to do with it was replaced"
    asking = node.podman.podman("top", keeper[0]["containerID"].removeprefix("podman://"), "args").count("sleep 4321")
    assert asking <= 1, f"seed {SEED}: {asking} probes ask at one time"
    for name in (*alive, "keeper"):
        await node.client.delete(PODS, name, namespace="default")

    async def nothing() -> bool:
        return not (await node.client.list(PODS, namespace="default"))["items"] and not left(node)

    try:
        await node.eventually(nothing, f"seed {SEED}: nothing to be left", SETTLED_S)
    except pytest.fail.Exception as failure:
        pytest.fail(f"{left(node)}\n{failure}")
