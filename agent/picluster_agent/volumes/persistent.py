"""Volumes whose data outlives the pod and that need no driver: ``local``, ``nfs`` and ``hostPath``.

Each is mounted below the pod's own directory, so that its end is an unmount and an ``rmdir``. A block device with a
file system is formatted if it is blank and mounted once per node, and from there into each pod (the kubelet's
``SafeFormatAndMount``).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from picluster_agent import kernel
from picluster_agent.podman.env import ConfigError
from picluster_agent.volumes import hostpath, layout
from picluster_agent.volumes.claims import Volume

COMMAND_TIMEOUT_S = 120.0
"""A server that does not answer must not hold a thread for ever."""
DEFAULT_FILE_SYSTEM = "ext4"
RESERVED_FREE = ("-F", "-m0")
"""As the kubelet formats ext3 and ext4: no blocks are kept for root."""


def set_up(volume: Volume, volumes: Path, plugins: Path) -> Path:
    """Where it stands; ``plugins`` is for mounts that pods share. Blocks; raises ``ConfigError`` or ``OSError``."""
    if volume.kind == "hostPath":
        return hostpath.set_up(Path(volume.source["path"]), volume.source.get("type") or "")
    place = layout.directory(volumes, volume.kind, volume.spec_name)
    if volume.kind == "nfs":
        if not kernel.is_mount(place):
            place.mkdir(parents=True, exist_ok=True, mode=0o750)
            _run(nfs_command(volume, place))
        return place
    return _local(volume, place, plugins)


def nfs_command(volume: Volume, place: Path) -> list[str]:
    """``mount -t nfs -o … server:/path place``."""
    server = str(volume.source["server"])
    source = f"[{server}]" if ":" in server and not server.startswith("[") else server
    options = [*(("ro",) if volume.read_only else ()), *volume.mount_options]
    words = ["mount", "-t", "nfs"]
    if options:
        words += ["-o", ",".join(options)]
    return [*words, f"{source}:{volume.source['path']}", str(place)]


def _local(volume: Volume, place: Path, plugins: Path) -> Path:
    path = Path(volume.source["path"])
    if not path.exists():
        raise ConfigError(f'path "{path}" does not exist')
    if volume.device:
        if not path.is_block_device():
            raise ConfigError(f"{path} is not a block device")
        return path
    if path.is_block_device():
        path = _formatted(volume, path, plugins / "kubernetes.io" / "local-volume" / "mounts" / volume.spec_name)
    elif not path.is_dir():
        raise ConfigError("only directory and block device are supported")
    if not kernel.is_mount(place):
        place.mkdir(parents=True, exist_ok=True, mode=0o750)
        descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            kernel.bind(descriptor, place)
        finally:
            os.close(descriptor)
    return place


def _formatted(volume: Volume, device: Path, place: Path) -> Path:
    """The device's file system, mounted once for all pods of the node; it is made only on a blank device."""
    if kernel.is_mount(place):
        return place
    wanted = str(volume.source.get("fsType") or DEFAULT_FILE_SYSTEM)
    if not _file_system(device):
        if volume.read_only:
            raise ConfigError(f"cannot mount unformatted disk {device} as we are manipulating it in read-only mode")
        _run([f"mkfs.{wanted}", *(RESERVED_FREE if wanted in ("ext3", "ext4") else ()), str(device)])
    place.mkdir(parents=True, exist_ok=True, mode=0o750)
    options = ["defaults", *(("ro",) if volume.read_only else ()), *volume.mount_options]
    _run(["mount", "-t", wanted, "-o", ",".join(options), str(device), str(place)])
    return place


def _file_system(device: Path) -> str:
    """What is on a device already: a file system, or a partition table, which is as good a reason not to format it."""
    words = ["blkid", "-p", "-s", "TYPE", "-s", "PTTYPE", "-o", "export", str(device)]
    done = _done(words)
    if done.returncode == 2:
        return ""
    if done.returncode != 0:
        raise ConfigError(f"cannot look at {device}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def release_shared(plugins: Path, used: Sequence[str]) -> None:
    """Unmount block devices' file systems that no pod uses any more; ``used`` are PersistentVolumes' names."""
    root = plugins / "kubernetes.io" / "local-volume" / "mounts"
    if not root.is_dir():
        return
    for place in root.iterdir():
        if place.name not in used:
            kernel.unmount_tree(place)
            place.rmdir()


def _done(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S)
    except FileNotFoundError as error:
        raise ConfigError(f"{words[0]} is not installed on this node") from error
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"{words[0]} did not end within {COMMAND_TIMEOUT_S:g}s") from error


def _run(words: Sequence[str]) -> None:
    done = _done(words)
    if done.returncode == 0:
        return
    output = (done.stderr or done.stdout).strip()
    if words[0] == "mount":
        raise ConfigError(
            f"mount failed: exit status {done.returncode}\nMounting command: mount\n"
            f"Mounting arguments: {' '.join(words[1:])}\nOutput: {output}"
        )
    raise ConfigError(f"{words[0]} failed: exit status {done.returncode}: {output}")
