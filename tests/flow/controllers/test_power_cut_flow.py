"""A power cut from end to end in one process: scheduler, controllers and hollow nodes at a real API server.

The outlets are files, cutting a node's power is ending its hollow agent and switching its outlet off.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from picluster import scheduler
from picluster.api.profiles import PROFILES
from picluster.api.resources import CORE_EVENTS, DEPLOYMENTS, NODES
from picluster.client import Client, ClientConfig
from picluster.controllers.node_lifecycle import NodeLifecycleController
from picluster.controllers.run import all_controllers
from picluster.hollow import HollowNodes
from picluster.power.outlet import Outlet, load
from picluster.runtime import Controller, Manager
from picluster.util.clock import SYSTEM_CLOCK

Eventually = Callable[..., Awaitable[Any]]
NAMES = ("a", "b", "c")


class Bench:
    """Three hollow boards on outlets of their own."""

    def __init__(self, config: ClientConfig, directory: Path) -> None:
        self._config = config
        self._directory = directory
        self._running: dict[str, asyncio.Task[None]] = {}
        for name in NAMES:
            self._relay(name).write_text("on")

    def outlets(self) -> dict[str, Outlet]:
        return {name: load(self._outlet(name)) for name in NAMES}

    def plug_in(self, name: str) -> None:
        self._relay(name).write_text("on")
        self._running[name] = asyncio.create_task(self._manage(HollowNodes([name], "rack")))

    async def silence(self, name: str) -> None:
        """The agent is gone, the outlet is as it was."""
        task = self._running.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def unplug(self, name: str) -> None:
        await self.silence(name)
        self._relay(name).write_text("off")

    def reads(self, name: str) -> str:
        return self._relay(name).read_text().strip()

    async def close(self) -> None:
        for name in list(self._running):
            await self.silence(name)

    async def _manage(self, *controllers: Controller) -> None:
        async with Client(self._config) as client:
            manager = Manager(client)
            for controller in controllers:
                manager.add(controller)
            await manager.run()

    def _relay(self, name: str) -> Path:
        return self._directory / name

    def _outlet(self, name: str) -> dict[str, Any]:
        relay = self._relay(name)
        return {
            "driver": "command",
            "on_command": ["sh", "-c", f"echo on > {relay}"],
            "off_command": ["sh", "-c", f"echo off > {relay}"],
            "status_command": ["cat", str(relay)],
            "on_when": "^on",
            "off_when": "^off",
        }


@dataclass(frozen=True)
class Settings:
    pki_dir: Path
    public_url: str = "https://192.0.2.10:6443"
    cluster_cidr: str = "10.42.0.0/16"
    profile: str = "rack"
    outlets: Path | None = None
    ssh_config: Path | None = None

    @property
    def signing_key(self) -> Path:
        return self.pki_dir / "sa.key"


@pytest.fixture
async def bench(cluster: Any, client: Client, tmp_path: Path, eventually: Eventually) -> AsyncIterator[Bench]:
    made = Bench(cluster.config, tmp_path)
    controllers = [
        c for c in all_controllers(Settings(cluster.pki.directory)) if not isinstance(c, NodeLifecycleController)
    ]
    detector = NodeLifecycleController(PROFILES["rack"], made.outlets())
    async with Client(cluster.config) as placing:
        tasks = [
            asyncio.create_task(made._manage(detector, *controllers)),
            asyncio.create_task(scheduler.run(placing, SYSTEM_CLOCK)),
        ]
        for name in NAMES:
            made.plug_in(name)
        await client.create(DEPLOYMENTS, deployment())
        await eventually(lambda: ready_on(client, set(NAMES)))
        yield made
        await made.close()
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)


def deployment() -> dict[str, Any]:
    labels = {"app": "web"}
    container = {"name": "web", "image": "web:1", "imagePullPolicy": "Never"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


async def placed(client: Client) -> list[tuple[str, str]]:
    """``(node, name)`` of every pod that is Running and not on its way out."""
    from picluster.api.resources import PODS

    pods = (await client.list(PODS, namespace="default"))["items"]
    return sorted(
        (pod["spec"]["nodeName"], pod["metadata"]["name"])
        for pod in pods
        if pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
    )


async def ready_on(client: Client, nodes: set[str]) -> bool:
    """Three pods, and on all of ``nodes`` and no others."""
    found = await placed(client)
    return len(found) == 3 and {node for node, _ in found} == nodes


async def taints(client: Client, name: str) -> set[str]:
    node = await client.get(NODES, name)
    return {taint["key"].rpartition("/")[2] for taint in node["spec"].get("taints") or []}


async def reasons(client: Client) -> set[str]:
    return {event["reason"] for event in (await client.list(CORE_EVENTS))["items"]}


async def test_a_dead_node_is_replaced_at_once_and_comes_back(
    bench: Bench, client: Client, eventually: Eventually
) -> None:
    await bench.unplug("c")
    await eventually(lambda: ready_on(client, {"a", "b"}))
    assert await taints(client, "c") == {"unreachable", "out-of-service"}

    bench.plug_in("c")

    async def is_back() -> bool:
        node = await client.get(NODES, "c")
        ready = [c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready"]
        return ready == ["True"] and not node["spec"].get("taints")

    await eventually(is_back)


async def test_a_node_that_does_not_answer_is_fenced_before_its_pods_are_replaced(
    bench: Bench, client: Client, eventually: Eventually
) -> None:
    await bench.silence("c")
    await eventually(lambda: ready_on(client, {"a", "b"}), within_s=20)
    assert bench.reads("c") == "off"
    assert "NodeFenced" in await reasons(client)


async def test_when_most_of_the_rack_is_silent_nobody_is_fenced_or_evicted(
    bench: Bench, client: Client, eventually: Eventually
) -> None:
    before = await placed(client)
    await asyncio.gather(bench.silence("b"), bench.silence("c"))

    async def noticed() -> bool:
        return "ControlPlanePartitioned" in await reasons(client)

    await eventually(noticed)
    assert await placed(client) == before
    assert (bench.reads("b"), bench.reads("c")) == ("on", "on")
