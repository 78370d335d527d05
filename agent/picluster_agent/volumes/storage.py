"""The node's storage beyond single pods: who uses which PersistentVolume, and the drivers of CSI.

``take`` and ``release`` keep count of volumes in use; what was taken before the agent started is found again as each
pod's volumes are set up. Drivers are a part of their own, loaded with the first that registers or the first volume that
needs one: most boards have none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from picluster.client import Client
from picluster.util.clock import Clock
from picluster_agent.volumes import claims, layout, persistent
from picluster_agent.volumes.claims import Volume
from picluster_agent.volumes.csi import watch
from picluster_agent.volumes.layout import Place
from picluster_agent.volumes.manager import Pod, VolumeError

if TYPE_CHECKING:
    from picluster_agent.volumes.csi.manager import Csi


class Storage:
    def __init__(self, client: Client, clock: Clock, node_name: str, data_dir: Path, kubelet_dir: Path) -> None:
        self._client = client
        self._clock = clock
        self._node_name = node_name
        self._data_dir = data_dir
        self._kubelet_dir = self._told_dir = kubelet_dir
        self._registry = watch.Registry(data_dir / watch.REGISTRY, self._sockets_changed)
        self._users: dict[str, set[str]] = {}
        self._waiting: dict[str, Callable[[], None]] = {}
        self.on_in_use: Callable[[], None] = lambda: None
        """Told when ``volumes_in_use`` says more than before."""
        self._csi: Csi | None = None

    @property
    def csi(self) -> Csi:
        if self._csi is None:
            from picluster_agent.volumes.csi.manager import Csi

            self._csi = Csi(
                self._client,
                self._clock,
                self._node_name,
                self._data_dir,
                self._told_dir,
                self._driver_came,
                self.on_in_use,
            )
        return self._csi

    def take(self, volume: Volume, uid: str) -> bool:
        """Note that a pod uses a PersistentVolume; false when the volume is for one pod and another has it."""
        users = self._users.setdefault(volume.spec_name, set())
        if claims.for_one_pod(volume) and users - {uid}:
            return False
        users.add(uid)
        return True

    async def release(self, uid: str) -> None:
        """A pod is over, its mounts are gone: let go what it shared with others."""
        self._waiting.pop(uid, None)
        for users in self._users.values():
            users.discard(uid)
        self._users = {name: users for name, users in self._users.items() if users}
        await asyncio.to_thread(persistent.release_shared, self._data_dir / "plugins", self._mounted_local())

    def _mounted_local(self) -> list[str]:
        """PersistentVolumes of kind ``local`` that some pod has here, as the directories say."""
        pattern = f"*/volumes/{layout.PLUGINS['local']}/*"
        return [place.name for place in (self._data_dir / "pods").glob(pattern)]

    def _driver_came(self) -> None:
        for try_again in list(self._waiting.values()):
            try_again()

    def volumes_in_use(self) -> Sequence[str]:
        """``status.volumesInUse`` of the node: volumes that must not be detached from it."""
        return self._csi.in_use() if self._csi is not None else ()

    async def mount(self, uid: str, pod: Pod, volume: Volume, try_again: Callable[[], None]) -> Place:
        """Have a volume of CSI published for a pod; raises ``VolumeError``, and tells when a driver has come."""
        self._waiting[uid] = try_again
        place = await self.csi.mount(uid, pod, volume)
        self._waiting.pop(uid, None)
        return place

    async def unmount(self, pod_dir: Path, uid: str, try_again: Callable[[], None]) -> None:
        """Have a pod's volumes of CSI unpublished, and unstaged by their last user; raises as ``mount``."""
        self._waiting[uid] = try_again
        if (pod_dir / "volumes" / layout.PLUGINS["csi"]).is_dir() or self._has_devices(uid):
            await self.csi.unmount(pod_dir, uid)

    def _has_devices(self, uid: str) -> bool:
        root = self._data_dir / "plugins" / "kubernetes.io" / "csi" / "volumeDevices"
        return root.is_dir() and any(root.glob(f"*/data/{uid}"))

    async def refresh(self, uid: str) -> list[VolumeError]:
        """Tell drivers again what they want to be told regularly; what went wrong."""
        return await self._csi.refresh(uid) if self._csi is not None else []

    async def start(self) -> None:
        """Begin to look for drivers."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self._told_dir = watch.link(self._kubelet_dir, self._data_dir)
        self._registry.start()

    async def close(self) -> None:
        self._registry.close()
        if self._csi is not None:
            await self._csi.close()

    def _sockets_changed(self, sockets: set[Path]) -> None:
        if sockets or self._csi is not None:
            self.csi.sockets_changed(sockets)
