"""Regular expressions of users, in Go's syntax and in linear time; loaded when the first of them is met."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

PATTERNS_MAX = 512


class PatternError(ValueError):
    """No regular expression."""


@lru_cache(maxsize=PATTERNS_MAX)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether ``pattern`` is found anywhere in a text; raises ``PatternError``."""
    from picluster.api.cel.functions.regex import compiled

    try:
        search = compiled(pattern).search
    except ValueError as error:
        raise PatternError(str(error)) from None
    return lambda text: search(text) is not None
