"""JSONPath and printer columns."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.apiserver.crd import jsonpath
from picluster.apiserver.crd.columns import printer

NOW_S = 1_800_000_000.0
OBJECT = {
    "metadata": {"name": "a", "creationTimestamp": "2027-01-15T07:00:00Z", "annotations": {"a.b/c": "dotted"}},
    "spec": {"ports": [{"name": "x", "n": 1}, {"name": "y", "n": 2}], "deep": {"n": 3}},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".metadata.name", ["a"]),
        ("$.metadata.name", ["a"]),
        (".spec.ports[0].name", ["x"]),
        (".spec.ports[-1].name", ["y"]),
        (".spec.ports[5].name", []),
        (".spec.ports[*].n", [1, 2]),
        (".spec.ports[0:1].n", [1]),
        (".spec.ports[0,1].n", [1, 2]),
        ("..n", [1, 2, 3]),
        (r".metadata.annotations.a\.b/c", ["dotted"]),
        (".metadata.annotations['a.b/c']", ["dotted"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type == 'Ready')].status", ["True"]),
        (".spec.ports[?(@.n>1)].name", ["y"]),
        (".spec.ports[?(@.missing)].name", []),
        (".spec.none.at.all", []),
    ],
)
def test_paths_find_what_they_lead_to(path: str, found: list[Any]) -> None:
    got = jsonpath.find(path, OBJECT)
    assert sorted(map(str, got)) == sorted(map(str, found))


@pytest.mark.parametrize("path", [".a[x]", ".a[?(x]", ".a["])
def test_what_is_no_path_says_so(path: str) -> None:
    with pytest.raises(jsonpath.JsonPathError):
        jsonpath.find(path, OBJECT)


def column(kind: str, path: str, **more: Any) -> dict[str, Any]:
    return {"name": "X", "type": kind, "jsonPath": path, **more}


@pytest.mark.parametrize(
    ("kind", "path", "cell"),
    [
        ("string", ".metadata.name", "a"),
        ("string", ".spec.deep", '{"n":3}'),
        ("string", ".spec.deep.n", "3"),
        ("integer", ".spec.deep.n", 3),
        ("integer", ".metadata.name", None),
        ("number", ".spec.deep.n", 3),
        ("boolean", ".spec.deep.n", None),
        ("date", ".metadata.creationTimestamp", "60m"),
        ("date", ".metadata.name", "<invalid>"),
        ("string", ".missing", None),
        ("string", ".a[x]", None),
    ],
)
def test_a_cell_is_shown_by_its_type(kind: str, path: str, cell: Any) -> None:
    assert printer([column(kind, path)]).row(OBJECT, NOW_S) == ["a", cell]


def test_without_columns_there_is_the_age() -> None:
    shown = printer(())
    assert [each.name for each in shown.columns] == ["Name", "Age"]
    assert shown.row(OBJECT, NOW_S) == ["a", "60m"]


def test_a_column_says_what_it_is() -> None:
    defined = printer([column("string", ".x", priority=1)]).columns[1].definition()
    text = "Custom resource definition column (in JSONPath format): .x"
    assert defined == {"name": "X", "type": "string", "format": "", "description": text, "priority": 1}
