"""Claims and volumes find each other, stay together, and part, as upstream's lifecycle tests want it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from control_plane import Cluster

from picluster.api.errors import ApiError
from picluster.api.resources import (
    CORE_EVENTS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
)
from picluster.client import Client, PatchType, TransportError
from picluster.controllers.persistentvolume import PersistentVolumeBinder
from picluster.runtime import Manager

Eventually = Callable[..., Awaitable[Any]]
Json = dict[str, Any]


def volume(name: str, size: str = "1Gi", **spec: Any) -> Json:
    modes = spec.pop("accessModes", ["ReadWriteOnce"])
    source = {} if "csi" in spec else {"hostPath": {"path": f"/tmp/{name}"}}
    return {
        "metadata": {"name": name, "annotations": spec.pop("annotations", {})},
        "spec": {"capacity": {"storage": size}, "accessModes": modes, **source, **spec},
    }


def claim(name: str, size: str = "1Gi", **spec: Any) -> Json:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": wanted}


async def get_claim(client: Client, name: str) -> Json:
    return await client.get(PERSISTENT_VOLUME_CLAIMS, name, namespace="default")


def phases(client: Client, **wanted: str) -> Callable[[], Awaitable[bool]]:
    """Whether the objects are in these phases: claims begin with ``c``, volumes with anything else."""

    async def are() -> bool:
        found = {}
        for name in wanted:
            is_claim = name.startswith("c")
            obj = await (get_claim(client, name) if is_claim else client.get(PERSISTENT_VOLUMES, name))
            found[name] = obj["status"]["phase"]
        return found == wanted

    return are


def event(client: Client, name: str, reason: str) -> Callable[[], Awaitable[str]]:
    async def said() -> str:
        events = (await client.list(CORE_EVENTS))["items"]
        return next(
            (one["message"] for one in events if (one["involvedObject"]["name"], one["reason"]) == (name, reason)), ""
        )

    return said


async def test_a_claim_gets_the_smallest_volume_that_serves_and_leaves_it_behind(
    controllers: None, client: Client, eventually: Eventually
) -> None:
    for obj in (
        volume("big", "5Gi"),
        volume("fits", "2Gi"),
        volume("small", "1Gi"),
        volume("block", "2Gi", volumeMode="Block"),
    ):
        await client.create(PERSISTENT_VOLUMES, obj)
    await eventually(phases(client, big="Available", fits="Available", small="Available", block="Available"))
    await client.create(PERSISTENT_VOLUME_CLAIMS, claim("c", "1500Mi", storageClassName=""))
    await eventually(phases(client, c="Bound", fits="Bound", big="Available"))
    bound, has = await get_claim(client, "c"), await client.get(PERSISTENT_VOLUMES, "fits")
    assert bound["spec"]["volumeName"] == "fits"
    assert bound["status"]["capacity"] == {"storage": "2Gi"}
    assert bound["status"]["accessModes"] == ["ReadWriteOnce"]
    marks = {"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"}
    assert bound["metadata"]["annotations"] == marks
    assert has["metadata"]["annotations"] == {"pv.kubernetes.io/bound-by-controller": "yes"}
    reference = has["spec"]["claimRef"]
    assert (reference["kind"], reference["name"], reference["uid"]) == (
        "PersistentVolumeClaim", "c", bound["metadata"]["uid"],
    )  # fmt: skip
    await client.delete(PERSISTENT_VOLUME_CLAIMS, "c", namespace="default")
    await eventually(phases(client, fits="Released"))
    # Who takes the reference away makes the volume free for the next.
    await client.patch(PERSISTENT_VOLUMES, "fits", {"spec": {"claimRef": None}}, kind=PatchType.MERGE)
    await eventually(phases(client, fits="Available"))
    await client.create(PERSISTENT_VOLUME_CLAIMS, claim("c", "2Gi", storageClassName="", volumeName="fits"))
    await eventually(phases(client, c="Bound", fits="Bound"))
    await client.delete(PERSISTENT_VOLUMES, "fits")
    assert (await client.get(PERSISTENT_VOLUMES, "fits"))["metadata"]["deletionTimestamp"]


async def test_both_sides_may_choose_before_the_other_is_there(
    controllers: None, client: Client, eventually: Eventually
) -> None:
    reserved = {"namespace": "default", "name": "c-reserved"}
    await client.create(PERSISTENT_VOLUMES, volume("reserved", "9Gi", claimRef=reserved))
    await client.create(PERSISTENT_VOLUME_CLAIMS, claim("c-asks", storageClassName="", volumeName="asked"))
    await client.create(PERSISTENT_VOLUME_CLAIMS, claim("c-other", storageClassName=""))
    nothing = "no persistent volumes available for this claim and no storage class is set"
    assert await eventually(event(client, "c-other", "FailedBinding")) == nothing
    await client.create(PERSISTENT_VOLUMES, volume("asked", storageClassName="gold"))
    why = 'Cannot bind to requested volume "asked": storageClassName does not match'
    assert await eventually(event(client, "c-asks", "VolumeMismatch")) == why
    await client.patch(PERSISTENT_VOLUMES, "asked", {"spec": {"storageClassName": ""}}, kind=PatchType.MERGE)
    await client.create(PERSISTENT_VOLUME_CLAIMS, claim("c-reserved", storageClassName=""))
    await eventually(
        phases(client, **{"c-asks": "Bound", "asked": "Bound", "c-reserved": "Bound", "reserved": "Bound"})
    )
    by_hand = await client.get(PERSISTENT_VOLUMES, "reserved")
    assert "pv.kubernetes.io/bound-by-controller" not in by_hand["metadata"].get("annotations", {})
    assert (await get_claim(client, "c-other"))["status"] == {"phase": "Pending"}
    # A claim whose volume is taken away by force has lost it.
    await client.delete(PERSISTENT_VOLUMES, "asked")
    await client.patch(PERSISTENT_VOLUMES, "asked", {"metadata": {"finalizers": None}}, kind=PatchType.MERGE)
    await eventually(phases(client, **{"c-asks": "Lost"}))
    assert "has lost its PersistentVolume" in await eventually(event(client, "c-asks", "ClaimLost"))


async def test_classes_say_when_and_by_whom(controllers: None, client: Client, eventually: Eventually) -> None:
    await client.create(PERSISTENT_VOLUME_CLAIMS, claim("c-later"))
    assert await eventually(event(client, "c-later", "FailedBinding"))
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    made = {"metadata": {"name": "outside", "annotations": default}, "provisioner": "example.com/disks"}
    await client.create(STORAGE_CLASSES, {**made, "allowVolumeExpansion": True})
    waits = {"metadata": {"name": "waits"}, "provisioner": "example.com/disks"}
    await client.create(STORAGE_CLASSES, {**waits, "volumeBindingMode": "WaitForFirstConsumer"})
    await client.create(PERSISTENT_VOLUMES, volume("free", storageClassName="waits"))
    await client.create(PERSISTENT_VOLUME_CLAIMS, claim("c-waits", storageClassName="waits"))
    first = "waiting for first consumer to be created before binding"
    assert await eventually(event(client, "c-waits", "WaitForFirstConsumer")) == first
    outside = await eventually(event(client, "c-later", "ExternalProvisioning"))
    assert outside.startswith(
        "Waiting for a volume to be created either by the external provisioner 'example.com/disks'"
    )
    found = await get_claim(client, "c-later")
    assert found["spec"]["storageClassName"] == "outside"
    for key in ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"):
        assert found["metadata"]["annotations"][key] == "example.com/disks"
    # What a provisioner makes for a claim is bound to it; once released it is the provisioner's to delete.
    reference = {"namespace": "default", "name": "c-later", "uid": found["metadata"]["uid"]}
    csi = {"driver": "example.com", "volumeHandle": "h"}
    provisioned = volume("made", csi=csi, claimRef=reference, storageClassName="outside")
    provisioned["spec"]["persistentVolumeReclaimPolicy"] = "Delete"
    provisioned["metadata"]["annotations"] = {"pv.kubernetes.io/provisioned-by": "example.com/disks"}
    await client.create(PERSISTENT_VOLUMES, provisioned)
    await eventually(phases(client, **{"c-later": "Bound", "made": "Bound"}))
    more = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    await client.patch(PERSISTENT_VOLUME_CLAIMS, "c-later", more, namespace="default", kind=PatchType.MERGE)
    assert "external controller" in await eventually(event(client, "c-later", "ExternalExpanding"))
    await client.delete(PERSISTENT_VOLUME_CLAIMS, "c-later", namespace="default")
    await eventually(phases(client, made="Released"))
    # The scheduler reserves a volume of the other class; the rest of the binding is the controller's.
    waiting = await get_claim(client, "c-waits")
    assert waiting["status"]["phase"] == "Pending"
    reference = {"namespace": "default", "name": "c-waits", "uid": waiting["metadata"]["uid"]}
    await client.patch(PERSISTENT_VOLUMES, "free", {"spec": {"claimRef": reference}}, kind=PatchType.MERGE)
    await eventually(phases(client, **{"c-waits": "Bound", "free": "Bound"}))


async def test_policies_of_volumes_that_nobody_provisioned(
    controllers: None, client: Client, eventually: Eventually, tmp_path: Path
) -> None:
    async def gone() -> bool:
        try:
            await client.get(PERSISTENT_VOLUMES, "deleted")
        except ApiError as error:
            return error.code == 404
        return False

    directory = tmp_path / "data"
    directory.mkdir()
    (directory / "file").touch()
    for name, policy, path in (
        ("deleted", "Delete", str(directory)),
        ("elsewhere", "Delete", "/srv/data"),
        ("recycled", "Recycle", "/tmp/x"),
    ):
        reserved = {"namespace": "default", "name": f"c-{name}"}
        made = volume(name, persistentVolumeReclaimPolicy=policy, claimRef=reserved)
        made["spec"]["hostPath"] = {"path": path}
        await client.create(PERSISTENT_VOLUMES, made)
        await client.create(PERSISTENT_VOLUME_CLAIMS, claim(f"c-{name}", storageClassName=""))
    await eventually(phases(client, deleted="Bound", elsewhere="Bound", recycled="Bound"))
    for name in ("deleted", "elsewhere", "recycled"):
        await client.delete(PERSISTENT_VOLUME_CLAIMS, f"c-{name}", namespace="default")
    await eventually(gone)
    assert not directory.exists()
    await eventually(phases(client, elsewhere="Failed", recycled="Failed"))
    assert "only supports /tmp/.+" in await eventually(event(client, "elsewhere", "VolumeFailedDelete"))
    assert "No recycler plugin" in await eventually(event(client, "recycled", "VolumeFailedRecycle"))


class Mortal(Client):
    """Writes so many times, then never again: the process died after that write, before it had the answer."""

    writes_left = 0

    async def update(self, *args: Any, **kwargs: Any) -> Json:
        if self.writes_left:
            self.writes_left -= 1
            written = await super().update(*args, **kwargs)
            if self.writes_left:
                return written
        raise TransportError("the process is dead", sent=True)


@pytest.mark.parametrize("writes", [1, 2, 3, 4, 5])
async def test_a_binding_that_died_after_any_write_is_completed(
    writes: int, cluster: Cluster, client: Client, eventually: Eventually
) -> None:
    """Two claims want one volume; who comes after a crash finds a half binding, and one of them gets the volume."""

    async def left() -> bool:
        return mortal.writes_left == 0

    await client.create(PERSISTENT_VOLUMES, volume("v"))
    for name in ("c1", "c2"):
        await client.create(PERSISTENT_VOLUME_CLAIMS, claim(name, storageClassName=""))
    async with Mortal(cluster.config) as mortal, binding(mortal):
        mortal.writes_left = writes
        await eventually(left)
    async with Client(cluster.config) as another, binding(another):

        async def settled() -> bool:
            has = await client.get(PERSISTENT_VOLUMES, "v")
            phases = {name: (await get_claim(client, name))["status"]["phase"] for name in ("c1", "c2")}
            owner = (has["spec"].get("claimRef") or {}).get("name")
            return has["status"]["phase"] == "Bound" and [name for name in phases if phases[name] == "Bound"] == [owner]

        await eventually(settled)


@contextlib.asynccontextmanager
async def binding(client: Client) -> AsyncIterator[None]:
    """The binder alone."""
    manager = Manager(client)
    manager.add(PersistentVolumeBinder())
    running = asyncio.create_task(manager.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
