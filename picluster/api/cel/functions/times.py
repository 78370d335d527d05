"""The parts of timestamps and durations."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from picluster.api.cel.functions.operators import quotient
from picluster.api.cel.functions.signatures import Overload, overload
from picluster.api.cel.times import SECOND, Duration, Timestamp

_PARTS: dict[str, Callable[[datetime.datetime], int]] = {
    "getFullYear": lambda at: at.year,
    "getMonth": lambda at: at.month - 1,
    "getDayOfYear": lambda at: at.timetuple().tm_yday - 1,
    "getDate": lambda at: at.day,
    "getDayOfMonth": lambda at: at.day - 1,
    "getDayOfWeek": lambda at: at.isoweekday() % 7,
    "getHours": lambda at: at.hour,
    "getMinutes": lambda at: at.minute,
    "getSeconds": lambda at: at.second,
    "getMilliseconds": lambda at: at.microsecond // 1000,
}
_LENGTHS = {
    "getHours": 3600 * SECOND, "getMinutes": 60 * SECOND, "getSeconds": SECOND, "getMilliseconds": SECOND // 1000,
}  # fmt: skip


def _part(name: str) -> list[Overload]:
    read = _PARTS[name]

    def in_utc(at: Timestamp) -> int:
        return read(at.at())

    def in_zone(at: Timestamp, zone: str) -> int:
        return read(at.at(zone))

    return [
        overload(name, "timestamp.() -> int", in_utc),
        overload(name, "timestamp.(string) -> int", in_zone),
    ]


def _length(name: str) -> Overload:
    unit = _LENGTHS[name]

    def count(length: Duration) -> int:
        return quotient(length.nanos, unit)

    return overload(name, "duration.() -> int", count)


FUNCTIONS: tuple[Overload, ...] = (
    *(each for name in _PARTS for each in _part(name)),
    *(_length(name) for name in _LENGTHS),
)
