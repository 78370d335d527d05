"""The failure detector at a real API server, with hollow nodes whose outlets are files."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from control_plane import Cluster

from picluster.api.meta import condition_is
from picluster.api.profiles import PROFILES
from picluster.api.resources import CORE_EVENTS, LEASES, NODES
from picluster.client import Client, ClientConfig
from picluster.controllers.node_lifecycle import NodeLifecycleController
from picluster.hollow import HollowNodes
from picluster.power.outlet import Outlet, load
from picluster.runtime import Controller, Manager

Eventually = Callable[..., Awaitable[Any]]


@contextlib.asynccontextmanager
async def running(config: ClientConfig, controller: Controller) -> AsyncIterator[None]:
    async with Client(config) as own:
        manager = Manager(own)
        manager.add(controller)
        task = asyncio.create_task(manager.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def hollow(config: ClientConfig, names: Sequence[str]) -> contextlib.AbstractAsyncContextManager[None]:
    return running(config, HollowNodes(names, "rack"))


def detector(
    config: ClientConfig, outlets: dict[str, Outlet] | None = None
) -> contextlib.AbstractAsyncContextManager[None]:
    return running(config, NodeLifecycleController(PROFILES["rack"], outlets or {}))


def relay(path: Path) -> Outlet:
    return load(
        {
            "driver": "command",
            "on_command": ["sh", "-c", f"echo on > {path}"],
            "off_command": ["sh", "-c", f"echo off > {path}"],
            "status_command": ["cat", str(path)],
            "on_when": "^on",
            "off_when": "^off",
        }
    )


async def taints(client: Client, name: str) -> set[str]:
    node = await client.get(NODES, name)
    return {taint["key"].rpartition("/")[2] for taint in node["spec"].get("taints") or []}


async def reasons(client: Client) -> set[str]:
    return {event["reason"] for event in (await client.list(CORE_EVENTS))["items"]}


async def ready(client: Client) -> set[str]:
    return {node["metadata"]["name"] for node in (await client.list(NODES))["items"] if condition_is(node, "Ready")}


async def renewals(client: Client) -> dict[str, str]:
    leases = (await client.list(LEASES, namespace="kube-node-lease"))["items"]
    return {lease["metadata"]["name"]: lease["spec"]["renewTime"] for lease in leases}


async def test_a_node_that_speaks_while_its_outlet_reads_off_stays_out_of_service(
    cluster: Cluster, client: Client, eventually: Eventually, tmp_path: Path
) -> None:
    plug = tmp_path / "plug"
    plug.write_text("on")

    async def is_dead() -> bool:
        return await taints(client, "a") == {"unreachable", "out-of-service"}

    async def contradicts() -> bool:
        return "OutletContradictsNode" in await reasons(client) and "a" in await ready(client)

    async def is_back() -> bool:
        return not await taints(client, "a")

    async with detector(cluster.config, {"a": relay(plug)}):
        async with hollow(cluster.config, ["a", "b"]):
            await eventually(lambda: _all_ready(client, {"a", "b"}))
        plug.write_text("off")
        async with hollow(cluster.config, ["b"]):
            await eventually(is_dead)
        async with hollow(cluster.config, ["a", "b"]):
            await eventually(contradicts)
            assert await is_dead()
            plug.write_text("on")
            await eventually(is_back)


async def test_a_cordon_is_a_taint(cluster: Cluster, client: Client, eventually: Eventually) -> None:
    async def cordoned() -> bool:
        return await taints(client, "a") == {"unschedulable"}

    async def free() -> bool:
        return not await taints(client, "a")

    async with detector(cluster.config), hollow(cluster.config, ["a"]):
        await eventually(lambda: _all_ready(client, {"a"}))
        await client.patch(NODES, "a", {"spec": {"unschedulable": True}})
        await eventually(cordoned)
        await client.patch(NODES, "a", {"spec": {"unschedulable": None}})
        await eventually(free)


async def test_the_only_node_of_a_rack_is_not_fenced(
    cluster: Cluster, client: Client, eventually: Eventually, tmp_path: Path
) -> None:
    plug = tmp_path / "plug"
    plug.write_text("on")

    async def is_told() -> bool:
        return "ControlPlanePartitioned" in await reasons(client) and "NodeNotReady" in await reasons(client)

    async with detector(cluster.config, {"a": relay(plug)}):
        async with hollow(cluster.config, ["a"]):
            await eventually(lambda: _all_ready(client, {"a"}))
        await eventually(is_told)
        assert plug.read_text() == "on"
        assert await taints(client, "a") == {"unreachable"}


async def test_an_api_server_that_was_away_condemns_nobody(
    cluster: Cluster, client: Client, eventually: Eventually
) -> None:
    names = {"a", "b", "c"}

    async def renewed() -> bool:
        now = await renewals(client)
        return all(now[name] > before[name] for name in names)

    async with detector(cluster.config), hollow(cluster.config, sorted(names)):
        await eventually(lambda: _all_taken_in(client, names))
        before = await renewals(client)
        await cluster.stop()
        await asyncio.sleep(2 * PROFILES["rack"].suspect_after_s)  # the time that it is away is what is tried here
        await cluster.start()
        await eventually(renewed)
        assert await ready(client) == names
        assert "NodeNotReady" not in await reasons(client)
        for name in names:
            assert not await taints(client, name)


async def _all_taken_in(client: Client, names: set[str]) -> bool:
    """Whether they are Ready, and without the taint that new nodes begin with."""
    return await ready(client) == names and not any([await taints(client, name) for name in names])


async def _all_ready(client: Client, names: set[str]) -> bool:
    return await ready(client) == names
