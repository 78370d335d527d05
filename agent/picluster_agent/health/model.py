"""What is read of a board, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass

from picluster.api.types import Object

UNDER_VOLTAGE, FREQUENCY_CAPPED, THROTTLED, SOFT_TEMPERATURE_LIMIT = (1 << bit for bit in range(4))
SINCE_BOOT_SHIFT = 16
"""The same four, sixteen bits higher, say that it has happened since the board booted.

https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
"""


@dataclass(frozen=True, slots=True)
class Storage:
    """A disk. ``life_used`` is in tenths as eMMC tells it (11 for "more than all"), ``pre_end_of_life`` 1 to 3; 0 for
    what it does not tell."""

    device: str
    name: str = ""
    written_bytes: int = 0
    """Since the board booted."""
    life_used: int = 0
    pre_end_of_life: int = 0


@dataclass(frozen=True, slots=True)
class Filesystem:
    """An ext4 file system on a disk."""

    device: str
    lifetime_written_bytes: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Readings:
    """``None`` is for what the board has no sensor for."""

    at_s: float = 0.0
    """Monotonic."""
    model: str = ""
    throttled: int | None = None
    voltage_alarm: bool | None = None
    temperatures_c: tuple[tuple[str, float], ...] = ()
    storage: tuple[Storage, ...] = ()
    filesystems: tuple[Filesystem, ...] = ()
    read_only: tuple[str, ...] | None = None
    """Mount points that must be writable and are not."""
    clock_synchronized: bool | None = None

    @property
    def temperature_c(self) -> float | None:
        """The hottest."""
        return max((value for _, value in self.temperatures_c), default=None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One condition: ``bad`` is the status True."""

    kind: str
    bad: bool
    reason: str
    message: str

    def condition(self) -> Object:
        status = "True" if self.bad else "False"
        return {"type": self.kind, "status": status, "reason": self.reason, "message": self.message}
