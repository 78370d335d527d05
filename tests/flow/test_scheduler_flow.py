"""The scheduler's loop against a real API server: who gets which node, who waits and is told why, and what a crash
half-way does no harm to."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from control_plane import Cluster, World

from picluster import scheduler
from picluster.api.errors import ApiError
from picluster.api.resources import CORE_EVENTS, LEASES, NODES, PODS, SERVICE_ACCOUNTS
from picluster.client import Client, PatchType
from picluster.util.clock import SYSTEM_CLOCK

Eventually = Callable[..., Awaitable[Any]]
MANY = 200
CONNECTIONS = 16


def pod(name: str, cpu: str = "100m", **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "web:1", "resources": {"requests": {"cpu": cpu}}}
    metadata = {"name": name, "namespace": "default", "labels": {"app": "web"}}
    return {"metadata": metadata, "spec": {"containers": [container], **spec}}


async def add_node(client: Client, name: str, cpu: str = "4", pods: str = "110", **spec: Any) -> None:
    amounts = {"cpu": cpu, "memory": "8Gi", "pods": pods}
    metadata = {"name": name, "labels": {"kubernetes.io/hostname": name}}
    await client.create(NODES, {"metadata": metadata, "spec": spec, "status": {"allocatable": amounts}})
    # What the failure detector does with a node that it finds ready.
    await client.patch(NODES, name, {"spec": {"taints": spec.get("taints")}}, kind=PatchType.MERGE)


@pytest.fixture(autouse=True)
async def account(client: Client) -> None:
    """Pods are admitted only where their service account is; its controller does not run here."""
    await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": "default"}})


@contextlib.asynccontextmanager
async def scheduling(cluster: Cluster, **how: Any) -> AsyncIterator[asyncio.Task[None]]:
    """A scheduler with a client of its own; cancelled at the end, if not before."""
    async with Client(cluster.config) as client:
        running = asyncio.create_task(scheduler.run(client, SYSTEM_CLOCK, **how))
        try:
            yield running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def scheduled(cluster: Cluster) -> AsyncIterator[None]:
    async with scheduling(cluster):
        yield


async def node_of(client: Client, name: str) -> str:
    return str((await client.get(PODS, name, namespace="default"))["spec"].get("nodeName", ""))


async def condition(client: Client, name: str) -> dict[str, Any]:
    status = (await client.get(PODS, name, namespace="default"))["status"]
    return next((entry for entry in status.get("conditions") or [] if entry["type"] == "PodScheduled"), {})


async def create_many(client: Client, count: int, cpu: str = "100m") -> None:
    slots = asyncio.Semaphore(CONNECTIONS)

    async def create(number: int) -> None:
        async with slots:
            await client.create(PODS, pod(f"p{number}", cpu))

    await asyncio.gather(*map(create, range(count)))


async def placed(client: Client) -> dict[str, str]:
    pods = (await client.list(PODS, namespace="default"))["items"]
    return {entry["metadata"]["name"]: entry["spec"]["nodeName"] for entry in pods if entry["spec"].get("nodeName")}


def bindings(client: Client) -> tuple[asyncio.Task[None], list[tuple[str, str]]]:
    """Every change of a pod's node that the API server tells, from now on."""
    seen: list[tuple[str, str]] = []
    nodes: dict[str, str] = {}

    async def follow() -> None:
        async for event in client.watch(PODS, namespace="default", resource_version="0"):
            name, node = event.object["metadata"]["name"], event.object["spec"].get("nodeName", "")
            if node != nodes.get(name, ""):
                seen.append((name, node))
            nodes[name] = node

    return asyncio.create_task(follow()), seen


async def test_a_pod_gets_a_node_a_condition_and_an_event(
    scheduled: None, client: Client, eventually: Eventually
) -> None:
    await add_node(client, "pi-1")
    await client.create(PODS, pod("web"))
    assert await eventually(lambda: node_of(client, "web")) == "pi-1"
    assert (await condition(client, "web"))["status"] == "True"

    async def said() -> list[Any]:
        events = (await client.list(CORE_EVENTS, namespace="default"))["items"]
        return [event for event in events if event["reason"] == "Scheduled"]

    [event] = await eventually(said)
    assert event["message"] == "Successfully assigned default/web to pi-1"
    assert (event["type"], event["source"]["component"]) == ("Normal", "default-scheduler")


