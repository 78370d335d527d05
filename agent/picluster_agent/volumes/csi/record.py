"""What is written to the disk of a volume that a driver was asked for, before it is asked: ``vol_data.json``.

An agent that has forgotten everything, or a board that has lost its power, knows from it whom to ask to take the volume
away. Names and places are the kubelet's (``pkg/volume/csi/csi_util.go``).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from picluster.api.types import Object
from picluster_agent.volumes import layout

NAME = "vol_data.json"
KEYS = {
    "spec_name": "specVolID",
    "handle": "volumeHandle",
    "driver": "driverName",
    "node": "nodeName",
    "attachment": "attachmentID",
    "lifecycle": "volumeLifecycleMode",
}


@dataclass(frozen=True, slots=True)
class Record:
    """A volume by its ``handle``; ``lifecycle`` is Persistent or Ephemeral, ``attachment`` empty for the latter."""

    spec_name: str
    handle: str
    driver: str
    node: str
    attachment: str = ""
    lifecycle: str = "Persistent"


@dataclass(frozen=True, slots=True)
class Published:
    """A record with the directory it was found in, and where the driver has put the volume."""

    record: Record
    directory: Path
    target: Path
    device: bool = False


def write(directory: Path, record: Record) -> None:
    """On the disk, for good, before the driver hears of the volume."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o750)
    _save(directory / NAME, {key: getattr(record, name) for name, key in KEYS.items()})


def _save(path: Path, document: Object) -> None:
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w") as stream:  # noqa: PTH123 - a descriptor with its own creation mode
        json.dump(document, stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def read(path: Path) -> Record | None:
    """A record; ``None`` where there is none, or none that a power cut left whole."""
    try:
        document = json.loads(path.read_bytes())
        return Record(**{name: str(document.get(key) or "") for name, key in KEYS.items()})
    except (OSError, ValueError, AttributeError):
        return None


def published(pod_dir: Path) -> list[Published]:
    """What drivers have put, or were about to put, into a pod's directory."""
    root = pod_dir / "volumes" / layout.PLUGINS["csi"]
    return [
        Published(record, directory, directory / "mount")
        for directory in (sorted(root.iterdir()) if root.is_dir() else ())
        if (record := read(directory / NAME)) is not None
    ]


@dataclass(frozen=True, slots=True)
class Places:
    """Where volumes are that pods share, below ``<data_dir>/plugins/kubernetes.io/csi``."""

    data_dir: Path

    @property
    def root(self) -> Path:
        return self.data_dir / "plugins" / "kubernetes.io" / "csi"

    def staging(self, driver: str, handle: str) -> Path:
        """The directory of a staged volume: its record, and ``globalmount``."""
        return self.root / driver / hashlib.sha256(handle.encode()).hexdigest()

    def staging_device(self, spec_name: str) -> Path:
        return self.root / "volumeDevices" / "staging" / spec_name

    def publish_device(self, spec_name: str, uid: str) -> Path:
        return self.root / "volumeDevices" / "publish" / spec_name / uid

    def device_record(self, spec_name: str, uid: str) -> Path:
        """The directory of the record of a device that a pod has."""
        return self.root / "volumeDevices" / spec_name / "data" / uid

    def devices(self, uid: str) -> list[Published]:
        """The devices that a pod has of drivers."""
        return [
            Published(record, directory, self.publish_device(record.spec_name, uid), device=True)
            for directory in sorted(self.root.glob(f"volumeDevices/*/data/{uid}"))
            if (record := read(directory / NAME)) is not None
        ]

    def all_of(self, driver: str, handle: str) -> Iterator[Published]:
        """Every pod's use of one volume on this node."""
        for published_ in self.everything():
            if (published_.record.driver, published_.record.handle) == (driver, handle):
                yield published_

    def everything(self) -> Iterator[Published]:
        """Every volume that every pod on this node has of a driver."""
        pods = self.data_dir / "pods"
        for pod_dir in pods.iterdir() if pods.is_dir() else ():
            yield from published(pod_dir)
        uids = {path.name for path in self.root.glob("volumeDevices/*/data/*")}
        for uid in uids:
            yield from self.devices(uid)

    def staged(self) -> Iterator[tuple[Path, Record]]:
        """Every volume that is staged, with its directory."""
        for path in self.root.glob(f"*/*/{NAME}"):
            if path.parts[-3] != "volumeDevices" and (record := read(path)) is not None:
                yield path.parent, record


def attachment_name(handle: str, driver: str, node: str) -> str:
    """The name of the VolumeAttachment that says whether a volume is attached to a node."""
    return "csi-" + hashlib.sha256(f"{handle}{driver}{node}".encode()).hexdigest()


def ephemeral_handle(uid: str, name: str) -> str:
    """The handle of an inline volume: made of the pod and its name for it."""
    return "csi-" + hashlib.sha256(f"{uid}{name}".encode()).hexdigest()
