"""Reads the board's sensors below a root directory; a file that is not there is a sensor that it has not.

Sources: https://www.kernel.org/doc/html/latest/driver-api/mmc/mmc-dev-attrs.html, ``Documentation/hwmon``,
``Documentation/ABI/testing/sysfs-fs-ext4``, ``adjtimex(2)``.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from picluster_agent import machine
from picluster_agent.health.model import Filesystem, Readings, Storage

VCGENCMD = ("usr/bin/vcgencmd", "opt/vc/bin/vcgencmd")
VCGENCMD_TIMEOUT_S = 2.0
SECTOR_BYTES = 512
DISKS = ("mmcblk", "sd", "nvme", "vd")
TEMPERATURES_C = (-40.0, 150.0)
"""What is outside is no temperature."""
_STA_UNSYNC = 0x40
_TIME_ERROR = 5


def read(root: Path, now_s: float, writable: Iterable[Path]) -> Readings:
    """Everything, now; ``writable`` are directories that must not be read-only. Blocks for some milliseconds."""
    return Readings(
        at_s=now_s,
        model=machine.board_model(root),
        throttled=_throttled(root),
        voltage_alarm=_voltage_alarm(root),
        temperatures_c=tuple(_temperatures(root)),
        storage=tuple(_storage(root)),
        filesystems=tuple(_filesystems(root)),
        read_only=read_only(_text(root / "proc/mounts"), writable),
        clock_synchronized=_clock_synchronized(root),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _throttled(root: Path) -> int | None:
    for path in sorted(root.glob("sys/devices/platform/soc*/soc*:firmware/get_throttled")):
        if (bits := _hexadecimal(_text(path))) is not None:
            return bits
    for place in VCGENCMD:
        if (program := root / place).exists():
            return _hexadecimal(_asked(program).removeprefix("throttled="))
    return None


def _asked(program: Path) -> str:
    try:
        done = subprocess.run(
            [program, "get_throttled"], capture_output=True, text=True, timeout=VCGENCMD_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _hexadecimal(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None


def _voltage_alarm(root: Path) -> bool | None:
    for name in root.glob("sys/class/hwmon/hwmon*/name"):
        if _text(name) == "rpi_volt" and (alarm := _text(name.with_name("in0_lcrit_alarm"))):
            return alarm != "0"
    return None


def _temperatures(root: Path) -> Iterable[tuple[str, float]]:
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        text = _text(zone / "temp")
        if text.lstrip("-").isdigit() and TEMPERATURES_C[0] < (celsius := int(text) / 1000) < TEMPERATURES_C[1]:
            yield zone.name, celsius


def _storage(root: Path) -> Iterable[Storage]:
    for block in sorted(root.glob("sys/block/*")):
        if not block.name.startswith(DISKS) or "boot" in block.name:
            continue
        figures = _text(block / "stat").split()
        device = block / "device"
        ages = [number for word in _text(device / "life_time").split() if (number := _hexadecimal(word)) is not None]
        yield Storage(
            block.name,
            _text(device / "name") or _text(device / "model"),
            int(figures[6]) * SECTOR_BYTES if len(figures) > 6 else 0,
            max(ages, default=0),
            _hexadecimal(_text(device / "pre_eol_info")) or 0,
        )


def _filesystems(root: Path) -> Iterable[Filesystem]:
    for directory in sorted(root.glob("sys/fs/ext4/*")):
        written, errors = _text(directory / "lifetime_write_kbytes"), _text(directory / "errors_count")
        if written.isdigit():
            yield Filesystem(directory.name, int(written) * 1024, int(errors) if errors.isdigit() else 0)


def read_only(mounts: str, wanted: Iterable[Path]) -> tuple[str, ...] | None:
    """Which mount points of ``wanted`` are read-only, by ``/proc/mounts``; ``None`` when that says nothing. PURE."""
    options = {words[1]: words[3].split(",") for line in mounts.splitlines() if len(words := line.split()) > 3}
    if not options:
        return None
    found = dict.fromkeys(_mount_point(path, list(options)) for path in wanted)
    return tuple(point for point in found if "ro" in options.get(point, ()))


def _mount_point(path: Path, points: Sequence[str]) -> str:
    return max((point for point in points if path.is_relative_to(point)), key=len, default="/")


def _clock_synchronized(root: Path) -> bool | None:
    """systemd-timesyncd leaves a mark; the kernel knows of every other program. A strange root has no kernel.

    A board in a container has no clock of its own: the machine around it keeps it.
    """
    if (root / "run/systemd/container").exists():
        return None
    if (root / "run/systemd/timesync/synchronized").exists():
        return True
    return _kernel_clock() if root == Path("/") else (False if (root / "run/systemd/timesync").is_dir() else None)


class _Timex(ctypes.Structure):
    """``struct timex`` as far as ``status``; the rest is room for what the kernel writes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def _kernel_clock() -> bool | None:
    timex = _Timex()
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    return None if state < 0 else state != _TIME_ERROR and not timex.status & _STA_UNSYNC
