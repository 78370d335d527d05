"""Hollow nodes at a real API server: they come up, run pods with addresses of their own, and go on after a restart."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from picluster import hollow
from picluster.api.meta import condition_is
from picluster.api.resources import NODES, PODS, SERVICE_ACCOUNTS
from picluster.client import Client, ClientConfig, PatchType
from picluster.util.clock import SYSTEM_CLOCK

Eventually = Callable[..., Awaitable[Any]]
CIDR = "10.42.7.0/24"
NAME = "hollow-0001"


@contextlib.asynccontextmanager
async def hollow_nodes(config: ClientConfig) -> AsyncIterator[None]:
    async with Client(config) as own:
        task = asyncio.create_task(hollow.run(own, 1, SYSTEM_CLOCK))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def node_with_a_range(client: Client, eventually: Eventually) -> None:
    async def there() -> bool:
        return NAME in [node["metadata"]["name"] for node in (await client.list(NODES))["items"]]

    await eventually(there)
    await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": "default"}})
    await client.patch(NODES, NAME, {"spec": {"podCIDR": CIDR, "podCIDRs": [CIDR]}})


async def add_pod(client: Client, name: str) -> None:
    spec = {"nodeName": NAME, "containers": [{"name": "web", "image": "web:1"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
    await client.create(PODS, pod)


async def ready(client: Client, *names: str) -> dict[str, str]:
    """The addresses of these pods when all are Running and Ready, else nothing."""
    pods = [await client.get(PODS, name, namespace="default") for name in names]
    if not all(pod["status"].get("phase") == "Running" and condition_is(pod, "Ready") for pod in pods):
        return {}
    return {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in pods}


async def test_a_hollow_node_runs_and_ends_pods(cluster: Any, client: Client, eventually: Eventually) -> None:
    async with hollow_nodes(cluster.config):
        await node_with_a_range(client, eventually)
        for name in ("a", "b"):
            await add_pod(client, name)
        found = await eventually(lambda: ready(client, "a", "b"))
        assert sorted(found.values()) == ["10.42.7.2", "10.42.7.3"]

        await client.delete(PODS, "a", namespace="default")

        async def ended() -> bool:
            return [pod["metadata"]["name"] for pod in (await client.list(PODS))["items"]] == ["b"]

        await eventually(ended)


async def test_after_a_restart_pods_run_on_with_their_addresses(
    cluster: Any, client: Client, eventually: Eventually
) -> None:
    async with hollow_nodes(cluster.config):
        await node_with_a_range(client, eventually)
        await add_pod(client, "a")
        before = await eventually(lambda: ready(client, "a"))
    silenced = {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "NodeNotReady"}]}}
    await client.patch(PODS, "a", silenced, namespace="default", kind=PatchType.STRATEGIC, subresource="status")
    async with hollow_nodes(cluster.config):
        await add_pod(client, "b")
        after = await eventually(lambda: ready(client, "a", "b"))
    assert after == {**before, "b": "10.42.7.3"}
    pod = await client.get(PODS, "a", namespace="default")
    assert "reason" not in next(c for c in pod["status"]["conditions"] if c["type"] == "Ready")
