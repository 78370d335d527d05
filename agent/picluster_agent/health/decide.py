"""What readings mean: conditions of the Node, named as node-problem-detector names its own. PURE.

A condition becomes True when its sensor says so (a clock has two minutes to be set after a boot), and False once that
has been quiet for a minute; so each trouble is one event and two writes, however it flickers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from picluster_agent.health.model import (
    FREQUENCY_CAPPED,
    SINCE_BOOT_SHIFT,
    SOFT_TEMPERATURE_LIMIT,
    THROTTLED,
    UNDER_VOLTAGE,
    Readings,
    Verdict,
)

TYPES = (
    "UnderVoltage",
    "Throttled",
    "HighTemperature",
    "StorageWornOut",
    "ReadOnlyFilesystem",
    "FilesystemErrors",
    "ClockUnsynchronized",
)
HOT_C, COOL_C = 80.0, 75.0
"""A Raspberry Pi begins to slow down at 80 °C."""
QUIET_S = 60.0
CLOCK_PATIENCE_S = 120.0
WORN_LIFE, WORN_PRE_END = 10, 2
"""Nine tenths of the life that an eMMC was made for, or its own warning about spare blocks."""
CAUSES = (
    (FREQUENCY_CAPPED, "its frequency is capped"),
    (THROTTLED, "it is throttled"),
    (SOFT_TEMPERATURE_LIMIT, "the soft temperature limit is active"),
)


@dataclass(frozen=True, slots=True)
class Track:
    """What is told of one condition; ``turned_s`` is since when its sensor says the opposite."""

    told: Verdict
    turned_s: float | None = None


def decide(readings: Readings, previous: Mapping[str, Track]) -> dict[str, Track]:
    """The conditions of a board by their type, those that it has a sensor for."""
    found = {}
    for now in _verdicts(readings, previous):
        before = previous.get(now.kind)
        found[now.kind] = _tracked(now, before, readings.at_s)
    return found


def _tracked(now: Verdict, before: Track | None, at_s: float) -> Track:
    if before is None:
        patient = now.bad and now.kind == "ClockUnsynchronized"
        return Track(_CLOCK_GOOD, at_s) if patient else Track(now)
    if now.bad == before.told.bad:
        return Track(now)
    patience_s = QUIET_S if not now.bad else CLOCK_PATIENCE_S if now.kind == "ClockUnsynchronized" else 0.0
    turned_s = at_s if before.turned_s is None else before.turned_s
    if at_s - turned_s >= patience_s:
        return Track(now)
    return Track(before.told, turned_s)


def _verdicts(readings: Readings, previous: Mapping[str, Track]) -> Iterable[Verdict]:
    yield from _voltage(readings)
    if readings.throttled is not None:
        yield _throttled(readings.throttled)
    if readings.temperature_c is not None:
        before = previous.get("HighTemperature")
        yield _temperature(readings.temperature_c, was_hot=before is not None and before.told.bad)
    yield from _wear(readings)
    if readings.read_only is not None:
        yield _read_only(readings.read_only)
    if readings.filesystems:
        yield _errors(readings)
    if readings.clock_synchronized is not None:
        yield _CLOCK_GOOD if readings.clock_synchronized else _CLOCK_BAD


_CLOCK_GOOD = Verdict("ClockUnsynchronized", False, "ClockIsSynchronized", "the board's clock is synchronised")
_CLOCK_BAD = Verdict("ClockUnsynchronized", True, "ClockNotSynchronized", "no time server has set the board's clock")


def _voltage(readings: Readings) -> Iterable[Verdict]:
    if readings.throttled is None and readings.voltage_alarm is None:
        return
    bits = readings.throttled or 0
    if readings.voltage_alarm or bits & UNDER_VOLTAGE:
        message = "the supply voltage is too low: use a stronger power supply or a shorter cable"
        yield Verdict("UnderVoltage", True, "SupplyVoltageLow", message)
        return
    since_boot = bits >> SINCE_BOOT_SHIFT & UNDER_VOLTAGE
    message = "the supply voltage is sufficient" + (", but was too low since the board booted" if since_boot else "")
    yield Verdict("UnderVoltage", False, "SupplyVoltageSufficient", message)


def _throttled(bits: int) -> Verdict:
    now = [what for bit, what in CAUSES if bits & bit]
    if now:
        return Verdict("Throttled", True, "ProcessorThrottled", f"the processor is slowed down: {', '.join(now)}")
    since_boot = bits >> SINCE_BOOT_SHIFT & (FREQUENCY_CAPPED | THROTTLED | SOFT_TEMPERATURE_LIMIT)
    message = "the processor runs at full speed" + (
        ", but was slowed down since the board booted" if since_boot else ""
    )
    return Verdict("Throttled", False, "ProcessorNotThrottled", message)


def _temperature(celsius: float, *, was_hot: bool) -> Verdict:
    """The message of a cool board has no figure, which would be another one at every look."""
    if celsius >= (COOL_C if was_hot else HOT_C):
        message = f"the board is hotter than {COOL_C if was_hot else HOT_C:.0f} °C"
        return Verdict("HighTemperature", True, "BoardIsHot", message)
    return Verdict("HighTemperature", False, "BoardIsCool", f"the board is cooler than {HOT_C:.0f} °C")


def _wear(readings: Readings) -> Iterable[Verdict]:
    known = [one for one in readings.storage if one.life_used or one.pre_end_of_life]
    if not known:
        return
    worn = [one.device for one in known if one.life_used >= WORN_LIFE or one.pre_end_of_life >= WORN_PRE_END]
    if worn:
        message = f"the storage {', '.join(worn)} is near the end of its life: replace it"
        yield Verdict("StorageWornOut", True, "StorageNearEndOfLife", message)
    else:
        yield Verdict("StorageWornOut", False, "StorageHasLifeLeft", "the storage has life left")


def _read_only(points: tuple[str, ...]) -> Verdict:
    if points:
        message = f"mounted read-only: {', '.join(points)}; the storage may have failed"
        return Verdict("ReadOnlyFilesystem", True, "FilesystemIsReadOnly", message)
    return Verdict("ReadOnlyFilesystem", False, "FilesystemIsNotReadOnly", "the file systems are writable")


def _errors(readings: Readings) -> Verdict:
    bad = [one.device for one in readings.filesystems if one.errors]
    if bad:
        message = f"ext4 has found errors on {', '.join(bad)}: check the file system"
        return Verdict("FilesystemErrors", True, "FilesystemHasErrors", message)
    return Verdict("FilesystemErrors", False, "FilesystemHasNoErrors", "no file system has errors")
