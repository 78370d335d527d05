"""Volumes of one pod on disk: made, refreshed, and taken away again.

    <data_dir>/pods/<uid>/volumes/<name>         emptyDir, configMap, secret, projected, downwardAPI
    <data_dir>/pods/<uid>/subpaths/…             nothing: a subPath is a path inside a volume, checked before each start

Secrets, tokens and what is projected lie on a tmpfs and never reach the disk. Everything here blocks (it is disk work)
and is meant for a thread; taking down is safe without setting up.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from picluster.api import quantity
from picluster.api.types import Object
from picluster_agent import kernel
from picluster_agent.podman.env import ConfigError, NodeFacts, Sources, expand
from picluster_agent.podman.launch import Mount
from picluster_agent.volumes import atomic, payload

PRIVATE_TMPFS = "mode=0755,size=16m"
PROPAGATION = {"HostToContainer": "rslave", "Bidirectional": "rshared"}


class VolumeError(Exception):
    """A volume cannot be set up; the message is that of the FailedMount event."""


def set_up(root: Path, pod: Object, sources: Sources, node: NodeFacts) -> dict[str, Path]:
    """Make or refresh every volume of ``pod`` below ``root``; where each one is on the host."""
    places: dict[str, Path] = {}
    for volume in pod["spec"].get("volumes") or ():
        name = volume["name"]
        try:
            places[name] = _set_up_one(root / name, volume, pod, sources, node)
        except (ConfigError, ValueError) as error:
            raise VolumeError(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error
        except OSError as error:
            raise VolumeError(f'MountVolume.SetUp failed for volume "{name}" : {error.strerror}: {error}') from error
    return places


def refresh(root: Path, pod: Object, sources: Sources, node: NodeFacts) -> None:
    """Bring the files of ConfigMaps, Secrets and fields up to date; other volumes are left alone."""
    for volume in pod["spec"].get("volumes") or ():
        if any(kind in volume for kind in payload.KINDS) and (root / volume["name"]).is_dir():
            files = payload.volume_payload(volume, pod, sources, node, "")
            atomic.write(root / volume["name"], files, gid=_fs_group(pod))


def tear_down(pod_dir: Path) -> None:
    """Unmount and remove all volumes of a pod; what a container left mounted below goes first."""
    for point in kernel.mount_points(pod_dir / "volumes"):
        kernel.unmount(point)
    shutil.rmtree(pod_dir / "volumes", ignore_errors=True)


def _set_up_one(path: Path, volume: Object, pod: Object, sources: Sources, node: NodeFacts) -> Path:
    if (host := volume.get("hostPath")) is not None:
        return host_path(Path(host["path"]), host.get("type") or "")
    if (empty := volume.get("emptyDir")) is not None:
        _empty_dir(path, empty, _fs_group(pod))
        return path
    if any(volume.get(kind) is not None for kind in payload.KINDS):
        files = payload.volume_payload(volume, pod, sources, node, "")
        path.mkdir(parents=True, exist_ok=True)
        if "configMap" not in volume and not path.is_mount():
            kernel.mount("tmpfs", path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, PRIVATE_TMPFS)
        atomic.write(path, files, gid=_fs_group(pod))
        return path
    kind = next((key for key in volume if key != "name"), "emptyDir")
    raise ConfigError(f"volumes of type {kind} are not served by this cluster")


def _fs_group(pod: Object) -> int:
    group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    return -1 if group is None else int(group)


def _empty_dir(path: Path, source: Object, gid: int) -> None:
    """Present already means made by an earlier sync: its content is the pod's and stays."""
    path.mkdir(parents=True, exist_ok=True)
    if source.get("medium") == "Memory" and not path.is_mount():
        limit = source.get("sizeLimit")
        options = f"size={quantity.value(limit)}" if limit not in (None, "0", 0) else ""
        kernel.mount("tmpfs", path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
    wanted = 0o2777 if gid >= 0 else 0o777
    if stat.S_IMODE(path.stat().st_mode) != wanted:
        if gid >= 0:
            os.chown(path, -1, gid)
        path.chmod(wanted)


_CHECKS: dict[str, tuple[Callable[[Path], bool], str]] = {
    "Directory": (Path.is_dir, "a directory"),
    "DirectoryOrCreate": (Path.is_dir, "a directory"),
    "File": (Path.is_file, "a file"),
    "FileOrCreate": (Path.is_file, "a file"),
    "Socket": (Path.is_socket, "a socket file"),
    "CharDevice": (Path.is_char_device, "a character device"),
    "BlockDevice": (Path.is_block_device, "a block device"),
}


def host_path(path: Path, kind: str) -> Path:
    """The directory or file of the node itself, checked or made as its type says."""
    if not kind:
        if not path.exists():
            path.mkdir(parents=True, mode=0o755)
        return path
    if kind == "DirectoryOrCreate" and not path.exists():
        path.mkdir(parents=True, mode=0o755)
    if kind == "FileOrCreate" and not path.exists():
        path.touch(mode=0o644)
    check, what = _CHECKS[kind]
    if not check(path):
        raise ConfigError(f"hostPath type check failed: {path} is not {what}")
    return path


def mounts(container: Object, places: Mapping[str, Path], env: Mapping[str, str]) -> list[Mount]:
    """The bind mounts of a container, parents before what lies in them; raises ``ConfigError``."""
    listed = []
    for entry in container.get("volumeMounts") or ():
        place = places.get(entry["name"])
        if place is None:
            raise ConfigError(f'no volume with name "{entry["name"]}" found')
        inner = entry.get("subPath") or ""
        if template := entry.get("subPathExpr"):
            inner = expand(template, env)
            if "$(" in inner:
                raise ConfigError(f"failed to expand subPath {template!r}")
        source = sub_path(place, inner) if inner else place
        propagation = PROPAGATION.get(entry.get("mountPropagation") or "", "rprivate")
        listed.append(Mount(source, entry["mountPath"], bool(entry.get("readOnly")), propagation))
    return sorted(listed, key=lambda mount: len(Path(mount.target).parts))


def sub_path(place: Path, inner: str) -> Path:
    """What ``inner`` names inside the volume at ``place``; a directory is made where nothing is.

    Links are followed, but never out of the volume: a container may have put them there.
    """
    if inner.startswith("/") or ".." in Path(inner).parts:
        raise ConfigError(f"subPath {inner!r} must be a relative path inside the volume")
    root = place.resolve()
    target = (root / inner).resolve()
    if not target.is_relative_to(root):
        raise ConfigError(f"subPath {inner!r} leads out of the volume")
    if not target.exists():
        target.mkdir(parents=True)
        with contextlib.suppress(OSError):
            target.chmod(stat.S_IMODE(root.stat().st_mode))
    return target
