"""Regular expressions of users: matched in linear time, in a syntax that is Go's but for corners.

The engine is Rust's ``regex``, a descendant of RE2 like Go's, reached through the validator that checks our own kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

PATTERNS_MAX = 512


class PatternError(ValueError):
    """No regular expression."""


@lru_cache(maxsize=PATTERNS_MAX)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether ``pattern`` is found anywhere in a text; raises ``PatternError``."""
    import jsonschema_rs

    try:
        check: Any = jsonschema_rs.Draft4Validator({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions())
    except (ValueError, jsonschema_rs.ValidationError) as error:
        raise PatternError(f"error parsing regexp: {str(error).splitlines()[0]}") from None
    found: Callable[[str], bool] = check.is_valid
    return found
