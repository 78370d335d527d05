"""hostPath: a directory, file, socket or device of the node itself, checked or made as its type says.

Wording and modes are the kubelet's (``pkg/volume/hostpath/host_path.go``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from picluster_agent.podman.env import ConfigError

_CHECKS: dict[str, tuple[Callable[[Path], bool], str]] = {
    "Directory": (Path.is_dir, "a directory"),
    "DirectoryOrCreate": (Path.is_dir, "a directory"),
    "File": (Path.is_file, "a file"),
    "FileOrCreate": (Path.is_file, "a file"),
    "Socket": (Path.is_socket, "a socket file"),
    "CharDevice": (Path.is_char_device, "a character device"),
    "BlockDevice": (Path.is_block_device, "a block device"),
}


def set_up(path: Path, kind: str) -> Path:
    """Where it is; raises ``ConfigError`` when it is not what ``kind`` says."""
    if not kind:
        if not os.path.lexists(path):  # whoever starts a container makes a missing source
            path.mkdir(parents=True, mode=0o755, exist_ok=True)
        return path
    if kind == "DirectoryOrCreate" and not path.exists():
        path.mkdir(parents=True, mode=0o755, exist_ok=True)
    if kind == "FileOrCreate" and not path.exists():
        if not path.parent.is_dir():  # its directory is not made
            raise ConfigError(f"open {path}: no such file or directory")
        path.touch(mode=0o644)
    check, what = _CHECKS[kind]
    if not check(path):
        raise ConfigError(f"hostPath type check failed: {path} is not {what}")
    return path
