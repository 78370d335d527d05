"""The few system calls that Python has no name for: mounts, paths that cannot be led astray, lasting namespaces.

A sandbox's namespaces are made by a thread that leaves the agent's own, pins the new ones by bind mounts, and ends; no
process is started and none has to stay. (An infra container would cost 80 ms and a monitor process for each pod, where
this costs 2 ms; CRI-O's ``pinns`` does the same.)
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWNET = 0x40000000
NAMESPACES = {"net": CLONE_NEWNET, "ipc": CLONE_NEWIPC, "uts": CLONE_NEWUTS}

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2

_AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 1
MOVE_MOUNT_F_EMPTY_PATH = 4
MOUNT_ATTR_RDONLY = 1
RESOLVE_NO_XDEV = 1
RESOLVE_NO_MAGICLINKS = 2
RESOLVE_NO_SYMLINKS = 4
RESOLVE_BENEATH = 8
OPEN_TRIES_MAX = 100
STACKED_MAX = 16
"""Mounts on top of each other at one place."""
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_OPENAT2, _SYS_MOUNT_SETATTR = 428, 429, 437, 442
"""The same number on every architecture: they are younger than the common table."""

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_IN_MODIFY, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE = 0x02, 0x80, 0x100, 0x200
_ESCAPE = re.compile(r"\\([0-7]{3})")
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
    """Take a mount away, or detach it while somebody still uses it; none there is no failure."""
    for flags in (0, MNT_DETACH):
        if _libc.umount2(os.fsencode(target), flags) == 0:
            return
        number = ctypes.get_errno()
        if number in (errno.EINVAL, errno.ENOENT):
            return
        if number != errno.EBUSY or flags:
            raise OSError(number, f"unmount {target}: {os.strerror(number)}")


def unmount_tree(directory: Path) -> None:
    """Take away every mount at or below a directory, and nothing else.

    A mount that is shared hands an unmount below it on to its peers: without the first step, a mount of somebody's that
    has come along with a bind would be taken away where it came from, too.
    """
    for _ in range(STACKED_MAX):
        points = list(dict.fromkeys(mount_points(directory)))
        if not points:
            return
        for point in reversed(points):
            try:
                mount("none", point, "none", MS_REC | MS_PRIVATE)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EINVAL):  # hidden below another mount, until the next round
                    raise
        for point in points:
            unmount(point)
    raise OSError(errno.EBUSY, f"mounts below {directory} come back")


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _MountAttributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns_fd"))


def open_beneath(directory: int, path: str, flags: int, resolve: int = RESOLVE_BENEATH) -> int:
    """Open ``path`` below an open directory; what leads out of it, now or by a race, is refused (``openat2``)."""
    how = _OpenHow(flags | os.O_CLOEXEC, 0, resolve | RESOLVE_NO_MAGICLINKS)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    for _ in range(OPEN_TRIES_MAX):
        opened = _libc.syscall(ctypes.c_long(_SYS_OPENAT2), directory, os.fsencode(path), ctypes.byref(how), size)
        if opened >= 0:
            return int(opened)
        number = ctypes.get_errno()
        if number != errno.EAGAIN:  # a rename elsewhere, while ".." was followed
            break
    raise OSError(number, os.strerror(number), path)


def bind(descriptor: int, target: Path) -> None:
    """Mount what an open descriptor (``O_PATH``) stands for at ``target``, whatever its name means by now."""
    mount(f"/proc/self/fd/{descriptor}", target, "none", MS_BIND)


def bind_read_only(descriptor: int, target: Path) -> None:
    """Mount it with all that is mounted below, and make every mount of the copy read-only (needs Linux 5.12).

    The copy is a slave: what is mounted in the original later is seen, too, and nothing goes back.
    """
    copy = _libc.syscall(
        ctypes.c_long(_SYS_OPEN_TREE), descriptor, b"",
        OPEN_TREE_CLONE | AT_EMPTY_PATH | AT_RECURSIVE | os.O_CLOEXEC,
    )  # fmt: skip
    _checked(0 if copy >= 0 else -1, f"open_tree for {target}")
    try:
        wanted = _MountAttributes(set=MOUNT_ATTR_RDONLY, propagation=MS_SLAVE)
        _checked(
            _libc.syscall(
                ctypes.c_long(_SYS_MOUNT_SETATTR), copy, b"", AT_EMPTY_PATH | AT_RECURSIVE,
                ctypes.byref(wanted), ctypes.c_size_t(ctypes.sizeof(wanted)),
            ),
            f"mount_setattr for {target}",
        )  # fmt: skip
        _checked(
            _libc.syscall(
                ctypes.c_long(_SYS_MOVE_MOUNT), copy, b"", _AT_FDCWD, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH,
            ),
            f"move_mount {target}",
        )  # fmt: skip
    finally:
        os.close(copy)


def mount_points(below: Path) -> list[Path]:
    """Mount points at or below a directory, innermost first: as they can be taken away."""
    prefix = os.path.realpath(below)
    found = [Path(path) for path, _ in mounts() if path == prefix or path.startswith(prefix + "/")]
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def is_mount(path: Path) -> bool:
    """Whether something is mounted right here; unlike ``Path.is_mount`` it sees binds within one filesystem."""
    real = os.path.realpath(path)
    return any(point == real for point, _ in mounts())


def mounts() -> Iterator[tuple[str, str]]:
    """Every mount point and its optional fields (``shared:1``, ``master:2``), in the order of mounting."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:  # noqa: PTH123
        for line in table:
            fields = line.split(" ")
            path = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4])
            yield path, " ".join(fields[6 : fields.index("-", 6)])


def unshare(flags: int) -> None:
    """Leave namespaces for new ones; the calling thread alone does, so let it be one that ends soon."""
    _checked(_libc.unshare(flags), "unshare")


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
    unshare(flags)
    if "uts" in pins:
        name = hostname.encode()
        _checked(_libc.sethostname(name, len(name)), "sethostname")
    if "net" in pins:
        _loopback_up()
    for key, value in sysctls.items():
        try:
            Path("/proc/sys", key if "/" in key else key.replace(".", "/")).write_text(value)
        except OSError as error:
            raise OSError(error.errno, f"cannot set sysctl {key} to {value!r}: {error.strerror}") from error
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


def socket_in(namespace: Path, family: int, kind: int) -> socket.socket:
    """A socket of another network namespace; blocks for as long as a thread takes to start. Raises ``OSError``."""
    made: list[socket.socket] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with namespace.open("rb") as entered:
                _checked(_libc.setns(entered.fileno(), CLONE_NEWNET), f"enter {namespace}")
            made.append(socket.socket(family, kind))
        except BaseException as failure:  # carried over to the calling thread
            failures.append(failure)

    thread = threading.Thread(target=work, name="socket-in-namespace")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return made[0]


def watch_directory(path: Path) -> int:
    """A descriptor (inotify) that becomes readable when a file in ``path`` is written, made, renamed or deleted."""
    descriptor = int(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"inotify: {os.strerror(number)}")
    events = _IN_MODIFY | _IN_CREATE | _IN_MOVED_TO | _IN_DELETE
    if _libc.inotify_add_watch(descriptor, os.fsencode(path), events) < 0:
        number = ctypes.get_errno()
        os.close(descriptor)
        raise OSError(number, f"watch {path}: {os.strerror(number)}")
    return descriptor
