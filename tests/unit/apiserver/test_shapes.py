"""What creators own is found once for each shape of body, and never taken for that of another."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from picluster.api.apply.fieldsets import FieldSet
from picluster.api.apply.tracking import created
from picluster.api.apply.types import builtin
from picluster.api.resources import CONFIGMAPS, SECRETS
from picluster.api.types import Object
from picluster.apiserver.registry.shapes import BODY_MAX_BYTES, SHAPES_MAX, Shapes


def body(name: str, **data: str) -> bytes:
    return orjson.dumps({"metadata": {"name": name}, "data": data})


class Finder:
    def __init__(self, answer: FieldSet) -> None:
        self.answer = answer
        self.asked = 0

    def __call__(self) -> FieldSet:
        self.asked += 1
        return self.answer


def test_one_shape_is_found_once() -> None:
    shapes, find = Shapes(), Finder({"f:data": {"f:k": {}}})
    for number in range(5):
        assert shapes.fields(CONFIGMAPS, body(f"web-{number}", k="v"), f"web-{number}", find) is find.answer
    assert find.asked == 1
    assert shapes.fields(SECRETS, body("web-1", k="v"), "web-1", find) and find.asked == 2
    assert shapes.fields(CONFIGMAPS, body("web-1", other="v"), "web-1", find) and find.asked == 3


def test_a_shape_that_says_the_name_is_nobody_elses() -> None:
    shapes = Shapes()
    for name in ("one", "two"):
        find = Finder({"f:data": {f"f:{name}": {}}})
        assert shapes.fields(CONFIGMAPS, body(name, **{name: "v"}), name, find) is find.answer


def test_shapes_are_bounded() -> None:
    shapes = Shapes()
    for number in range(2 * SHAPES_MAX):
        shapes.fields(CONFIGMAPS, body("x", **{f"k{number}": "v"}), "x", Finder({"f:a": {}}))
    again = Finder({"f:a": {}})
    shapes.fields(CONFIGMAPS, body("x", k0="v"), "x", again)
    assert again.asked == 1
    for _ in range(2):
        shapes.fields(CONFIGMAPS, body("x", k="v" * BODY_MAX_BYTES), "x", again)
    assert again.asked == 3


names = st.text("ab1", min_size=1, max_size=3)


@given(st.lists(st.tuples(names, st.dictionaries(names, names, max_size=2)), min_size=1, max_size=6))
def test_the_answer_is_that_of_the_walk(objects: list[tuple[str, dict[str, str]]]) -> None:
    shapes, of_type = Shapes(), builtin(CONFIGMAPS.schema)
    for name, data in objects:
        obj: Object = {"metadata": {"name": name}, "data": data}
        expected = created(of_type, obj, {})
        assert shapes.fields(CONFIGMAPS, orjson.dumps(obj), name, lambda found=expected: found) == expected
