"""Raw values as 0 to 100, relative to the best (``DefaultNormalizeScore``)."""

from __future__ import annotations

from collections.abc import Sequence


def to_best(values: Sequence[int], *, reverse: bool = False) -> list[int]:
    """The highest value becomes 100 (``reverse``: 0 becomes 100); all zero stays zero, or becomes 100 reversed."""
    best = max(values, default=0)
    if best <= 0:
        return [100 if reverse else 0] * len(values)
    scaled = [100 * value // best for value in values]
    return [100 - value for value in scaled] if reverse else scaled
