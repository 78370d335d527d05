"""Volumes of CSI drivers: attached (we wait), staged once per node, published for each pod, and all that backwards.

What has been asked of a driver is on the disk before it is asked (``record``), so whatever may have happened is undone
by asking again: every call of CSI may be repeated. A directory into which a driver has put a volume is only ever
removed by ``rmdir``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

from picluster.api.errors import ApiError
from picluster.api.types import Object
from picluster.client import Client, TransportError
from picluster.util.backoff import Backoff
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks
from picluster_agent import kernel
from picluster_agent.grpc.unary import RpcError
from picluster_agent.podman.env import ConfigError
from picluster_agent.volumes import claims, layout, ownership
from picluster_agent.volumes.claims import Volume
from picluster_agent.volumes.csi import record, registration, request
from picluster_agent.volumes.csi.driver import Driver
from picluster_agent.volumes.csi.expansion import expand
from picluster_agent.volumes.csi.lookup import Lookup, needs_attachment
from picluster_agent.volumes.csi.messages import (
    NODE_PUBLISH,
    NODE_STAGE,
    NODE_UNPUBLISH,
    NODE_UNSTAGE,
    STAGE_UNSTAGE_VOLUME,
)
from picluster_agent.volumes.csi.record import Published, Record
from picluster_agent.volumes.layout import Place
from picluster_agent.volumes.manager import Pod, VolumeError, failed

log = logging.getLogger(__name__)

RETRY_MIN_S = 0.5
RETRY_MAX_S = 122.0
"""The kubelet's back-off of volume operations: 500 ms to 2 min 2 s."""


