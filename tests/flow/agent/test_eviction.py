"""Pods that are turned away or taken off by their node, and what is left of them."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from picluster.api.meta import condition_is, get_condition
from picluster.api.resources import PODS

pytestmark = [pytest.mark.lab]


def ready(pod: dict[str, Any]) -> bool:
    return condition_is(pod, "Ready")


def failed(pod: dict[str, Any]) -> bool:
    return bool(pod["status"].get("phase") == "Failed")


async def test_a_node_short_of_memory_evicts_the_greediest_and_takes_no_best_effort_pods(
    node: Any, make_pod: Any, box: Any
) -> None:
    fill = box("fill", "sh", "-c", "dd if=/dev/zero of=/mem/f bs=1M count=24; sleep 1000")
    fill["volumeMounts"] = [{"name": "mem", "mountPath": "/mem"}]
    fill["resources"] = {"requests": {"memory": "4Mi"}}
    memory = [{"name": "mem", "emptyDir": {"medium": "Memory"}}]
    fill["readinessProbe"] = {"exec": {"command": ["sh", "-c", "ls /mem/f"]}, "periodSeconds": 1}
    await node.run(make_pod("greedy", fill, volumes=memory))
    await node.run(make_pod("vital", priorityClassName="system-node-critical"))
    for name in ("greedy", "vital"):
        await node.when(name, ready)
    node.settings["eviction_hard"] = {"memory.available": "99%"}
    node.stop(signal.SIGKILL)
    node.start()
    pod = await node.when("greedy", failed)
    status = pod["status"]
    assert status["reason"] == "Evicted"
    assert status["message"].startswith("The node was low on resource: memory. Threshold quantity: ")
    assert "Container fill was using " in status["message"]
    assert "request is 4Mi, has larger consumption of memory. " in status["message"]
    target = get_condition(pod, "DisruptionTarget")
    assert (target["status"], target["reason"], target["message"]) == (
        "True",
        "TerminationByKubelet",
        status["message"],
    )
    await node.event("greedy", "Evicted", "The node was low on resource: memory.")

    async def pressed() -> Any:
        found = await node.registered()
        return found if found and condition_is(found, "MemoryPressure") else None

    found = await node.eventually(pressed, "the node to be under memory pressure")
    assert get_condition(found, "MemoryPressure")["reason"] == "KubeletHasInsufficientMemory"
    late = make_pod("late", tolerations=[{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}])
    await node.run(late)
    pod = await node.when("late", failed)
    assert pod["status"]["reason"] == "Evicted"
    assert pod["status"]["message"] == "Pod was rejected: The node had condition: [MemoryPressure]. "
    assert "containerStatuses" not in pod["status"] and "startTime" not in pod["status"]
    assert ready(await node.get("vital"))


async def test_pods_that_use_more_of_the_disk_than_they_may_are_evicted(
    shared_node: Any, make_pod: Any, box: Any
) -> None:
    node = shared_node
    spill = "dd if=/dev/zero of={} bs=1M count=3; sleep 1000"
    full = box("web", "sh", "-c", spill.format("/data/f"), volumeMounts=[{"name": "data", "mountPath": "/data"}])
    volumes = [{"name": "data", "emptyDir": {"sizeLimit": "1Mi"}}]
    layer = box("web", "sh", "-c", spill.format("/f"), resources={"limits": {"ephemeral-storage": "2Mi"}})
    await node.run(make_pod("full", full, volumes=volumes))
    await node.run(make_pod("layer", layer))
    pod = await node.when("full", failed, 40.0)
    assert pod["status"]["reason"] == "Evicted"
    assert pod["status"]["message"] == 'Usage of EmptyDir volume "data" exceeds the limit "1Mi". '
    assert get_condition(pod, "DisruptionTarget") is None
    pod = await node.when("layer", failed, 40.0)
    assert pod["status"]["message"] == ("Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. ")


async def test_pods_that_do_not_fit_are_turned_away_and_stay_so(node: Any, make_pod: Any, box: Any) -> None:
    node.settings["max_pods"] = 3
    node.stop()
    node.start()
    await node.eventually(node.registered, "the node to be Ready")
    await node.run(make_pod("runs"))
    await node.when("runs", ready)
    cases = {
        "big": (make_pod("big", box(resources={"requests": {"cpu": "1k"}})), "OutOfcpu", "requested: 1000000, used: 0"),
        "far": (make_pod("far", nodeSelector={"no": "where"}), "NodeAffinity", "Predicate NodeAffinity failed: "),
        "tuned": (
            make_pod("tuned", securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}),
            "SysctlForbidden",
            'forbidden sysctl: "kernel.msgmax" not allowlisted',
        ),
    }
    for name, (pod, reason, message) in cases.items():
        await node.run(pod)
        refused = await node.when(name, failed)
        assert refused["status"]["reason"] == reason
        assert message in refused["status"]["message"]
        assert refused["status"]["message"].startswith("Pod was rejected: ")
        event = await node.event(name, reason, message)
        assert event["type"] == "Warning" and not event["message"].startswith("Pod was rejected")
    node.stop(signal.SIGKILL)
    node.start()
    await node.eventually(node.registered, "the node to be Ready")
    await node.run(make_pod("second"))
    await node.when("second", ready)
    assert ready(await node.get("runs"))
    for name in cases:
        assert failed(await node.get(name))
        await node.client.delete(PODS, name, namespace="default")
        await node.gone(name)
