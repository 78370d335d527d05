"""The order of a merged list: what the patch lists keeps the patch's order, the rest that of the live list."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any


class KeyOf:
    """An element's identity in a list: the value of its merge key, or the element itself if it is a scalar."""

    __slots__ = ("_merge_key",)

    def __init__(self, merge_key: str) -> None:
        self._merge_key = merge_key

    def __call__(self, element: Any) -> Hashable:
        key = element.get(self._merge_key) if isinstance(element, dict) else element
        return (type(key) is bool, key) if isinstance(key, Hashable) else repr(key)


def partition(items: list[Any], listed: list[Any], key_of: KeyOf) -> tuple[list[Any], list[Any]]:
    """The items that ``listed`` names, and the others; each in their present order."""
    named = {key_of(element) for element in listed}
    inside = [item for item in items if key_of(item) in named]
    outside = [item for item in items if key_of(item) not in named]
    return inside, outside


def merge_ordered(listed: list[Any], others: list[Any], order: list[Any], live: list[Any], key_of: KeyOf) -> list[Any]:
    """``listed`` sorted by ``order`` and ``others`` by ``live``, interleaved.

    An element of ``others`` comes before the first listed one that stands behind it in ``live``.
    """
    live_places, order_places = _places(live, key_of), _places(order, key_of)
    right = sorted(listed, key=lambda item: order_places.get(key_of(item), len(order_places)))
    left = sorted(others, key=lambda item: live_places.get(key_of(item), len(live_places)))
    merged: list[Any] = []
    i = j = 0
    while i < len(left) and j < len(right):
        left_place, right_place = live_places.get(key_of(left[i])), live_places.get(key_of(right[j]))
        if left_place is not None and right_place is not None and left_place < right_place:
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return [*merged, *left[i:], *right[j:]]


def _places(items: list[Any], key_of: KeyOf) -> dict[Hashable, int]:
    return {key_of(item): place for place, item in reversed(list(enumerate(items)))}
