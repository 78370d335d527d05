"""Completion indexes of Indexed jobs, as their statuses and policies write them: ``1,3-5,7``.

Rules and wording are those of ``validateIndexesFormat`` in ``pkg/apis/batch/validation``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator


def count(text: str, completions: int) -> int:
    """How many indexes ``text`` names; ``ValueError`` unless they rise and are below ``completions``."""
    total, last = 0, None
    for part in text.split(",") if text else ():
        low, high = _interval(part, completions)
        if last is not None and last >= low:
            raise ValueError(f"non-increasing order, previous: {last}, current: {low}")
        total += high - low + 1
        last = high
    return total


def overlap(completed: str, failed: str, completions: int) -> int | None:
    """The first index that both texts name; what cannot be read is passed over."""
    completed_intervals, failed_intervals = (list(_readable(text, completions)) for text in (completed, failed))
    left = right = 0
    while left < len(completed_intervals) and right < len(failed_intervals):
        (low, high), (other_low, other_high) = completed_intervals[left], failed_intervals[right]
        if low <= other_high and other_low <= high:
            return max(low, other_low)
        if low <= other_low:
            left += 1
        else:
            right += 1
    return None


def _readable(text: str, completions: int) -> Iterator[tuple[int, int]]:
    for part in text.split(",") if text else ():
        try:
            yield _interval(part, completions)
        except ValueError:
            continue


def _interval(text: str, completions: int) -> tuple[int, int]:
    ends = text.split("-")
    if len(ends) > 2:
        raise ValueError(
            f"the fragment {json.dumps(text)} violates the requirement that an index interval can have at most two"
            " parts separated by '-'"
        )
    low = high = _index(ends[0], completions)
    if len(ends) == 2:
        high = _index(ends[1], completions)
        if low >= high:
            raise ValueError(f"non-increasing order, previous: {low}, current: {high}")
    return low, high


def _index(text: str, completions: int) -> int:
    if not re.fullmatch("[+]?[0-9]+", text):
        raise ValueError(f"cannot convert string to integer for index: {json.dumps(text)}")
    if int(text) >= completions:
        raise ValueError(f"too large index: {json.dumps(text)}")
    return int(text)