class Csi:
    """Every driver of this node, and every volume of theirs."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        node_name: str,
        data_dir: Path,
        told_dir: Path,
        on_driver: Callable[[], None],
        on_in_use: Callable[[], None],
    ) -> None:
        self._client = client
        self._clock = clock
        self._node_name = node_name
        self._data_dir = data_dir
        self._told_dir = told_dir
        self._on_driver = on_driver
        self._on_in_use = on_in_use
        self._soon: dict[tuple[str, str], str] = {}
        """Attachable volumes that are about to be mounted, by pod and volume."""
        self._places = record.Places(data_dir)
        self._drivers: dict[str, Driver] = {}
        self._joining: dict[Path, asyncio.Task[None]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._volumes: dict[tuple[str, str], tuple[Pod, Volume]] = {}
        self._lookup = Lookup(client)
        self._info = registration.NodeInfo(client, node_name)
        self._tasks = Tasks("csi")

    async def close(self) -> None:
        await self._tasks.close()

    # -- drivers -------------------------------------------------------------------------------------------------------

    def sockets_changed(self, sockets: set[Path]) -> None:
        """Take in whoever is new, and let go whose socket has gone."""
        for gone in set(self._joining) - sockets:
            self._joining.pop(gone).cancel()
            self._tasks.spawn(self._leave(gone), f"leave {gone.name}")
        for new in sockets - set(self._joining):
            self._joining[new] = self._tasks.spawn(self._join(new), f"join {new.name}")

    async def _join(self, socket: Path) -> None:
        """Until the driver is registered, and the cluster knows; then take away what earlier lives have left."""
        backoff = Backoff(RETRY_MIN_S, RETRY_MAX_S)
        while True:
            try:
                driver = await registration.introduce(socket)
                self._drivers[driver.name] = driver
                await self._info.add(driver.name, await registration.node_info(driver))
                await registration.notify(socket)
                break
            except registration.RegistrationError as error:
                log.warning("plugin at %s is not taken: %s", socket, error)
                with contextlib.suppress(RpcError):
                    await registration.notify(socket, str(error))
                return
            except (RpcError, ApiError, TransportError, OSError, ValueError) as error:
                log.warning("driver at %s is not registered yet: %s", socket, error)
                await self._clock.sleep(backoff.next_s())
        log.info("storage driver %s registered", driver.name)
        self._on_driver()
        await self._sweep(driver)

    async def _leave(self, socket: Path) -> None:
        for name, driver in list(self._drivers.items()):
            if driver.registration == socket:
                del self._drivers[name]
                with contextlib.suppress(ApiError, TransportError):
                    await self._info.remove(name)
                log.info("storage driver %s is gone", name)

    async def _sweep(self, driver: Driver) -> None:
        """Unstage what no pod uses: it was left by an agent that ended in between."""
        for directory, staged in list(self._places.staged()):
            if staged.driver != driver.name:
                continue
            async with self._lock(staged.handle):
                if not any(self._places.all_of(driver.name, staged.handle)):
                    with contextlib.suppress(VolumeError):
                        await self._unstage(staged, directory)

    def _lock(self, handle: str) -> asyncio.Lock:
        """What is done with a volume is done one after the other; the lock lives as long as somebody wants it."""
        return self._locks.setdefault(handle, asyncio.Lock())

    def _driver(self, name: str, step: str, what: str, volume: str) -> Driver:
        driver = self._drivers.get(name)
        if driver is None:
            text = f"kubernetes.io/csi: {what}: driver name {name} not found in the list of registered CSI drivers"
            raise failed(step, volume, text)
        return driver

    def in_use(self) -> Sequence[str]:
        """Attachable volumes with a mount here, as ``kubernetes.io/csi/<driver>^<handle>``."""
        mounted = {unique_name(one.record) for one in self._places.everything() if one.record.attachment}
        return sorted({*mounted, *self._soon.values()})

    # -- up ------------------------------------------------------------------------------------------------------------

    async def mount(self, uid: str, pod: Pod, volume: Volume) -> Place:
        """Attached, staged, published; what stands already is left alone. Raises ``VolumeError``."""
        if volume.persistent is not None:
            try:
                claims.check_node(volume.persistent, pod.node_labels, pod.node.name)
            except ConfigError as error:
                raise failed("MountVolume.NodeAffinity check", volume.spec_name, error) from error
        driver = await self._lookup.driver(volume)
        wanted = self._record(uid, volume, driver)
        self._volumes[uid, volume.name] = (pod, volume)
        directory, target = self._target(uid, pod, volume)
        place = Place(target, read_only=volume.read_only, device=volume.device, claim=volume.claim)
        async with self._lock(wanted.handle):
            if await asyncio.to_thread(self._stands, directory, target, wanted, volume.device):
                return place
            problem = request.lifecycle_problem(volume, driver)
            if problem:
                raise failed("MountVolume.SetUp", volume.spec_name, f"kubernetes.io/csi: {problem}")
            context = await self._lookup.attached(volume, driver, wanted)
            if needs_attachment(volume, driver):
                self._soon[uid, volume.name] = unique_name(wanted)
                self._on_in_use()
                await self._lookup.in_use(volume, unique_name(wanted), self._node_name, self._clock)
            await asyncio.to_thread(record.write, directory, wanted)
            self._soon.pop((uid, volume.name), None)
            await self._stage(pod, volume, wanted, context)
            await self._publish(pod, volume, driver, wanted, target, context)
            await self._expand(pod, volume, wanted, target)
        return place

    def _record(self, uid: str, volume: Volume, driver: Object) -> Record:
        name = volume.source["driver"]
        if volume.persistent is None:
            handle = record.ephemeral_handle(uid, volume.name)
            return Record(volume.name, handle, name, self._node_name, lifecycle="Ephemeral")
        handle = volume.source["volumeHandle"]
        attached = needs_attachment(volume, driver)
        attachment = record.attachment_name(handle, name, self._node_name) if attached else ""
        return Record(volume.spec_name, handle, name, self._node_name, attachment)

    @staticmethod
    def _stands(directory: Path, target: Path, wanted: Record, device: bool) -> bool:
        if record.read(directory / record.NAME) is None:
            return False
        return kernel.is_mount(target) or (device and target.is_block_device())

    async def _stage(self, pod: Pod, volume: Volume, wanted: Record, context: Mapping[str, str]) -> None:
        """Once per node, if the driver wants it; asked again for each pod, which a driver takes as the same."""
        if volume.persistent is None:
            return
        step = "MountVolume.MountDevice"
        driver = self._driver(
            wanted.driver, step, "attacher.MountDevice failed to create newCsiDriverClient", volume.spec_name
        )
        try:
            capabilities = await driver.capabilities()
            if STAGE_UNSTAGE_VOLUME not in capabilities:
                return
            directory = self._places.staging(wanted.driver, wanted.handle)
            await asyncio.to_thread(record.write, directory, wanted)
            target = self._staging_target(volume.device, wanted)
            await asyncio.to_thread(target.mkdir, parents=True, exist_ok=True, mode=0o750)
            message = {
                "volume_id": wanted.handle,
                "publish_context": context,
                "staging_target_path": self._told(target),
                "volume_capability": request.capability(volume, pod.obj, capabilities),
                "secrets": await self._lookup.secrets(volume, volume.source.get("nodeStageSecretRef"), None),
                "volume_context": volume.source.get("volumeAttributes") or {},
            }
            await driver.call(NODE_STAGE, message)
        except (RpcError, OSError) as error:
            raise failed(step, volume.spec_name, error) from error

    async def _publish(
        self, pod: Pod, volume: Volume, obj: Object, wanted: Record, target: Path, context: Mapping[str, str]
    ) -> None:
        step = "MountVolume.SetUp"
        what = "mounter.SetUpAt failed to get CSI client"
        driver = self._driver(wanted.driver, step, what, volume.spec_name)
        reference = volume.source.get("nodePublishSecretRef")
        try:
            capabilities = await driver.capabilities()
            staged = STAGE_UNSTAGE_VOLUME in capabilities and volume.persistent is not None
            await asyncio.to_thread(_parent, target)
            message = {
                "volume_id": wanted.handle,
                "publish_context": context,
                "staging_target_path": self._told(self._staging_target(volume.device, wanted)) if staged else "",
                "target_path": self._told(target),
                "volume_capability": request.capability(volume, pod.obj, capabilities),
                "readonly": volume.read_only,
                "secrets": await self._lookup.secrets(volume, reference, pod.obj),
                "volume_context": request.context(
                    volume, pod.obj, obj, await self._lookup.tokens(volume, pod.obj, obj)
                ),
            }
            await driver.call(NODE_PUBLISH, message)
            if request.applies_fs_group(volume, obj, capabilities):
                gid, only = ownership.fs_group(pod.obj), ownership.only_on_mismatch(pod.obj)
                await asyncio.to_thread(ownership.apply, target, gid, only_mismatch=only)
        except (RpcError, OSError) as error:
            what = "kubernetes.io/csi: mounter.SetUpAt failed: " if isinstance(error, OSError) else ""
            raise failed(step, volume.spec_name, f"{what}{error}") from error

    async def refresh(self, uid: str) -> list[VolumeError]:
        """Publish a pod's volumes again where the CSIDriver says so, expand those that have grown; what went wrong."""
        errors = []
        for (owner, _), (pod, volume) in list(self._volumes.items()):
            if owner == uid:
                try:
                    await self._refresh(uid, pod, volume)
                except VolumeError as error:
                    errors.append(error)
        return errors

    async def _refresh(self, uid: str, pod: Pod, volume: Volume) -> None:
        obj = await self._lookup.driver(volume)
        wanted = self._record(uid, volume, obj)
        _, target = self._target(uid, pod, volume)
        async with self._lock(wanted.handle):
            if (obj.get("spec") or {}).get("requiresRepublish") and not volume.device:
                context = await self._lookup.attached(volume, obj, wanted)
                await self._publish(pod, volume, obj, wanted, target, context)
            await self._expand(pod, volume, wanted, target)

    async def _expand(self, pod: Pod, volume: Volume, wanted: Record, target: Path) -> None:
        driver = self._drivers.get(wanted.driver)
        if driver is None or not volume.claim or volume.read_only:
            return
        try:
            capabilities = await driver.capabilities()
            message = {
                "volume_id": wanted.handle,
                "volume_path": self._told(target),
                "volume_capability": request.capability(volume, pod.obj, capabilities),
                "secrets": await self._lookup.secrets(volume, volume.source.get("nodeExpandSecretRef"), None),
            }
            if STAGE_UNSTAGE_VOLUME in capabilities:
                message["staging_target_path"] = self._told(self._staging_target(volume.device, wanted))
            size = await expand(self._client, driver, pod.obj["metadata"]["namespace"], volume.claim, message)
            if size:
                log.info("volume %s has %s now", volume.spec_name, size)
        except (RpcError, ApiError, TransportError) as error:
            raise failed("MountVolume.NodeExpandVolume", volume.spec_name, error) from error

    # -- down ----------------------------------------------------------------------------------------------------------

    async def unmount(self, pod_dir: Path, uid: str) -> None:
        """Unpublish what the pod has, as the disk says; unstage what nobody uses any more. Raises ``VolumeError``."""
        for one in (*record.published(pod_dir), *self._places.devices(uid)):
            async with self._lock(one.record.handle):
                await self._unpublish(one)
                if one.record.lifecycle == "Persistent":
                    await self._unstage_if_last(one)
        for key in [key for key in self._volumes if key[0] == uid]:
            del self._volumes[key]
        for key in [key for key in self._soon if key[0] == uid]:
            del self._soon[key]
        await asyncio.to_thread(_remove_empty, pod_dir / "volumes" / layout.PLUGINS["csi"])

    async def _unpublish(self, one: Published) -> None:
        name = one.record.spec_name
        what = "Unmounter.TearDownAt failed to get CSI client"
        driver = self._driver(one.record.driver, "UnmountVolume.TearDown", what, name)
        message = {"volume_id": one.record.handle, "target_path": self._told(one.target)}
        try:
            await driver.call(NODE_UNPUBLISH, message)
            await asyncio.to_thread(_forget, one)
        except (RpcError, OSError) as error:
            raise failed("UnmountVolume.TearDown", name, error) from error

    async def _unstage_if_last(self, one: Published) -> None:
        directory = self._places.staging(one.record.driver, one.record.handle)
        staged = record.read(directory / record.NAME)
        others = await asyncio.to_thread(list, self._places.all_of(one.record.driver, one.record.handle))
        if staged is not None and not others:
            await self._unstage(staged, directory)

    async def _unstage(self, staged: Record, directory: Path) -> None:
        what = "attacher.UnmountDevice failed to create newCsiDriverClient"
        driver = self._driver(staged.driver, "UnmountDevice", what, staged.spec_name)
        device = self._places.staging_device(staged.spec_name)
        try:
            for target in (directory / "globalmount", device):
                if target.exists():
                    message = {"volume_id": staged.handle, "staging_target_path": self._told(target)}
                    await driver.call(NODE_UNSTAGE, message)
                    await asyncio.to_thread(_remove_target, target)
            await asyncio.to_thread(_remove_record, directory)
        except (RpcError, OSError) as error:
            raise failed("UnmountDevice", staged.spec_name, error) from error

    # -- paths ---------------------------------------------------------------------------------------------------------

    def _target(self, uid: str, pod: Pod, volume: Volume) -> tuple[Path, Path]:
        """Where a pod's record of a volume is, and where the driver puts the volume."""
        if volume.device:
            name = volume.spec_name
            return self._places.device_record(name, uid), self._places.publish_device(name, uid)
        directory = layout.directory(pod.volumes, "csi", volume.spec_name)
        return directory, directory / "mount"

    def _staging_target(self, device: bool, wanted: Record) -> Path:
        if device:
            return self._places.staging_device(wanted.spec_name)
        return self._places.staging(wanted.driver, wanted.handle) / "globalmount"

    def _told(self, path: Path) -> str:
        """A place as drivers know it, which look at the node from within a container."""
        return str(self._told_dir / path.relative_to(self._data_dir))


