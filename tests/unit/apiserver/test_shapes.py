"""What creators own is found once for each shape of a part, and never taken for that of another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from picluster.api.apply.fieldsets import FieldSet
from picluster.api.apply.tracking import created
from picluster.api.apply.types import builtin
from picluster.api.resources import CONFIGMAPS, SECRETS
from picluster.api.types import Object
from picluster.apiserver.registry.shapes import PART_MAX_BYTES, SHAPES_MAX, Shapes

OF_TYPE = builtin(CONFIGMAPS.schema)


class Finder:
    """Counts how often it is asked for the fields of data."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, part: Object) -> FieldSet:
        self.asked += "data" in part
        return created(OF_TYPE, part, {})


def config(name: str, **data: str) -> Object:
    return {"metadata": {"name": name}, "data": data}


def test_one_shape_is_found_once() -> None:
    shapes, find = Shapes(), Finder()
    for number in range(5):
        assert shapes.fields(CONFIGMAPS, config(f"web-{number}", k="v"), find) == {"f:data": {"f:k": {}, ".": {}}}
    assert find.asked == 1
    assert shapes.fields(SECRETS, config("web-1", k="v"), find) and find.asked == 2
    assert shapes.fields(CONFIGMAPS, config("web-1", other="v"), find) and find.asked == 3


def test_shapes_are_bounded() -> None:
    shapes, find = Shapes(), Finder()
    for number in range(2 * SHAPES_MAX):
        shapes.fields(CONFIGMAPS, config("x", **{f"k{number}": "v"}), find)
    before = find.asked
    shapes.fields(CONFIGMAPS, config("x", k0="v"), find)
    assert find.asked == before + 1
    for _ in range(2):
        shapes.fields(CONFIGMAPS, config("x", k="v" * PART_MAX_BYTES), find)
    assert find.asked == before + 3


names = st.text("ab1", min_size=1, max_size=3)
metadata = st.fixed_dictionaries({"name": names}, optional={"labels": st.dictionaries(names, names, max_size=2)})


@given(st.lists(st.tuples(metadata, st.dictionaries(names, names, max_size=2)), min_size=1, max_size=6))
def test_the_answer_is_that_of_the_walk_in_its_order(objects: list[tuple[Object, dict[str, str]]]) -> None:
    shapes = Shapes()
    for each, data in objects:
        obj: Object = {"metadata": each, "data": data}
        expected = created(OF_TYPE, obj, {})
        found = shapes.fields(CONFIGMAPS, obj, lambda part: created(OF_TYPE, part, {}))
        assert found == expected and list(found) == list(expected)
