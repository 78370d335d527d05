"""Logic and comprehensions: where an error may not be the end, because what follows decides.

``false && error`` is false in either order, and so for ``||``, ``all`` and ``exists``. What a step costs is what the
expansion of the macro costs in cel-go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from picluster.api.cel.errors import CelBudgetError, CelError
from picluster.api.cel.frame import Evaluate, Frame
from picluster.api.cel.functions.listext import sort_list
from picluster.api.cel.values import MAPS, NO_OVERLOAD, elements, pairs, to_key

_ALL_STEP, _EXISTS_STEP, _ONE_MATCH, _FILTER_MATCH, _MAP_MATCH, _ENTRY_STEP = 3, 4, 2, 13, 12, 2
_END = object()


def both(left: Evaluate, right: Evaluate) -> Evaluate:
    return _logic(left, right, False)


def either(left: Evaluate, right: Evaluate) -> Evaluate:
    return _logic(left, right, True)


def _logic(left: Evaluate, right: Evaluate, decisive: bool) -> Evaluate:
    def run(frame: Frame) -> bool:
        failure: CelError | None = None
        try:
            value = left(frame)
            if value is decisive:
                return bool(decisive)
            if not isinstance(value, bool):
                failure = CelError(NO_OVERLOAD)
        except CelBudgetError:
            raise
        except CelError as error:
            failure = error
        try:
            value = right(frame)
        except CelBudgetError:
            raise
        except CelError as error:
            raise (failure or error) from None
        if value is decisive:
            return bool(decisive)
        if failure is not None:
            raise failure
        if not isinstance(value, bool):
            raise CelError(NO_OVERLOAD)
        return not decisive

    return run


def conditional(condition: Evaluate, then: Evaluate, otherwise: Evaluate) -> Evaluate:
    def run(frame: Frame) -> Any:
        value = condition(frame)
        if value is True:
            return then(frame)
        if value is False:
            return otherwise(frame)
        raise CelError(NO_OVERLOAD)

    return run


def fold(
    kind: str, over: Evaluate, slot: int, variables: int, condition: Evaluate | None, result: Evaluate | None
) -> Evaluate:
    """The comprehension ``kind`` over ``over``; its variables are the locals from ``slot`` on."""
    steps = _Steps(over, slot, variables)
    if kind in ("all", "exists"):
        assert condition is not None
        return _quantified(steps, condition, decisive=kind == "exists")
    if kind == "exists_one":
        assert condition is not None
        return _exists_one(steps, condition)
    if kind == "filter":
        assert condition is not None
        return _filtered(steps, condition)
    assert result is not None
    if kind == "sortBy":
        return _sorted_by(steps, result)
    if kind in ("map", "transformList"):
        return _mapped(steps, condition, result)
    return _map_made(steps, condition, result, entries=kind == "transformMapEntry")


class _Steps:
    """Runs over a list or map, with what is there in the frame's locals."""

    __slots__ = ("_over", "_slot", "_variables")

    def __init__(self, over: Evaluate, slot: int, variables: int) -> None:
        self._over = over
        self._slot = slot
        self._variables = variables

    def __call__(self, frame: Frame, cost: int) -> Iterator[Any]:
        """What the first variable is, at each step."""
        container = self._over(frame)
        slot = self._slot
        if self._variables == 1:
            for item in elements(container):
                frame.cost += cost
                frame.check()
                frame.locals[slot] = item
                yield item
            return
        for key, item in pairs(container):
            frame.cost += cost
            frame.check()
            frame.locals[slot], frame.locals[slot + 1] = key, item
            yield key


def _quantified(steps: _Steps, condition: Evaluate, *, decisive: bool) -> Evaluate:
    cost = _EXISTS_STEP if decisive else _ALL_STEP

    def run(frame: Frame) -> bool:
        failure: CelError | None = None
        frame.cost += 1
        running = steps(frame, cost)
        for _ in running:
            try:
                value = condition(frame)
            except CelBudgetError:
                raise
            except CelError as error:
                failure = failure or error
                continue
            if value is decisive:
                if next(running, _END) is not _END:  # the loop's condition is looked at once more
                    frame.cost -= 1
                return bool(decisive)
            if not isinstance(value, bool):
                failure = failure or CelError(NO_OVERLOAD)
        if failure is not None:
            raise failure
        return not decisive

    return run


def _holds(value: Any) -> bool:
    if not isinstance(value, bool):
        raise CelError(NO_OVERLOAD)
    return value is True


def _exists_one(steps: _Steps, condition: Evaluate) -> Evaluate:
    def run(frame: Frame) -> bool:
        frame.cost += 2
        count = 0
        for _ in steps(frame, 0):
            if _holds(condition(frame)):
                frame.cost += _ONE_MATCH
                count += 1
        return count == 1

    return run


def _filtered(steps: _Steps, condition: Evaluate) -> Evaluate:
    def run(frame: Frame) -> list[Any]:
        frame.cost += 1
        found: list[Any] = []
        for item in steps(frame, 0):
            if _holds(condition(frame)):
                frame.cost += _FILTER_MATCH
                found.append(item)
        return found

    return run


def _mapped(steps: _Steps, condition: Evaluate | None, result: Evaluate) -> Evaluate:
    def run(frame: Frame) -> list[Any]:
        frame.cost += 1
        found: list[Any] = []
        for _ in steps(frame, 0):
            if condition is None or _holds(condition(frame)):
                frame.cost += _MAP_MATCH
                found.append(result(frame))
        return found

    return run


def _sorted_by(steps: _Steps, result: Evaluate) -> Evaluate:
    def run(frame: Frame) -> list[Any]:
        frame.cost += 2
        items: list[Any] = []
        keys: list[Any] = []
        for item in steps(frame, 0):
            frame.cost += _MAP_MATCH
            items.append(item)
            keys.append(result(frame))
        frame.cost += len(items)
        return sort_list(items, keys)

    return run


def _map_made(steps: _Steps, condition: Evaluate | None, result: Evaluate, *, entries: bool) -> Evaluate:
    def run(frame: Frame) -> dict[Any, Any]:
        frame.cost += 1
        found: dict[Any, Any] = {}
        for key in steps(frame, _ENTRY_STEP):
            if condition is not None and not _holds(condition(frame)):
                continue
            value = result(frame)
            if not entries:
                found[to_key(key)] = value
                continue
            if not isinstance(value, MAPS):
                raise CelError(NO_OVERLOAD)
            for made, item in value.items():
                if made in found:
                    raise CelError(f"insert failed: key {made} already exists")
                found[made] = item
        return found

    return run
