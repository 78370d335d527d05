"""Timestamps and durations, to the nanosecond, as Go and protobuf know them."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from functools import lru_cache
from zoneinfo import ZoneInfo

from picluster.api.cel.errors import CelError

SECOND = 10**9
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MIN_S, _MAX_S = -62_135_596_800, 253_402_300_799
_DURATION_MAX = 2**63 - 1
_UNITS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND,
}  # fmt: skip
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_STAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII
)
_OFFSET = re.compile(r"([+-]?)(\d\d):(\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    nanos: int

    def __str__(self) -> str:
        """As ``string(duration)`` gives it: seconds."""
        whole, rest = divmod(abs(self.nanos), SECOND)
        fraction = f".{rest:09d}".rstrip("0") if rest else ""
        return f"{'-' if self.nanos < 0 else ''}{whole}{fraction}s"


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """``nanos`` since 1970; it is written with the offset from UTC that it was read with."""

    nanos: int
    offset_s: int = field(default=0, compare=False)

    def __str__(self) -> str:
        seconds, rest = divmod(self.nanos, SECOND)
        moment = _EPOCH + datetime.timedelta(seconds=seconds + self.offset_s)
        fraction = f".{rest:09d}".rstrip("0") if rest else ""
        hours, minutes = divmod(abs(self.offset_s) // 60, 60)
        zone = f"{'-' if self.offset_s < 0 else '+'}{hours:02d}:{minutes:02d}" if self.offset_s else "Z"
        return f"{moment.year:04d}-{moment.strftime('%m-%dT%H:%M:%S')}{fraction}{zone}"

    def at(self, zone: str = "UTC") -> datetime.datetime:
        """The moment in a time zone, to the microsecond; raises ``CelError`` for one that is not known."""
        seconds, rest = divmod(self.nanos, SECOND)
        moment = _EPOCH + datetime.timedelta(seconds=seconds, microseconds=rest // 1000)
        return moment.astimezone(_zone(zone))


def checked_duration(nanos: int) -> Duration:
    if not -_DURATION_MAX - 1 <= nanos <= _DURATION_MAX:
        raise CelError("integer overflow")
    return Duration(nanos)


def checked_timestamp(nanos: int, offset_s: int = 0) -> Timestamp:
    seconds = nanos // SECOND
    if seconds + min(offset_s, 0) < _MIN_S or seconds + max(offset_s, 0) > _MAX_S:
        raise CelError("timestamp overflow")
    return Timestamp(nanos, offset_s)


def parse_duration(text: str) -> Duration:
    """``1h30m``, as Go's ``time.ParseDuration``; raises ``ValueError``."""
    rest = text.lstrip("+-") if text[:1] in ("+", "-") else text
    if rest == "0":
        return Duration(0)
    total, at = 0, 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None or not (part[1] or part[2]):
            raise ValueError(f'time: invalid duration "{text}"')
        unit, fraction = _UNITS[part[3]], part[2] or ""
        total += int(part[1] or "0") * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
        at = part.end()
    if not rest or total > _DURATION_MAX or len(text) - len(rest) > 1:
        raise ValueError(f'time: invalid duration "{text}"')
    return Duration(-total if text.startswith("-") else total)


def parse_timestamp(text: str) -> Timestamp:
    """RFC 3339; raises ``ValueError``."""
    match = _STAMP.fullmatch(text)
    if match is None:
        raise ValueError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as RFC 3339')
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    moment = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
    offset_s = 0
    if match[9]:
        offset_s = int(match[10]) * 3600 + int(match[11]) * 60
        offset_s = offset_s if match[9] == "+" else -offset_s
    seconds = int((moment - _EPOCH).total_seconds()) - offset_s
    if not _MIN_S <= seconds <= _MAX_S:
        raise ValueError(f'parsing time "{text}": year outside of range [1,9999]')
    return Timestamp(seconds * SECOND + int((match[7] or "").ljust(9, "0")), offset_s)


def parse_date(text: str) -> Timestamp:
    """``2006-01-02``; raises ``ValueError``."""
    day = datetime.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=datetime.UTC)
    return Timestamp(int((day - _EPOCH).total_seconds()) * SECOND)


@lru_cache(maxsize=128)
def _zone(name: str) -> datetime.tzinfo:
    match = _OFFSET.fullmatch(name)
    if match is not None:
        offset = datetime.timedelta(hours=int(match[2]), minutes=int(match[3]))
        return datetime.timezone(-offset if match[1] == "-" else offset)
    try:
        return datetime.UTC if name in ("UTC", "") else ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise CelError(f"unknown time zone {name}") from error
