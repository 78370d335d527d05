from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from picluster.apiserver.cache import sortedkeys
from picluster.apiserver.cache.sortedkeys import SortedKeys

KEYS = st.text("ab/0-", min_size=1, max_size=4)


@given(st.sets(KEYS), st.lists(KEYS), st.lists(KEYS), KEYS, KEYS)
def test_behaves_as_a_sorted_set(first: set[str], added: list[str], removed: list[str], start: str, end: str) -> None:
    keys, model = SortedKeys(first), set(first)
    for key in added:
        if key not in model:
            keys.add(key)
            model.add(key)
    for key in removed:
        if key in model:
            keys.remove(key)
            model.remove(key)
    assert len(keys) == len(model)
    assert list(keys.span("", None)) == sorted(model)
    within = sorted(key for key in model if start <= key < end)
    assert list(keys.span(start, end)) == within
    assert keys.count(start, max(start, end)) == len(within)
    assert keys.count(start, None) == sum(key >= start for key in model)


def test_stays_sorted_over_many_chunks() -> None:
    rng = random.Random(1)
    numbers = [f"{number:06}" for number in range(5 * sortedkeys.CHUNK_MAX)]
    shuffled = rng.sample(numbers, len(numbers))
    keys = SortedKeys(shuffled[::2])
    for key in shuffled[1::2]:
        keys.add(key)
    assert list(keys.span("", None)) == numbers
    for key in numbers[::2]:
        keys.remove(key)
    assert list(keys.span("000100", "003001")) == numbers[101:3001:2]
    assert keys.count("000100", "003001") == len(numbers[101:3001:2])
