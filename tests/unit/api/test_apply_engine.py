"""The engine of server-side apply, by tables: what changes who owns, what an apply merges and prunes (KEP-555)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from picluster.api.apply import elements, managers, structural
from picluster.api.apply.applying import Rejected, Request, apply
from picluster.api.apply.check import mistakes
from picluster.api.apply.compare import compare, owned
from picluster.api.apply.conflicts import Conflicts
from picluster.api.apply.fieldsets import (
    difference,
    intersection,
    ordered,
    paths,
    read,
    union,
    with_named,
    without_trees,
)  # fmt: skip
from picluster.api.apply.managers import APPLY, UPDATE, Claim, Managed, Manager, manager
from picluster.api.apply.merge import merge, prune
from picluster.api.apply.tracking import Change, created, updated
from picluster.api.apply.types import builtin
from picluster.api.resources import DEPLOYMENTS, PERSISTENT_VOLUMES, PODS, SERVICES
from picluster.api.types import Object

T0, T1 = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
STRINGS: Object = {"type": "object", "additionalProperties": {"type": "string"}}
SCHEMA: Object = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "count": {"type": "integer"},
                "on": {"type": "boolean"},
                "any": {"x-kubernetes-preserve-unknown-fields": True, "type": "object"},
                "port": {"x-kubernetes-int-or-string": True},
                "labels": STRINGS,
                "whole": {**STRINGS, "x-kubernetes-map-type": "atomic"},
                "plain": {"type": "array", "items": {"type": "string"}},
                "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "list": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["key", "kind"],
                    "items": {
                        "type": "object",
                        "properties": {
                            "key": {"type": "string"},
                            "kind": {"type": "string", "default": "x"},
                            "value": {"type": "string"},
                            "other": {"type": "string"},
                        },
                    },
                },
            },
        }
    },
}  # fmt: skip
TYPE = structural.root(SCHEMA)


def cr(**spec: Any) -> Object:
    return {"apiVersion": "e/v1", "kind": "E", "metadata": {"name": "e"}, "spec": spec}


def fields(obj: Object) -> list[str]:
    return list(paths(managers.stripped(owned(TYPE, obj))))


class World:
    """One object, and who owns what of it."""

    def __init__(self) -> None:
        self.obj: Object = {"metadata": {}}
        self.managed: Managed = {}

    def apply(self, name: str, config: Object, *, force: bool = False) -> World:
        request = Request(TYPE, "e/v1", config, self.obj, {}, lambda *_: None, force)
        applied = apply(request, self.managed, manager(name, APPLY, "e/v1"), T0)
        self.obj, self.managed = applied.obj, applied.managed
        return self

    def update(self, name: str, new: Object) -> World:
        change = Change(TYPE, "e/v1", self.obj, new, {}, lambda *_: None)
        self.managed = updated(change, self.managed, manager(name, UPDATE, "e/v1"), T1)
        self.obj = new
        return self

    def owns(self, name: str) -> list[str]:
        return [path for who, claim in self.managed.items() if who.name == name for path in paths(claim.fields)]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (cr(name="a"), [".spec.name"]),
        (cr(), [".spec"]),
        (cr(labels={"a": "1"}), [".spec.labels.a"]),
        (cr(labels={}), [".spec.labels"]),
        (cr(whole={"a": "1"}), [".spec.whole"]),
        (cr(plain=["a"]), [".spec.plain"]),
        (cr(set=["a", "b"]), ['.spec.set[="a"]', '.spec.set[="b"]']),
        (
            cr(list=[{"key": "k", "value": "v"}]),
            ['.spec.list[key="k",kind="x"]', '.spec.list[key="k",kind="x"].key', '.spec.list[key="k",kind="x"].value'],
        ),
        (cr(any={"a": {"b": [1]}}), [".spec.any.a", ".spec.any.a.b"]),
        (cr(name=None), [".spec.name"]),
    ],
)
def test_what_a_configuration_claims(config: Object, expected: list[str]) -> None:
    assert fields(config) == expected


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (cr(unknown=1), ".spec.unknown: field not declared in schema"),
        (cr(count="many"), ".spec.count: expected numeric (int or float), got string"),
        (cr(count=True), ".spec.count: expected numeric (int or float), got bool"),
        (cr(name=1), ".spec.name: expected string, got &value.valueUnstructured{Value:1}"),
        (cr(on="x"), ".spec.on: expected boolean, got &{x}"),
        (cr(port=[]), ".spec.port: expected any scalar, got &{[]}"),
        (cr(labels=["a"]), ".spec.labels: expected map, got &{[a]}"),
        (cr(plain={"a": 1}), ".spec.plain: expected list, got &{map[a:1]}"),
        (cr(plain=[1]), ".spec.plain[0]: expected string, got &value.valueUnstructured{Value:1}"),
        (cr(set=["a", "a"]), '.spec.set: duplicate entries for key [="a"]'),
        (
            cr(set=[None]),
            ".spec.set: element 0: associative list without keys has an element that's an explicit null",
        ),
        (cr(set=[{}]), ".spec.set: element 0: associative list without keys has an element that's a map type"),
        (cr(set=[[]]), ".spec.set: element 0: not supported: associative list with lists as elements"),
        (
            cr(list=[{"value": "v"}]),
            '.spec.list: element 0: associative list with keys has an element that omits key field "key" (and doesn\'t'
            " have default value)",
        ),
        (cr(list=[None]), ".spec.list: element 0: associative list with keys may not have a null element"),
        (cr(list=["a"]), ".spec.list: element 0: associative list with keys may not have non-map elements"),
    ],
)
def test_what_has_no_place_in_the_schema(config: Object, message: str) -> None:
    assert [str(mistake) for mistake in mistakes(TYPE, config)] == [message]


@pytest.mark.parametrize(
    ("old", "new", "changed", "removed"),
    [
        (cr(name="a"), cr(name="b"), [".spec.name"], []),
        (cr(name="a"), cr(), [], [".spec.name"]),
        (cr(), cr(labels={"a": "1"}), [".spec.labels", ".spec.labels.a"], []),
        (cr(labels={"a": "1"}), cr(labels={"a": "1", "b": "2"}), [".spec.labels.b"], []),
        (cr(whole={"a": "1"}), cr(whole={"a": "1", "b": "2"}), [".spec.whole"], []),
        (cr(set=["a"]), cr(set=["b", "a"]), ['.spec.set[="b"]'], []),
        (cr(plain=["a"]), cr(plain=["a", "b"]), [".spec.plain"], []),
        (cr(any={"a": {"b": 1}}), cr(any={"a": "x"}), [".spec.any.a"], [".spec.any.a.b"]),
        (cr(labels={"a": "1"}), cr(labels=None), [], [".spec.labels.a"]),
        (cr(list=[{"key": "k", "value": "a"}]), cr(list=[{"key": "k", "kind": "x", "value": "b"}]),
         ['.spec.list[key="k",kind="x"].kind', '.spec.list[key="k",kind="x"].value'], []),
    ],
)  # fmt: skip
def test_what_a_write_changes(old: Object, new: Object, changed: list[str], removed: list[str]) -> None:
    found = compare(TYPE, old, new)
    assert (list(paths(found.changed)), list(paths(found.removed))) == (changed, removed)


def test_structs_that_go_always_has_are_nobodys() -> None:
    """``.`` of a struct by value and of a list that is never omitted is in no set; that of pointers and maps is."""
    deployment = {"spec": {"strategy": {"rollingUpdate": {"maxSurge": 1}}, "template": {"metadata": {"labels": {}}}}}
    assert created(builtin(DEPLOYMENTS.schema), deployment, {}) == {
        "f:spec": {
            "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}},
            "f:template": {"f:metadata": {"f:labels": {}}},
        }
    }
    pod = {"spec": {"containers": [{"name": "a"}]}, "status": {"conditions": [{"type": "Ready"}]}}
    assert created(builtin(PODS.schema), pod, {"f:status": {}}) == {
        "f:spec": {"f:containers": {'k:{"name":"a"}': {".": {}, "f:name": {}}}}
    }
    assert "." in created(builtin(PODS.schema), pod, {})["f:status"]["f:conditions"]


def test_builtin_types_say_what_is_atomic() -> None:
    pod, service = builtin(PODS.schema), builtin(SERVICES.schema)
    spec = pod.fields["spec"]
    assert spec.fields["nodeSelector"].atomic and spec.fields["tolerations"].atomic
    assert not spec.fields["containers"].atomic and spec.fields["containers"].keys == ("name",)
    ports = service.fields["spec"].fields["ports"]
    assert elements.of_item(ports, {"port": 80}) == 'k:{"port":80,"protocol":"TCP"}'
    claim = builtin(PERSISTENT_VOLUMES.schema).fields["spec"].fields["claimRef"]
    assert not claim.atomic and builtin("io.k8s.api.core.v1.ObjectReference").atomic
    assert structural.root(None).child("anything") is not None


@pytest.mark.parametrize(
    ("live", "applied", "merged"),
    [
        (["a", "b"], ["b", "a"], ["b", "a"]),
        (["a", "b", "c"], ["c", "a"], ["b", "c", "a"]),
        (["a", "b"], ["c"], ["a", "b", "c"]),
        (["a", "b", "c"], ["b", "d"], ["a", "b", "c", "d"]),
        (["a", "b", "c"], ["d", "b"], ["a", "d", "b", "c"]),
        ([], ["a"], ["a"]),
        (["a"], [], ["a"]),
    ],
)
def test_the_order_of_a_merged_list(live: list[str], applied: list[str], merged: list[str]) -> None:
    assert merge(TYPE, cr(set=live), cr(set=applied))["spec"]["set"] == merged


def test_an_apply_removes_what_it_had_and_nobody_else_has() -> None:
    world = World().apply("a", cr(name="n", labels={"x": "1", "y": "2"}, set=["p", "q"])).apply("b", cr(set=["q"]))
    world.apply("a", cr(labels={"y": "2"}))
    assert world.obj["spec"] == {"labels": {"y": "2"}, "set": ["q"]}
    assert world.owns("a") == [".spec.labels.y"] and world.owns("b") == ['.spec.set[="q"]']


def test_an_applier_that_claims_nothing_more_is_forgotten() -> None:
    world = World().apply("a", cr(name="n")).apply("a", {"apiVersion": "e/v1", "kind": "E", "metadata": {"name": "e"}})
    assert "spec" not in world.obj and not world.managed


def test_an_item_goes_although_another_owns_a_part_of_it() -> None:
    world = World().apply("a", cr(list=[{"key": "k", "value": "v"}]))
    live = cr(list=[{"key": "k", "kind": "x", "value": "v", "other": "o"}])
    world.update("b", live).apply("a", cr(count=1))
    assert world.obj["spec"] == {"count": 1}


def test_conflicts_and_force() -> None:
    world = World().apply("a", cr(name="n", count=1)).update("b", cr(name="m", count=1))
    with pytest.raises(Conflicts) as refused:
        world.apply("a", cr(name="n", count=2))
    assert refused.value.error().message == ('Apply failed with 1 conflict: conflict with "b" using e/v1: .spec.name')
    world.apply("a", cr(name="n", count=2), force=True)
    assert world.owns("b") == [] and world.owns("a") == [".spec.count", ".spec.name"]
    world.apply("c", cr(name="n"))
    assert world.owns("a") == [".spec.count", ".spec.name"] and world.owns("c") == [".spec.name"]


def test_the_summary_of_several_mistakes() -> None:
    with pytest.raises(Rejected) as refused:
        World().apply("a", cr(name=1, x=2))
    assert str(refused.value) == (
        "errors:\n  .spec.name: expected string, got &value.valueUnstructured{Value:1}\n"
        "  .spec.x: field not declared in schema"
    )


def test_what_became_atomic_is_owned_whole() -> None:
    world = World()
    world.obj = cr(whole={"a": "1"})
    old: Managed = {manager("a", APPLY, "e/v1"): Claim({"f:spec": {"f:whole": {"f:a": {}}}}, "e/v1", T0)}
    world.managed = old
    world.apply("b", cr(name="x"))
    assert world.owns("a") == [".spec.whole"]


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("kubectl/v1.33 (linux/amd64)", "kubectl"),
        ("Mozilla Fire\x07fox/5", "Mozilla Firefox"),
        ("x" * 200, "x" * 128),
        ("", ""),
    ],
)
def test_the_name_in_a_user_agent(agent: str, name: str) -> None:
    assert managers.from_user_agent(agent) == name


def test_managed_fields_are_read_and_written_in_order() -> None:
    entries = [
        managers.entry(Manager("a", APPLY, ""), "e/v1", T1, {"f:x": {}}),
        managers.entry(Manager("b", UPDATE, "e/v1"), "e/v1", T0, {"f:y": {}}),
        managers.entry(Manager("a", UPDATE, "e/v1", "status"), "e/v1", T1, {"f:z": {}}),
    ]
    assert managers.encode(managers.decode(list(reversed(entries)))) == entries
    for wrong in ({"fieldsType": "FieldsV2"}, {"fieldsType": "FieldsV1", "operation": "Guess"}):
        with pytest.raises(ValueError):
            managers.decode([wrong])
    for fields_v1 in ({"g:x": {}}, {"f:x": 1}, []):
        with pytest.raises(ValueError):
            read(fields_v1)
    assert read({'k:{"b": 1, "a": 2}': {}}) == {'k:{"a":2,"b":1}': {}}


def test_the_oldest_updaters_of_a_version_are_one() -> None:
    managed: Managed = {
        Manager(f"m{number:02}", UPDATE, "e/v1"): Claim({f"f:{number}": {}}, "e/v1", f"2026-01-01T00:00:{number:02}Z")
        for number in range(13)
    }
    capped = managers.cap(managed)
    assert len(capped) == managers.UPDATERS_MAX
    ancient = capped[Manager("ancient-changes", UPDATE, "e/v1")]
    assert ancient == Claim({"f:0": {}, "f:1": {}, "f:2": {}, "f:3": {}}, "e/v1", "2026-01-01T00:00:03Z")


SMALL = [
    {}, {"f:a": {}}, {"f:a": {"f:b": {}}}, {"f:a": {".": {}, "f:b": {}}}, {"f:a": {"f:b": {}, "f:c": {}}},
    {"f:a": {"f:b": {".": {}, "f:c": {}}}, "f:d": {}},
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), list(itertools.product(SMALL, SMALL)))
def test_the_algebra_is_that_of_sets(one: Object, other: Object) -> None:
    left, right = set(paths(one)), set(paths(other))
    assert set(paths(union(one, other))) == left | right
    assert set(paths(difference(one, other))) == left - right
    assert set(paths(intersection(one, other))) == left & right
    below = {path for path in left if any(path == root or path.startswith(root + ".") for root in right)}
    assert set(paths(without_trees(one, other))) == left - below
    assert ordered(union(one, other)) == union(other, one)


def test_named_fields_are_members() -> None:
    found = with_named(owned(TYPE, cr(labels={"a": "1"}, list=[{"key": "k"}])), TYPE)
    assert {".spec", ".spec.labels", ".spec.list"} <= set(paths(found))


def test_pruning_keeps_what_nobody_ever_owned() -> None:
    merged = cr(name="n", count=1, labels={"a": "1"})
    last = owned(TYPE, cr(name="n", labels={"a": "1"}))
    assert prune(TYPE, merged, owned(TYPE, cr(labels={"a": "1"})), last)["spec"] == {"count": 1, "labels": {"a": "1"}}