async def test_a_pod_that_fits_nowhere_is_told_why_and_a_new_node_wakes_it(
    scheduled: None, client: Client, eventually: Eventually
) -> None:
    await add_node(client, "pi-1", cpu="1")
    await add_node(client, "pi-2", taints=[{"key": "disk", "value": "slow", "effect": "NoSchedule"}])
    await add_node(client, "pi-3", unschedulable=True)
    await client.create(PODS, pod("web", cpu="2"))
    refused = await eventually(lambda: condition(client, "web"))
    message = (
        "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), "
        "1 node(s) were unschedulable. preemption: 0/3 nodes are available: "
        "3 Preemption is not helpful for scheduling."
    )
    assert (refused["status"], refused["reason"], refused["message"]) == ("False", "Unschedulable", message)

    async def said() -> list[Any]:
        events = (await client.list(CORE_EVENTS, namespace="default"))["items"]
        return [event for event in events if event["reason"] == "FailedScheduling"]

    [event] = await eventually(said)
    assert (event["type"], event["message"]) == ("Warning", message)
    await add_node(client, "pi-4")
    assert await eventually(lambda: node_of(client, "web")) == "pi-4"
    assert "reason" not in await condition(client, "web")


async def test_no_nodes_at_all(scheduled: None, client: Client, eventually: Eventually) -> None:
    await client.create(PODS, pod("web"))
    refused = await eventually(lambda: condition(client, "web"))
    assert refused["message"] == "no nodes available to schedule pods"


@pytest.mark.parametrize(
    "cure",
    [
        pytest.param({"spec": {"unschedulable": None}}, id="uncordon"),
        pytest.param({"spec": {"taints": None}}, id="taint removed"),
    ],
)
async def test_a_node_that_opens_takes_who_waited(
    cure: dict[str, Any], scheduled: None, client: Client, eventually: Eventually
) -> None:
    closed = {"unschedulable": True} if "unschedulable" in cure["spec"] else {}
    taints = [] if closed else [{"key": "a", "effect": "NoSchedule"}]
    await add_node(client, "pi-1", **closed, taints=taints)
    await client.create(PODS, pod("web"))
    await eventually(lambda: condition(client, "web"))
    await client.patch(NODES, "pi-1", cure, kind=PatchType.MERGE)
    assert await eventually(lambda: node_of(client, "web")) == "pi-1"


async def test_room_that_a_pod_leaves_is_given_to_the_next(
    scheduled: None, client: Client, eventually: Eventually
) -> None:
    await add_node(client, "pi-1", cpu="1")
    await client.create(PODS, pod("first", cpu="1"))
    await eventually(lambda: node_of(client, "first"))
    await client.create(PODS, pod("second", cpu="1"))
    await eventually(lambda: condition(client, "second"))
    await client.delete(PODS, "first", namespace="default", grace_period_s=0)
    assert await eventually(lambda: node_of(client, "second")) == "pi-1"


async def test_who_is_not_ours_to_place_is_left_alone(scheduled: None, client: Client, eventually: Eventually) -> None:
    await add_node(client, "pi-1")
    await client.create(PODS, pod("other", schedulerName="mine"))
    await client.create(PODS, pod("gated", schedulingGates=[{"name": "example.com/wait"}]))
    await client.create(PODS, pod("ours"))
    await eventually(lambda: node_of(client, "ours"))
    assert await placed(client) == {"ours": "pi-1"}
    await client.patch(PODS, "gated", {"spec": {"schedulingGates": []}}, namespace="default", kind=PatchType.MERGE)
    assert await eventually(lambda: node_of(client, "gated")) == "pi-1"


