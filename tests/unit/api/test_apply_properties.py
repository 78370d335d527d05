"""What always holds of server-side apply, whatever is applied and written by whom."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from picluster.api.apply import managers, structural
from picluster.api.apply.applying import Request, apply
from picluster.api.apply.compare import compare, owned
from picluster.api.apply.conflicts import Conflicts
from picluster.api.apply.fieldsets import difference, intersection, paths
from picluster.api.apply.managers import APPLY, UPDATE, Managed, manager
from picluster.api.apply.tracking import Change, updated
from picluster.api.types import Object

NOW = "2026-01-01T00:00:00Z"
ITEM = {"type": "object", "properties": {"key": {"type": "string"}, "a": {"type": "integer"}, "b": {"type": "integer"}}}
SPEC: Object = {
    "type": "object",
    "properties": {
        "x": {"type": "integer"},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}},
        "atomic": {"type": "array", "items": {"type": "integer"}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}},
        "list": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["key"],
            "items": ITEM,
        },
        "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
TYPE = structural.root({"type": "object", "properties": {"spec": SPEC}})

small = st.integers(0, 2)
item = st.fixed_dictionaries({"key": st.sampled_from("kl")}, optional={"a": small, "b": small})
specs = st.fixed_dictionaries(
    {},
    optional={
        "x": small,
        "map": st.dictionaries(st.sampled_from("mn"), small, max_size=2),
        "atomic": st.lists(small, max_size=2),
        "set": st.lists(small, unique=True, max_size=3),
        "list": st.lists(item, unique_by=lambda found: found["key"], max_size=2),
        "open": st.dictionaries(
            st.sampled_from("op"), small | st.dictionaries(st.sampled_from("q"), small), max_size=2
        ),
    },
)
actions = st.lists(
    st.tuples(st.sampled_from(("apply", "force", "update")), st.sampled_from("abc"), specs), min_size=1, max_size=6
)


def config(spec: Object) -> Object:
    return {"apiVersion": "e/v1", "kind": "E", "metadata": {"name": "e"}, "spec": spec}


def run(obj: Object, managed: Managed, verb: str, name: str, spec: Object) -> tuple[Object, Managed]:
    if verb == "update":
        new = config(spec)
        change = Change(TYPE, "e/v1", obj, new, {}, lambda *_: None)
        return new, updated(change, managed, manager(name, UPDATE, "e/v1"), NOW)
    request = Request(TYPE, "e/v1", config(spec), obj, {}, lambda *_: None, verb == "force")
    try:
        return tuple(apply(request, managed, manager(name, APPLY, "e/v1"), NOW))
    except Conflicts:
        return obj, managed


def contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return not part or (isinstance(whole, dict) and all(contains(whole.get(key), part[key]) for key in part))
    return bool(whole == part)


@settings(max_examples=60, deadline=None)
@given(actions)
def test_invariants(done: list[tuple[str, str, Object]]) -> None:
    obj: Object = {"metadata": {}}
    managed: Managed = {}
    for verb, name, spec in done:
        before, kept = deepcopy(obj), deepcopy(managed)
        found, owners = run(obj, managed, verb, name, deepcopy(spec))
        assert obj == before and managed == kept, "arguments stay as they are"
        there = managers.stripped(compare(TYPE, {}, found).changed)
        for who, claim in owners.items():
            if who.operation == UPDATE:
                assert not difference(claim.fields, there), "updaters own only what is there"
            assert claim.fields, "nobody owns nothing"
        if verb == "update":
            changed = managers.stripped(compare(TYPE, obj, found).changed)
            for who, claim in owners.items():
                if managed and (who.name, who.operation) != (name, UPDATE):
                    assert not intersection(claim.fields, changed), "what changes belongs to whoever changed it"
        again = managers.decode(managers.encode(owners))
        assert {who: claim.fields for who, claim in again.items()} == {who: c.fields for who, c in owners.items()}
        obj, managed = found, owners


@settings(max_examples=60, deadline=None)
@given(actions, specs)
def test_a_forced_apply_is_there_and_doing_it_again_changes_nothing(
    done: list[tuple[str, str, Object]], spec: Object
) -> None:
    obj: Object = {"metadata": {}}
    managed: Managed = {}
    for verb, name, written in done:
        obj, managed = run(obj, managed, verb, name, deepcopy(written))
    first, owners = run(obj, managed, "force", "me", spec)
    assert contains({**first.get("spec", {}), "set": spec.get("set"), "list": spec.get("list")}, spec)
    assert set(spec.get("set", ())) <= set(first.get("spec", {}).get("set", ()))
    again, same = run(first, owners, "apply", "me", spec)
    assert (again, same) == (first, owners)
    mine = owners.get(manager("me", APPLY, "e/v1"))
    wanted = managers.stripped(owned(TYPE, config(spec)))
    assert list(paths(mine.fields if mine else {})) == list(paths(wanted))


@settings(max_examples=60, deadline=None)
@given(specs, specs)
def test_applying_nothing_takes_back_what_was_applied(spec: Object, other: Object) -> None:
    obj, managed = run({"metadata": {}}, {}, "apply", "other", other)
    applied, owners = run(obj, managed, "force", "me", spec)
    back, left = run(applied, owners, "apply", "me", {})
    theirs = left.get(manager("other", APPLY, "e/v1"))
    there = compare(TYPE, {}, back).changed
    if theirs:
        assert not difference(theirs.fields, owned(TYPE, back)) or there
    assert set(paths(managers.stripped(owned(TYPE, back)))) <= {
        *paths(owned(TYPE, config(other))), *paths(managers.stripped(owned(TYPE, config({})))),
    }  # fmt: skip
