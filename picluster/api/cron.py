"""Schedules of CronJobs: five fields, or a descriptor such as ``@daily`` or ``@every 1h30m``.

Grammar and refusals are those of the cron library that Kubernetes uses (robfig/cron v3, ``ParseStandard``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
WEEKDAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "
_DURATION = re.compile(r"[-+]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+")
_DURATION_PART = re.compile(r"([0-9.]+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Schedule:
    """The minutes, hours, … at which it is time; a day counts when both day fields allow it, or either if both say
    something. ``every_s`` is set instead for ``@every``.
    """

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = False
    any_weekday: bool = False
    every_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Bounds:
    low: int
    high: int
    words: Mapping[str, int]


_MINUTES, _HOURS, _DAYS = _Bounds(0, 59, {}), _Bounds(0, 23, {}), _Bounds(1, 31, {})
_MONTHS, _WEEKDAYS = _Bounds(1, 12, MONTHS), _Bounds(0, 6, WEEKDAYS)


@lru_cache(maxsize=1024)
def parse(text: str) -> Schedule:
    """The schedule that ``text`` says; ``ValueError`` with the library's words for anything else."""
    if not text:
        raise ValueError("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):
        text = _without_zone(text)
    if text.startswith("@"):
        if text.startswith(_EVERY):
            return Schedule(every_s=_duration_s(text.removeprefix(_EVERY)))
        if text not in DESCRIPTORS:
            raise ValueError(f"unrecognized descriptor: {text}")
        text = DESCRIPTORS[text]
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    minutes, hours, days, months, weekdays = fields
    return Schedule(
        _field(minutes, _MINUTES), _field(hours, _HOURS), _field(days, _DAYS), _field(months, _MONTHS),
        _field(weekdays, _WEEKDAYS), _is_star(days), _is_star(weekdays),
    )  # fmt: skip


def zone(name: str) -> ZoneInfo:
    """The time zone of that name; ``ValueError`` if there is none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"unknown time zone {name}") from None


def _without_zone(text: str) -> str:
    named, _, rest = text.partition(" ")
    name = named.partition("=")[2]
    try:
        zone(name)
    except ValueError as error:
        raise ValueError(f"provided bad location {name}: {error}") from None
    return rest.strip()


def _duration_s(text: str) -> float:
    if not _DURATION.fullmatch(text):
        raise ValueError(f'failed to parse duration {_EVERY}{text}: time: invalid duration "{text}"')
    return sum(float(number) * _UNITS_S[unit] for number, unit in _DURATION_PART.findall(text))


def _is_star(field: str) -> bool:
    return any(part in ("*", "?", "*/1", "?/1") for part in field.split(","))


def _field(text: str, bounds: _Bounds) -> frozenset[int]:
    return frozenset(number for part in text.split(",") if part for number in _range(part, bounds))


def _range(text: str, bounds: _Bounds) -> range:
    spread, *steps = text.split("/")
    low_text, *high_texts = spread.split("-")
    if low_text in ("*", "?"):
        low, high = bounds.low, bounds.high
    else:
        low = high = _number(low_text, bounds)
        if len(high_texts) > 1:
            raise ValueError(f"too many hyphens: {text}")
        if high_texts:
            high = _number(high_texts[0], bounds)
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {text}")
    step = _plain_number(steps[0]) if steps else 1
    if steps and spread == low_text:
        high = bounds.high
    _check(low, high, step, bounds, text)
    return range(low, high + 1, step)


def _check(low: int, high: int, step: int, bounds: _Bounds, text: str) -> None:
    if low < bounds.low:
        raise ValueError(f"beginning of range ({low}) below minimum ({bounds.low}): {text}")
    if high > bounds.high:
        raise ValueError(f"end of range ({high}) above maximum ({bounds.high}): {text}")
    if low > high:
        raise ValueError(f"beginning of range ({low}) beyond end of range ({high}): {text}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {text}")


def _number(text: str, bounds: _Bounds) -> int:
    word = bounds.words.get(text.lower())
    return _plain_number(text) if word is None else word


def _plain_number(text: str) -> int:
    if not re.fullmatch("[+-]?[0-9]+", text):
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text)
    if number < 0:
        raise ValueError(f"negative number ({number}) not allowed: {text}")
    return number