async def test_pods_deleted_while_they_are_decided_leave_no_room_taken(
    scheduled: None, client: Client, eventually: Eventually
) -> None:
    await add_node(client, "pi-1", cpu="1")
    for round_number in range(20):
        name = f"gone-{round_number}"
        await client.create(PODS, pod(name, cpu="1"))
        with contextlib.suppress(ApiError):
            await client.delete(PODS, name, namespace="default", grace_period_s=0)
    await client.create(PODS, pod("stays", cpu="1"))
    assert await eventually(lambda: node_of(client, "stays")) == "pi-1"


async def test_a_scheduler_killed_half_way_and_started_again_binds_none_twice(
    cluster: Cluster, client: Client, eventually: Eventually
) -> None:
    nodes, room = 11, 20
    for number in range(nodes):
        await add_node(client, f"pi-{number}", cpu="2", pods=str(room))
    follow, seen = bindings(client)
    async with scheduling(cluster):
        creating = asyncio.create_task(create_many(client, MANY))

        async def half() -> bool:
            return len(seen) >= MANY // 3

        await eventually(half)
    async with scheduling(cluster):
        await creating

        async def all_placed() -> bool:
            return len(await placed(client)) == MANY

        await eventually(all_placed)
    follow.cancel()
    assert max(Counter(name for name, _ in seen).values()) == 1
    assert max(Counter((await placed(client)).values()).values()) <= room


async def test_two_schedulers_at_once_bind_none_twice(cluster: Cluster, client: Client, eventually: Eventually) -> None:
    for number in range(4):
        await add_node(client, f"pi-{number}", cpu="40", pods="400")
    follow, seen = bindings(client)
    async with scheduling(cluster), scheduling(cluster):
        await create_many(client, MANY)

        async def all_placed() -> bool:
            return len(await placed(client)) == MANY

        await eventually(all_placed)
    follow.cancel()
    assert max(Counter(name for name, _ in seen).values()) == 1


async def test_of_two_that_elect_a_leader_one_decides_and_the_other_takes_over(
    cluster: Cluster, client: Client, eventually: Eventually
) -> None:
    """Together they give away no room twice: 20 pods' worth of room, 30 pods."""
    await add_node(client, "pi-1", cpu="1")
    await add_node(client, "pi-2", cpu="1")
    async with scheduling(cluster, elect_leader=True) as one:

        async def elected() -> Any:
            leases = (await client.list(LEASES, namespace="kube-system"))["items"]
            return [entry["spec"].get("holderIdentity") for entry in leases]

        await eventually(elected)
        async with scheduling(cluster, elect_leader=True):
            await create_many(client, 10)

            async def ten() -> bool:
                return len(await placed(client)) == 10

            await eventually(ten)
            one.cancel()
            await asyncio.gather(one, return_exceptions=True)
            for number in range(10, 30):
                await client.create(PODS, pod(f"p{number}"))

            async def refused() -> bool:
                pods = (await client.list(PODS, namespace="default"))["items"]
                states = [entry["status"].get("conditions", [{}])[0].get("status") for entry in pods]
                return states.count("True") == 20 and states.count("False") == 10

            await eventually(refused)
    assert Counter((await placed(client)).values()) == {"pi-1": 10, "pi-2": 10}


async def test_an_api_server_that_restarts_costs_no_pod_and_no_room(
    cluster: Cluster, client: Client, eventually: Eventually, world: World
) -> None:
    """Bindings whose answers are lost are looked up before their room is given away."""
    for number in range(5):
        await add_node(client, f"pi-{number}", cpu="2")
    async with scheduling(cluster):
        await create_many(client, 60)
        await cluster.stop()
        await cluster.start()
        await create_many_more(client, 60, 120)

        async def decided() -> bool:
            pods = await world.pods()
            return len(pods) == 120 and sum(bool(entry["spec"].get("nodeName")) for entry in pods) == 100

        await eventually(decided)
    assert Counter((await placed(client)).values()) == {f"pi-{number}": 20 for number in range(5)}


async def create_many_more(client: Client, first: int, end: int) -> None:
    for number in range(first, end):
        await client.create(PODS, pod(f"p{number}"))
