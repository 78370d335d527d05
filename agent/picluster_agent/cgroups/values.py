"""What a group is given, as values; how version 1's figures are written in version 2's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CPU_PERIOD_US = 100_000
CPU_QUOTA_MIN_US = 1_000
CPU_SHARES_MIN = 2
CPU_SHARES_MAX = 262_144
UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """``None`` leaves a thing as it is, ``UNLIMITED`` takes a limit away. Swap is never given (NoSwap)."""

    cpu_shares: int | None = None
    cpu_quota_us: int | None = None
    memory_bytes: int | None = None
    pids_max: int | None = None
    huge_pages: Mapping[str, int] = field(default_factory=dict)
    """Bytes by page size as the kernel writes it (``2MB``)."""


def shares(cpu_milli: int) -> int:
    """``MilliCPUToShares``: 1024 a processor, never less than the kernel allows."""
    return min(max(cpu_milli * 1024 // 1000, CPU_SHARES_MIN), CPU_SHARES_MAX)


def quota_us(cpu_milli: int) -> int:
    """``MilliCPUToQuota`` for a period of 100 ms; no limit for 0."""
    return max(cpu_milli * CPU_PERIOD_US // 1000, CPU_QUOTA_MIN_US) if cpu_milli else UNLIMITED


def weight(cpu_shares: int) -> int:
    """Shares from 2 to 262144 as weight from 1 to 10000 (KEP-2254), as runc and crun of Debian 12 convert them."""
    return 1 + ((cpu_shares - CPU_SHARES_MIN) * 9999) // (CPU_SHARES_MAX - CPU_SHARES_MIN)


def page_size(bytes_: int) -> str:
    """A huge page's size as the kernel writes it in the names of files: ``64KB``, ``2MB``, ``1GB``."""
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if bytes_ >= unit:
            return f"{bytes_ // unit}{name}"
    return f"{bytes_}B"
