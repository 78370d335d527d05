"""Pods that get other resources while they run (KEP-1287), on a real node's control groups."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from picluster.api.meta import condition_is, get_condition
from picluster.api.resources import PODS
from picluster.client import PatchType
from picluster_agent.cgroups import groups, hierarchy, names
from picluster_agent.cgroups.values import GroupLimits

pytestmark = [pytest.mark.lab]

MIB = 1024**2


def limits(cpu: str, memory: str, **requests: str) -> dict[str, Any]:
    amounts = {"cpu": cpu, "memory": memory}
    return {"limits": amounts, "requests": {**amounts, **requests}}


def memory(limit: str) -> dict[str, Any]:
    return {"limits": {"memory": limit}, "requests": {"memory": "1Mi"}}


def given(node: Any, pod: dict[str, Any], name: str = "") -> GroupLimits:
    """What the kernel has for the pod, or for one of its containers."""
    tree = hierarchy.find(root=f"{node.link.bridge}/kubepods")
    assert tree is not None
    group = names.find_pod(tree, pod["metadata"]["uid"])
    assert group is not None
    if name:
        group = names.of_container(tree, group, container(pod, name)["containerID"].removeprefix("podman://"))
        assert group is not None
    return groups.current(tree, group)


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    everyone = [*pod["status"].get("initContainerStatuses", ()), *pod["status"].get("containerStatuses", ())]
    return next(one for one in everyone if one["name"] == name)


async def resize(node: Any, name: str, **containers: dict[str, Any]) -> dict[str, Any]:
    patch = {"spec": {"containers": [{"name": key, "resources": one} for key, one in containers.items()]}}
    resized = await node.client.patch(
        PODS, name, patch, namespace="default", kind=PatchType.STRATEGIC, subresource="resize"
    )
    return dict(resized)


def settled(pod: dict[str, Any]) -> bool:
    """Whether the agent has seen the newest specification and done what it asks for."""
    kinds = ("PodResizePending", "PodResizeInProgress")
    current = pod["status"].get("observedGeneration") == pod["metadata"]["generation"]
    return current and not any(get_condition(pod, kind) for kind in kinds)


def ready(pod: dict[str, Any]) -> bool:
    return condition_is(pod, "Ready")


async def test_running_containers_are_resized_in_place_and_restarted_where_they_want_it(
    shared_node: Any, make_pod: Any, box: Any
) -> None:
    node = shared_node
    restart = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    pod = make_pod(
        "sized",
        box("one", resources=limits("100m", "20Mi")),
        box("two", resources=limits("100m", "20Mi")),
        box("three", resources=limits("200m", "40Mi"), resizePolicy=restart),
    )
    await node.run(pod)
    pod = await node.when("sized", ready)
    assert given(node, pod) == GroupLimits(None, 40_000, 80 * MIB, 2048)
    assert given(node, pod, "one").memory_bytes == 20 * MIB

    await resize(node, "sized", one=limits("150m", "30Mi"), two=limits("150m", "30Mi"), three=limits("50m", "40Mi"))
    pod = await node.when("sized", settled)
    assert given(node, pod) == GroupLimits(None, 35_000, 100 * MIB, 2048)
    wanted = {"one": (15_000, 30), "two": (15_000, 30), "three": (5_000, 40)}
    for name, (quota_us, memory_mib) in wanted.items():
        found = given(node, pod, name)
        assert (found.cpu_quota_us, found.memory_bytes) == (quota_us, memory_mib * MIB), name
    one = container(pod, "one")
    assert one["resources"] == limits("150m", "30Mi")
    assert one["allocatedResources"] == {"cpu": "150m", "memory": "30Mi"}
    assert [container(pod, name)["restartCount"] for name in wanted] == [0, 0, 0]
    await node.event("sized", "ResizeStarted", '"generation":2')
    completed = await node.event("sized", "ResizeCompleted", "Pod resize completed: ")
    assert '{"name":"one","resources":{"limits":{"cpu":"150m","memory":"30Mi"}' in completed["message"]

    await resize(node, "sized", three=limits("50m", "25Mi"))
    pod = await node.when("sized", lambda pod: settled(pod) and container(pod, "three")["restartCount"] == 1)
    assert given(node, pod, "three").memory_bytes == 25 * MIB
    assert container(pod, "three")["resources"] == limits("50m", "25Mi")
    await node.event("sized", "Killing", "Container three resize requires restart")
    assert container(pod, "one")["restartCount"] == 0
    await node.client.delete(PODS, "sized", namespace="default", grace_period_s=0)
    await node.gone("sized")


async def test_what_the_node_cannot_grant_is_refused_or_waits_also_for_an_agent_that_starts_anew(
    node: Any, make_pod: Any, box: Any
) -> None:
    node.settings["system_reserved"] = {"cpu": "1"}
    node.stop()
    node.start()
    whole_milli = 1000 * (await processors(node)) - 1000
    big = {"requests": {"cpu": f"{whole_milli - 200}m"}}
    await node.run(make_pod("small", box(resources={"requests": {"cpu": "100m"}})))
    await node.run(make_pod("big", box(resources=big)))
    for name in ("small", "big"):
        await node.when(name, ready)

    await resize(node, "small", web={"requests": {"cpu": f"{whole_milli + 1}m"}})
    pod = await node.when("small", lambda pod: get_condition(pod, "PodResizePending"))
    pending = get_condition(pod, "PodResizePending")
    assert (pending["reason"], pending["observedGeneration"]) == ("Infeasible", 2)
    message = f"Node didn't have enough capacity: cpu, requested: {whole_milli + 1}, capacity: {whole_milli}"
    assert pending["message"] == message
    await node.event("small", "ResizeInfeasible", message)

    await resize(node, "small", web={"requests": {"cpu": "300m"}})
    pod = await node.when(
        "small", lambda pod: (get_condition(pod, "PodResizePending") or {}).get("reason") == "Deferred"
    )
    message = (
        f"Node didn't have enough resource: cpu, requested: 300, used: {whole_milli - 200}, capacity: {whole_milli}"
    )
    assert get_condition(pod, "PodResizePending")["message"] == message
    await node.event("small", "ResizeDeferred", message)
    assert container(pod, "web")["allocatedResources"] == {"cpu": "100m"}

    node.stop(signal.SIGKILL)
    node.start()
    await node.eventually(node.registered, "the node to be Ready")
    pod = await node.get("small")
    assert container(pod, "web")["allocatedResources"] == {"cpu": "100m"}
    assert get_condition(pod, "PodResizePending")["reason"] == "Deferred"

    await node.client.delete(PODS, "big", namespace="default", grace_period_s=0)
    pod = await node.when("small", settled)
    assert container(pod, "web")["allocatedResources"] == {"cpu": "300m"}
    assert container(pod, "web")["restartCount"] == 0


async def processors(node: Any) -> int:
    found = await node.eventually(node.registered, "the node to be Ready")
    return int(found["status"]["capacity"]["cpu"])


async def test_memory_in_use_is_not_taken_away(shared_node: Any, make_pod: Any, box: Any) -> None:
    node = shared_node
    fill = "dd if=/dev/zero of=/mem/f bs=1M count=24; sleep 1000"
    web = box("web", "sh", "-c", fill, resources=memory("64Mi"))
    web["volumeMounts"] = [{"name": "mem", "mountPath": "/mem"}]
    web["readinessProbe"] = {"exec": {"command": ["stat", "/mem/f"]}, "periodSeconds": 1}
    await node.run(make_pod("full", web, volumes=[{"name": "mem", "emptyDir": {"medium": "Memory"}}]))
    await node.when("full", ready)
    await resize(node, "full", web=memory("16Mi"))
    pod = await node.when(
        "full", lambda pod: (get_condition(pod, "PodResizeInProgress") or {}).get("reason") == "Error"
    )
    said = get_condition(pod, "PodResizeInProgress")["message"]
    assert said.startswith(f"cannot decrease memory limits: [attempting to set pod memory limit ({16 * MIB}) below")
    assert f'attempting to set container "web" memory limit ({16 * MIB}) below current usage (' in said
    await node.event("full", "ResizeError", "Pod resize error: ")
    assert given(node, pod, "web").memory_bytes == 64 * MIB
    assert container(pod, "web")["resources"]["limits"] == {"memory": "64Mi"}
    await resize(node, "full", web=memory("96Mi"))
    pod = await node.when("full", settled)
    assert given(node, pod) == GroupLimits(None, -1, 96 * MIB, 2048)
