"""Control groups of pods on a real node: what they are given, that memory ends there, and that none is left."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest

from picluster.api.meta import condition_is
from picluster.api.resources import PODS
from picluster_agent.cgroups import groups, hierarchy, names, usage
from picluster_agent.cgroups.hierarchy import Hierarchy
from picluster_agent.cgroups.values import GroupLimits

pytestmark = [pytest.mark.lab]

MIB = 1024**2


def ready(pod: dict[str, Any]) -> bool:
    return condition_is(pod, "Ready")


def tree(node: Any) -> Hierarchy:
    found = hierarchy.find(root=f"{node.link.bridge}/kubepods")
    assert found is not None
    return found


def left(node: Any) -> list[str]:
    """Groups of pods that are there."""
    found = tree(node)
    return [one for quality in names.CLASSES for one in groups.children(found, names.of_class(found, quality), "pod")]


def container_id(pod: dict[str, Any], index: int = 0) -> str:
    return str(pod["status"]["containerStatuses"][index]["containerID"]).removeprefix("podman://")


async def test_pods_have_groups_by_their_class_which_go_with_them(shared_node: Any, make_pod: Any, box: Any) -> None:
    node, found = shared_node, tree(shared_node)
    sure = {kind: {"cpu": "100m", "memory": "32Mi"} for kind in ("requests", "limits")}
    whole = {"limits": {"cpu": "300m", "memory": "48Mi"}, "requests": {"cpu": "200m", "memory": "16Mi"}}
    await node.run(make_pod("sure", box(resources=sure)))
    await node.run(make_pod("burst", box("a", resources={"requests": {"cpu": "250m"}}), box("b")))
    await node.run(make_pod("whole", box("a"), box("b"), resources=whole))
    await node.run(make_pod("best"))
    pods = {name: await node.when(name, ready) for name in ("sure", "burst", "whole", "best")}
    expected = {
        "sure": ("Guaranteed", GroupLimits(None, 10_000, 32 * MIB, 2048)),
        "burst": ("Burstable", GroupLimits(None, -1, -1, 2048)),
        "whole": ("Burstable", GroupLimits(None, 30_000, 48 * MIB, 2048)),
        "best": ("BestEffort", GroupLimits(None, -1, -1, 2048)),
    }
    for name, (quality, limits) in expected.items():
        group = names.of_pod(found, pods[name]["metadata"]["uid"], quality)
        assert groups.current(found, group) == limits, name
        assert pods[name]["status"]["qosClass"] == quality
        inner = names.of_container(found, group, container_id(pods[name]))
        assert inner is not None and inner.startswith(group), name
        used = usage.of_container(found, pods[name]["metadata"]["uid"], container_id(pods[name]))
        assert used is not None and used.processes == 1 and used.memory_bytes > 0
    whole_group = names.find_pod(found, pods["whole"]["metadata"]["uid"])
    group = names.of_container(found, whole_group, container_id(pods["whole"]))
    assert group is not None and groups.current(found, group).memory_bytes == 48 * MIB
    assert pods["whole"]["status"]["allocatedResources"] == whole["requests"]
    if found.version == 2:
        assert found.read("memory", group, "memory.oom.group") == "1"
        assert found.read("memory", group, "memory.swap.max") in ("0", "")
    if found.version == 1:
        shares = {name: found.read("cpu", group, "cpu.shares") for name, group in _classes(found).items()}
        assert shares["BestEffort"] == "2"
        assert int(shares["Burstable"]) >= (250 + 200) * 1024 // 1000
    for name in pods:
        await node.client.delete(PODS, name, namespace="default", grace_period_s=0)
    for name in pods:
        await node.gone(name)

    async def none_left() -> bool:
        return not {f"pod{pod['metadata']['uid']}" for pod in pods.values()} & set(left(node))

    await node.eventually(none_left, "the groups to be gone")


def _classes(found: Hierarchy) -> dict[str, str]:
    return {quality: names.of_class(found, quality) for quality in names.CLASSES}


async def test_memory_ends_at_the_limit_and_the_container_is_said_to_be_killed(
    shared_node: Any, make_pod: Any, box: Any
) -> None:
    words = ("dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1")
    eat = box("web", *words, resources={"limits": {"memory": "8Mi"}})
    await shared_node.run(make_pod("eats", eat, restartPolicy="Never"))
    pod = await shared_node.when("eats", lambda pod: pod["status"]["phase"] == "Failed")
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


async def test_no_group_is_left_when_the_agent_or_the_power_was_away(node: Any, make_pod: Any, box: Any) -> None:
    await node.run(make_pod("stays"))
    await node.run(make_pod("goes"))
    stays, goes = [await node.when(name, ready) for name in ("stays", "goes")]
    assert set(left(node)) == {f"pod{pod['metadata']['uid']}" for pod in (stays, goes)}
    stray = names.of_pod(tree(node), "of-nobody", "Burstable")
    groups.create(tree(node), stray)
    node.stop(signal.SIGKILL)
    await node.client.delete(PODS, "goes", namespace="default", grace_period_s=0)
    began_s = time.monotonic()
    node.start()

    async def only_one() -> bool:
        return set(left(node)) == {f"pod{stays['metadata']['uid']}"}

    await node.eventually(only_one, "the others' groups to be gone")
    assert time.monotonic() - began_s < 10.0
    assert container_id(await node.get("stays")) == container_id(stays)

    node.stop(signal.SIGKILL)
    node.cut_power()
    groups.remove(tree(node), node.link.bridge, kill=True)
    node.start()
    pod = await node.when("stays", lambda pod: ready(pod) and container_id(pod) != container_id(stays))
    assert set(left(node)) == {f"pod{pod['metadata']['uid']}"}
    await node.client.delete(PODS, "stays", namespace="default", grace_period_s=0)
    await node.gone("stays")

    async def none_left() -> bool:
        return not left(node)

    await node.eventually(none_left, "the groups to be gone")
