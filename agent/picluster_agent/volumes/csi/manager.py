"""Volumes of CSI drivers: attached (we wait), staged once per node, published for each pod, and all that backwards.

What has been asked of a driver is on the disk before it is asked (``record``), so whatever may have happened is undone
by asking again: every call of CSI may be repeated. A directory into which a driver has put a volume is only ever
removed by ``rmdir``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from picluster.api.errors import ApiError
from picluster.api.resources import CSI_DRIVERS, SECRETS, SERVICE_ACCOUNTS, VOLUME_ATTACHMENTS
from picluster.api.types import Object
from picluster.client import Client, TransportError
from picluster.util.backoff import Backoff
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks
from picluster_agent import kernel
from picluster_agent.grpc.unary import RpcError
from picluster_agent.podman.env import ConfigError, secret_data
from picluster_agent.volumes import claims, layout, ownership
from picluster_agent.volumes.claims import Volume
from picluster_agent.volumes.csi import record, registration, request
from picluster_agent.volumes.csi.driver import Driver
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
FETCH_TIMEOUT_S = 5.0
TOKEN_LIFETIME_S = 3600


class Csi:
    """Every driver of this node, and every volume of theirs."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        node_name: str,
        data_dir: Path,
        told_dir: Path,
        on_driver: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._node_name = node_name
        self._data_dir = data_dir
        self._told_dir = told_dir
        self._on_driver = on_driver
        self._places = record.Places(data_dir)
        self._drivers: dict[str, Driver] = {}
        self._joining: dict[Path, asyncio.Task[None]] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._volumes: dict[tuple[str, str], tuple[Pod, Volume]] = {}
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
            if staged.driver == driver.name and not any(self._places.all_of(driver.name, staged.handle)):
                with contextlib.suppress(VolumeError):
                    await self._unstage(staged, directory)

    def _driver(self, name: str, step: str, what: str, volume: str) -> Driver:
        driver = self._drivers.get(name)
        if driver is None:
            text = f"kubernetes.io/csi: {what}: driver name {name} not found in the list of registered CSI drivers"
            raise failed(step, volume, text)
        return driver

    def in_use(self) -> Sequence[str]:
        """Attachable volumes with a mount here, as ``kubernetes.io/csi/<driver>^<handle>``."""
        return sorted(
            {
                f"kubernetes.io/csi/{one.record.driver}^{one.record.handle}"
                for one in self._places.everything()
                if one.record.attachment
            }
        )

    # -- up ------------------------------------------------------------------------------------------------------------

    async def mount(self, uid: str, pod: Pod, volume: Volume) -> Place:
        """Attached, staged, published; what stands already is left alone. Raises ``VolumeError``."""
        if volume.persistent is not None:
            try:
                claims.check_node(volume.persistent, pod.node_labels, pod.node.name)
            except ConfigError as error:
                raise failed("MountVolume.NodeAffinity check", volume.spec_name, error) from error
        wanted = self._record(uid, volume)
        driver = await self._object(volume)
        self._volumes[uid, volume.name] = (pod, volume)
        if volume.device:
            directory, target = (
                self._places.device_record(volume.spec_name, uid),
                self._places.publish_device(volume.spec_name, uid),
            )
        else:
            directory = layout.directory(pod.volumes, "csi", volume.spec_name)
            target = directory / "mount"
        place = Place(target, read_only=volume.read_only, device=volume.device, claim=volume.claim)
        async with self._locks[wanted.handle]:
            if await asyncio.to_thread(self._stands, directory, target, wanted, volume.device):
                return place
            problem = request.lifecycle_problem(volume, driver)
            if problem:
                raise failed("MountVolume.SetUp", volume.spec_name, f"kubernetes.io/csi: {problem}")
            context = await self._attached(volume, driver, wanted)
            await asyncio.to_thread(record.write, directory, wanted)
            await self._stage(pod, volume, wanted, context)
            await self._publish(pod, volume, driver, wanted, target, context)
        return place

    def _record(self, uid: str, volume: Volume) -> Record:
        name = volume.source["driver"]
        if volume.persistent is None:
            handle = record.ephemeral_handle(uid, volume.name)
            return Record(volume.name, handle, name, self._node_name, lifecycle="Ephemeral")
        handle = volume.source["volumeHandle"]
        attachment = record.attachment_name(handle, name, self._node_name)
        return Record(volume.spec_name, handle, name, self._node_name, attachment)

    @staticmethod
    def _stands(directory: Path, target: Path, wanted: Record, device: bool) -> bool:
        if record.read(directory / record.NAME) is None:
            return False
        return kernel.is_mount(target) or (device and target.is_block_device())

    async def _object(self, volume: Volume) -> Object:
        """The CSIDriver, or nothing where the driver has none."""
        return await self._get(CSI_DRIVERS, volume.source["driver"], None, volume, missing={})

    async def _get(
        self, resource: Any, name: str, namespace: str | None, volume: Volume, missing: Object | None = None
    ) -> Object:
        try:
            return await self._client.get(resource, name, namespace=namespace, timeout_s=FETCH_TIMEOUT_S)
        except ApiError as error:
            if error.code == 404 and missing is not None:
                return missing
            raise failed("MountVolume.SetUp", volume.spec_name, f"kubernetes.io/csi: {error}") from error
        except TransportError as error:
            raise failed("MountVolume.SetUp", volume.spec_name, f"kubernetes.io/csi: {error}") from error

    async def _attached(self, volume: Volume, driver: Object, wanted: Record) -> dict[str, str]:
        """The publish context, once the volume is attached to this node; nothing where drivers do not attach."""
        if volume.persistent is None or (driver.get("spec") or {}).get("attachRequired") is False:
            return {}
        step, name = "MountVolume.WaitForAttach", wanted.attachment
        try:
            found = await self._client.get(VOLUME_ATTACHMENTS, name, timeout_s=FETCH_TIMEOUT_S)
        except (ApiError, TransportError) as error:
            text = f"volume {wanted.handle} has GET error for volume attachment {name}: {error}"
            raise failed(step, volume.spec_name, text) from error
        status = found.get("status") or {}
        if not status.get("attached"):
            wrong = (status.get("attachError") or {}).get("message")
            raise failed(step, volume.spec_name, wrong or f"watch error: volume {wanted.handle} is not attached yet")
        return dict(status.get("attachmentMetadata") or {})

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
                "secrets": await self._secrets(volume, volume.source.get("nodeStageSecretRef"), None),
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
                "secrets": await self._secrets(volume, reference, pod.obj),
                "volume_context": request.context(volume, pod.obj, obj, await self._tokens(volume, pod.obj, obj)),
            }
            await driver.call(NODE_PUBLISH, message)
            if request.applies_fs_group(volume, obj, capabilities):
                gid, only = ownership.fs_group(pod.obj), ownership.only_on_mismatch(pod.obj)
                await asyncio.to_thread(ownership.apply, target, gid, only_mismatch=only)
        except (RpcError, OSError) as error:
            what = "kubernetes.io/csi: mounter.SetUpAt failed: " if isinstance(error, OSError) else ""
            raise failed(step, volume.spec_name, f"{what}{error}") from error

    async def _secrets(self, volume: Volume, reference: Object | None, pod: Object | None) -> dict[str, str]:
        """A secret that the volume refers to; an inline volume's is in its pod's namespace."""
        if not reference:
            return {}
        namespace = reference.get("namespace") or (pod or {"metadata": {}})["metadata"].get("namespace")
        secret = await self._get(SECRETS, reference["name"], namespace, volume)
        return {key: value.decode(errors="replace") for key, value in secret_data(secret).items()}

    async def _tokens(self, volume: Volume, pod: Object, driver: Object) -> dict[str, Object]:
        """Tokens of the pod's account that the driver wants to act with (KEP-2047), by audience."""
        found: dict[str, Object] = {}
        metadata = pod["metadata"]
        for wanted in (driver.get("spec") or {}).get("tokenRequests") or ():
            audience = wanted.get("audience") or ""
            reference = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
            spec: Object = {
                "audiences": [audience] if audience else [],
                "boundObjectRef": reference,
                "expirationSeconds": wanted.get("expirationSeconds") or TOKEN_LIFETIME_S,
            }
            account = pod["spec"].get("serviceAccountName") or "default"
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": spec}
            try:
                answer = await self._client.create(
                    SERVICE_ACCOUNTS, body, namespace=metadata["namespace"], name=account, subresource="token"
                )
            except (ApiError, TransportError) as error:
                text = f"kubernetes.io/csi: failed to fetch token: {error}"
                raise failed("MountVolume.SetUp", volume.spec_name, text) from error
            status = answer["status"]
            found[audience] = {"token": status["token"], "expirationTimestamp": status["expirationTimestamp"]}
        return found

    async def republish(self, pod_dir: Path, pod: Object) -> list[VolumeError]:
        """Publish again where the CSIDriver says ``requiresRepublish``; what went wrong."""
        errors = []
        for (uid, _), (of_pod, volume) in list(self._volumes.items()):
            if uid != pod["metadata"]["uid"]:
                continue
            try:
                driver = await self._object(volume)
                if (driver.get("spec") or {}).get("requiresRepublish") and not volume.device:
                    wanted = self._record(uid, volume)
                    target = layout.directory(of_pod.volumes, "csi", volume.spec_name) / "mount"
                    async with self._locks[wanted.handle]:
                        context = await self._attached(volume, driver, wanted)
                        await self._publish(of_pod, volume, driver, wanted, target, context)
            except VolumeError as error:
                errors.append(error)
        return errors

    # -- down ----------------------------------------------------------------------------------------------------------

    async def unmount(self, pod_dir: Path, uid: str) -> None:
        """Unpublish what the pod has, as the disk says; unstage what nobody uses any more. Raises ``VolumeError``."""
        for one in (*record.published(pod_dir), *self._places.devices(uid)):
            async with self._locks[one.record.handle]:
                await self._unpublish(one)
                if one.record.lifecycle == "Persistent":
                    await self._unstage_if_last(one)
            if not self._locks[one.record.handle].locked():
                self._locks.pop(one.record.handle, None)
        for key in [key for key in self._volumes if key[0] == uid]:
            del self._volumes[key]
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


def _remove_record(directory: Path) -> None:
    (directory / record.NAME).unlink(missing_ok=True)
    (directory / f"{record.NAME}.tmp").unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        directory.rmdir()


def _remove_empty(plugin: Path) -> None:
    """Directories of which a power cut left nothing but themselves."""
    for directory in plugin.iterdir() if plugin.is_dir() else ():
        if kernel.mount_points(directory):
            raise VolumeError(f"something is mounted below {directory}, and nothing says by which driver")
        _remove_target(directory / "mount")
        _remove_record(directory)
    with contextlib.suppress(FileNotFoundError):
        plugin.rmdir()
