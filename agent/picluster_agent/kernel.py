"""The few system calls that Python has no name for: mounts, and namespaces that outlive their process.

A sandbox's namespaces are made by a thread that leaves the agent's own, pins the new ones by bind mounts, and ends; no
process is started and none has to stay. (An infra container would cost 80 ms and a monitor process for each pod, where
this costs 2 ms; CRI-O's ``pinns`` does the same.)
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Mapping
from pathlib import Path

CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWNET = 0x40000000
NAMESPACES = {"net": CLONE_NEWNET, "ipc": CLONE_NEWIPC, "uts": CLONE_NEWUTS}

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MNT_DETACH = 2

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: Path, kind: str, flags: int = 0, options: str = "") -> None:
    data = options.encode() or None
    result = _libc.mount(source.encode(), str(target).encode(), kind.encode(), ctypes.c_ulong(flags), data)
    _checked(result, f"mount {target}")


def unmount(target: Path) -> None:
    """Detach a mount point; none there is no failure."""
    if _libc.umount2(str(target).encode(), MNT_DETACH) != 0:
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOENT):
            raise OSError(number, f"unmount {target}: {os.strerror(number)}")


def mount_points(below: Path) -> list[Path]:
    """Mount points at or below a directory, innermost first."""
    prefix = str(below)
    points = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:  # noqa: PTH123
        for line in table:
            path = line.split(" ", 5)[4].encode("latin-1", "backslashreplace").decode("unicode_escape")
            if path == prefix or path.startswith(prefix + "/"):
                points.append(Path(path))
    return sorted(points, key=lambda path: len(path.parts), reverse=True)


def is_namespace(path: Path) -> bool:
    """Whether a namespace is pinned at ``path``."""
    try:
        return path.stat().st_dev != path.parent.stat().st_dev
    except FileNotFoundError:
        return False


def pin_namespaces(pins: Mapping[str, Path], hostname: str, sysctls: Mapping[str, str]) -> None:
    """Make one new namespace of each kind (``net``, ``ipc``, ``uts``) and pin it at its path.

    In the new network namespace the loopback interface is up; the new UTS namespace has ``hostname``. Blocks for some
    milliseconds. Raises ``OSError``; what was pinned until then stays for ``unpin_namespaces``.
    """
    failures: list[BaseException] = []

    def work() -> None:
        try:
            _pin(pins, hostname, sysctls)
        except BaseException as failure:  # carried over to the calling thread
            failures.append(failure)

    thread = threading.Thread(target=work, name="pin-namespaces")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def _pin(pins: Mapping[str, Path], hostname: str, sysctls: Mapping[str, str]) -> None:
    flags = 0
    for kind in pins:
        flags |= NAMESPACES[kind]
    _checked(_libc.unshare(flags), "unshare")
    if "uts" in pins:
        name = hostname.encode()
        _checked(_libc.sethostname(name, len(name)), "sethostname")
    if "net" in pins:
        _loopback_up()
    for key, value in sysctls.items():
        Path("/proc/sys", key.replace(".", "/")).write_text(value)
    thread = f"/proc/self/task/{threading.get_native_id()}/ns"
    for kind, path in pins.items():
        path.touch(mode=0o600)
        mount(f"{thread}/{kind}", path, "none", MS_BIND)


def unpin_namespaces(pins: Mapping[str, Path]) -> None:
    """Let namespaces go with their last process; safe without ``pin_namespaces``."""
    for path in pins.values():
        unmount(path)
        path.unlink(missing_ok=True)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))
