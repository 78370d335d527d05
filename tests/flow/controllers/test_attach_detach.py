"""Volumes of a driver that attaches: a VolumeAttachment comes with the first pod and goes after the last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from control_plane import World

from picluster.api.resources import (
    CORE_EVENTS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SERVICE_ACCOUNTS,
    VOLUME_ATTACHMENTS,
)
from picluster.client import Client, PatchType
from picluster.controllers.attachdetach_plan import Source

Eventually = Callable[..., Awaitable[Any]]
Json = dict[str, Any]
SOURCE = Source("example.com", "disk-1")


@pytest.fixture(autouse=True)
async def _running(controllers: None, client: Client, world: World, eventually: Eventually) -> None:
    """All controllers, two nodes, and a claim that has its volume."""

    async def admitted() -> bool:
        return bool((await client.list(SERVICE_ACCOUNTS, namespace="default"))["items"])

    await eventually(admitted)
    for name in ("pi-1", "pi-2"):
        await world.add_node(name)
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    csi = {"driver": SOURCE.driver, "volumeHandle": SOURCE.handle}
    volume = {"metadata": {"name": "v"}, "spec": {**common, "capacity": {"storage": "1Gi"}, "csi": csi}}
    await client.create(PERSISTENT_VOLUMES, volume)
    wanted = {**common, "resources": {"requests": {"storage": "1Gi"}}}
    await client.create(PERSISTENT_VOLUME_CLAIMS, {"metadata": {"name": "c", "namespace": "default"}, "spec": wanted})


async def add_pod(client: Client, name: str, node: str) -> None:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    spec = {"containers": [{"name": "c", "image": "i"}], "volumes": volumes, "nodeName": node}
    await client.create(PODS, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})


async def test_a_volume_is_attached_moves_and_is_never_on_two_nodes(client: Client, eventually: Eventually) -> None:
    async def attachments() -> list[Json]:
        return [one for one in (await client.list(VOLUME_ATTACHMENTS))["items"] if one["spec"]["attacher"] != "by-hand"]

    async def status(node: str) -> Json:
        return (await client.get(NODES, node))["status"]

    async def attached_to(node: str) -> bool:
        return (await status(node)).get("volumesAttached") == [{"name": SOURCE.unique_name, "devicePath": ""}]

    async def said(reason: str, text: str) -> bool:
        events = (await client.list(CORE_EVENTS))["items"]
        return any((one["reason"], one["message"].strip()) == (reason, text) for one in events)

    async def report(name: str, **fields: Any) -> None:
        await client.patch(VOLUME_ATTACHMENTS, name, {"status": fields}, kind=PatchType.MERGE, subresource="status")

    async def in_use(node: str, *names: str) -> None:
        patch = {"status": {"volumesInUse": list(names)}}
        await client.patch(NODES, node, patch, kind=PatchType.MERGE, subresource="status")

    by_hand = {"attacher": "by-hand", "nodeName": "pi-1", "source": {"persistentVolumeName": "nothing"}}
    await client.create(VOLUME_ATTACHMENTS, {"metadata": {"name": "mine"}, "spec": by_hand})
    await add_pod(client, "first", "pi-1")
    [made] = await eventually(attachments)
    first = SOURCE.attachment("pi-1")
    assert made["metadata"]["name"] == first
    assert made["spec"] == {
        "attacher": "example.com", "nodeName": "pi-1", "source": {"persistentVolumeName": "v"},
    }  # fmt: skip
    await report(first, attached=False, attachError={"message": "the array is full", "time": "2026-01-01T00:00:00Z"})
    await eventually(
        lambda: said("FailedAttachVolume", 'AttachVolume.Attach failed for volume "v" : the array is full')
    )
    await report(first, attached=True, attachError=None)
    await eventually(lambda: attached_to("pi-1"))
    await eventually(lambda: said("SuccessfulAttachVolume", 'AttachVolume.Attach succeeded for volume "v"'))
    await in_use("pi-1", SOURCE.unique_name)
    # Another node cannot have it, and is told who has.
    await add_pod(client, "second", "pi-2")
    taken = 'Multi-Attach error for volume "v" Volume is already used by pod(s) first'
    await eventually(lambda: said("FailedAttachVolume", taken))
    await client.delete(PODS, "first", namespace="default", grace_period_s=0)
    assert [one["metadata"]["name"] for one in await attachments()] == [first], "it is mounted still"
    await in_use("pi-1")

    async def moved() -> bool:
        return [one["metadata"]["name"] for one in await attachments()] == [SOURCE.attachment("pi-2")]

    await eventually(moved)
    assert not (await status("pi-1")).get("volumesAttached")
    # A node that is out of service is not waited for.
    await report(SOURCE.attachment("pi-2"), attached=True)
    await eventually(lambda: attached_to("pi-2"))
    await in_use("pi-2", SOURCE.unique_name)
    await client.delete(PODS, "second", namespace="default", grace_period_s=0)
    taint = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}
    await client.patch(NODES, "pi-2", {"spec": {"taints": [taint]}}, kind=PatchType.MERGE)

    async def none_left() -> bool:
        return not await attachments()

    await eventually(none_left)
    assert await client.get(VOLUME_ATTACHMENTS, "mine"), "what others made stays"


async def test_two_pods_that_come_at_once_do_not_get_the_volume_both(client: Client, eventually: Eventually) -> None:
    async def blocked() -> bool:
        events = (await client.list(CORE_EVENTS))["items"]
        return any("Multi-Attach error" in one["message"] for one in events)

    await asyncio.gather(*(add_pod(client, f"web-{node}", node) for node in ("pi-1", "pi-2")))
    await eventually(blocked)
    assert len((await client.list(VOLUME_ATTACHMENTS))["items"]) == 1
