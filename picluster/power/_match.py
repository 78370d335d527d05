"""What an outlet's own words mean: two patterns over its answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from picluster.power.outlet import OutletError, OutletState, Settings


@dataclass(frozen=True, slots=True)
class Words:
    """``on`` and ``off`` are searched in an answer; one that matches neither, or both, is unknown."""

    on: re.Pattern[str]
    off: re.Pattern[str] | None

    def state(self, answer: str) -> OutletState:
        is_on = self.on.search(answer) is not None
        is_off = self.off.search(answer) is not None if self.off else not is_on
        if is_on == is_off:
            return OutletState.UNKNOWN
        return OutletState.ON if is_on else OutletState.OFF


def words(settings: Settings) -> Words:
    """``on_when`` and ``off_when`` of a configuration; without ``off_when``, an answer that is not on is off."""
    return Words(_pattern(settings, "on_when", required=True), _optional(settings, "off_when"))


def _optional(settings: Settings, key: str) -> re.Pattern[str] | None:
    return _pattern(settings, key) if key in settings.left else None


def _pattern(settings: Settings, key: str, *, required: bool = False) -> re.Pattern[str]:
    text = settings.take(key, str, required=required, default="")
    try:
        return re.compile(text)
    except re.error as error:
        raise OutletError(f"{settings.where}: {key} is {text!r}, no regular expression: {error}") from None