def _parent(target: Path) -> None:
    """The driver makes the target itself; what is above it is ours."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)


def _remove_target(target: Path) -> None:
    """An empty directory or file; a mount that the driver has left is taken away, never entered."""
    kernel.unmount_tree(target)
    if target.is_dir():
        target.rmdir()
    else:
        target.unlink(missing_ok=True)


def _forget(one: Published) -> None:
    """The record goes last: until then it is known that something may be left."""
    _remove_target(one.target)
    _remove_record(one.directory)
    if one.device:
        for empty in (one.target.parent, one.directory.parent, one.directory.parent.parent):
            with contextlib.suppress(OSError):
                empty.rmdir()


def _remove_record(directory: Path) -> None:
    (directory / record.NAME).unlink(missing_ok=True)
    (directory / f"{record.NAME}.tmp").unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        directory.rmdir()


def unique_name(volume: Record) -> str:
    """How a volume is called in the node's status."""
    return f"kubernetes.io/csi/{volume.driver}^{volume.handle}"


def _remove_empty(plugin: Path) -> None:
    """Directories without a whole record: a power cut came before the driver was asked."""
    for directory in plugin.iterdir() if plugin.is_dir() else ():
        _remove_target(directory / "mount")
        _remove_record(directory)
    with contextlib.suppress(FileNotFoundError):
        plugin.rmdir()
