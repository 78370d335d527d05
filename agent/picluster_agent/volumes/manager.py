"""Volumes of one pod that the node makes by itself: set up, and refreshed when the objects behind them change.

Secrets, tokens and what is projected lie on a tmpfs and never reach the disk. Everything here blocks (it is disk work)
and is meant for a thread; it may be called again at any time and does only what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from picluster.api.types import Object
from picluster_agent import kernel
from picluster_agent.podman.env import ConfigError, NodeFacts, Sources
from picluster_agent.volumes import atomic, emptydir, layout, ownership, payload, persistent, tmpfs
from picluster_agent.volumes.claims import Volume, check_node, takes_fs_group
from picluster_agent.volumes.layout import Place

PRIVATE_TMPFS = ("mode=0777", "size=16m")
HERE = (*layout.OURS, "hostPath", "local", "nfs")
"""Kinds that are set up here."""


class VolumeError(Exception):
    """A volume cannot be set up; the message is that of the FailedMount event."""


@dataclass(frozen=True, slots=True)
class Pod:
    """Whose volumes they are, and what they are made of."""

    volumes: Path
    plugins: Path
    obj: Object
    sources: Sources
    node: NodeFacts
    node_labels: Object


def set_up(pod: Pod, volumes: Iterable[Volume]) -> dict[str, Place]:
    """Make or refresh the volumes that are set up here; where each one is. Raises ``VolumeError``."""
    places: dict[str, Place] = {}
    for volume in volumes:
        if volume.kind not in HERE:
            continue
        if volume.persistent is not None:
            try:
                check_node(volume.persistent, pod.node_labels, pod.node.name)
            except ConfigError as error:
                raise failed("MountVolume.NodeAffinity check", volume.spec_name, error) from error
        try:
            places[volume.name] = _set_up_one(pod, volume)
        except (ConfigError, ValueError, OSError) as error:
            raise failed("MountVolume.SetUp", volume.spec_name, error) from error
    return places


def failed(step: str, name: str, error: Exception | str) -> VolumeError:
    """In the kubelet's words: ``MountVolume.SetUp failed for volume "x" : …``."""
    return VolumeError(f'{step} failed for volume "{name}" : {error}')


def refresh(pod: Pod) -> list[VolumeError]:
    """Bring the files of ConfigMaps, Secrets and fields up to date; what could not be is as it was, and said."""
    errors = []
    for volume in pod.obj["spec"].get("volumes") or ():
        kind, name = layout.kind_of(volume), volume["name"]
        if kind not in layout.FILES or not (path := layout.directory(pod.volumes, kind, name)).is_dir():
            continue
        try:
            files = payload.volume_payload(volume, pod.obj, pod.sources, pod.node, "")
            atomic.write(path, files, gid=ownership.fs_group(pod.obj))
        except (ConfigError, ValueError, OSError) as error:
            errors.append(failed("MountVolume.SetUp", name, error))
    return errors


def _set_up_one(pod: Pod, volume: Volume) -> Place:
    gid = ownership.fs_group(pod.obj)
    if volume.kind in layout.FILES:
        return Place(_files(pod, volume, gid), read_only=True, relabel=True)
    if volume.kind == "emptyDir":
        path = layout.directory(pod.volumes, "emptyDir", volume.name)
        emptydir.set_up(path, volume.source, pod.obj, pod.node)
        return Place(path, relabel=True)
    path = persistent.set_up(volume, pod.volumes, pod.plugins)
    if takes_fs_group(volume) and not volume.read_only:
        ownership.apply(path, gid, only_mismatch=ownership.only_on_mismatch(pod.obj))
    return Place(path, read_only=volume.read_only, device=volume.device, claim=volume.claim)


def _files(pod: Pod, volume: Volume, gid: int) -> Path:
    """The source is read first: nothing is made for a volume whose objects are missing."""
    files = payload.volume_payload({volume.kind: volume.source}, pod.obj, pod.sources, pod.node, "")
    path = layout.directory(pod.volumes, volume.kind, volume.name)
    path.mkdir(parents=True, exist_ok=True)
    if volume.kind != "configMap" and not kernel.is_mount(path):
        tmpfs.mount(path, *PRIVATE_TMPFS)
    atomic.write(path, files, gid=gid)
    return path
