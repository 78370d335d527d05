"""Structural schemas: what is dropped, filled in, refused, and in which words."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.api.structural import Schema, defaulted, fieldpath, formats, listtype, openapi, shape, validate
from picluster.api.structural.default import default
from picluster.api.structural.prune import prune

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def told(value: Any, schema: Any, *old: Any) -> list[str]:
    return [str(failure) for failure in validate.failures(value, schema, *old)]


@pytest.mark.parametrize(
    ("value", "schema", "kept", "unknown"),
    [
        ({"a": 1, "b": 2}, obj(a=INTEGER), {"a": 1}, ["b"]),
        ({"kind": "X", "metadata": {"any": 1}, "x": 1}, obj(), {"kind": "X", "metadata": {"any": 1}}, ["x"]),
        ({"l": [{"a": 1, "b": 2}]}, obj(l={"type": "array", "items": obj(a=INTEGER)}), {"l": [{"a": 1}]}, ["l[0].b"]),
        ({"m": {"k": {"a": 1, "b": 2}}}, obj(m={"type": "object", "additionalProperties": obj(a=INTEGER)}),
         {"m": {"k": {"a": 1}}}, ["m.k.b"]),
        ({"p": {"x": {"y": 1}, "a": {"z": 1}}}, obj(p={**OPEN, "properties": {"a": obj()}}),
         {"p": {"x": {"y": 1}, "a": {}}}, ["p.a.z"]),
        ({"l": [{"x": 1}]}, obj(l={"type": "array", "x-kubernetes-preserve-unknown-fields": True}), {"l": [{"x": 1}]},
         []),
        ({"e": {"kind": "X", "metadata": {}, "y": 1}}, obj(e={**obj(), "x-kubernetes-embedded-resource": True}),
         {"e": {"kind": "X", "metadata": {}}}, ["e.y"]),
        ({"m": {"k": {"a": 1}}}, obj(m={"type": "object", "additionalProperties": True}), {"m": {"k": {}}}, ["m.k.a"]),
    ],
)  # fmt: skip
def test_unknown_fields_are_dropped_and_named(value: Any, schema: Any, kept: Any, unknown: list[str]) -> None:
    assert prune(value, schema) == unknown
    assert value == kept


@pytest.mark.parametrize(
    ("value", "schema", "filled"),
    [
        ({}, obj(a={**INTEGER, "default": 1}), {"a": 1}),
        ({"a": None}, obj(a={**INTEGER, "default": 1}), {"a": 1}),
        ({"a": None}, obj(a={**INTEGER, "default": 1, "nullable": True}), {"a": None}),
        ({"a": None}, obj(a=INTEGER), {}),
        ({}, obj(o={**obj(a={**INTEGER, "default": 1}), "default": {}}), {"o": {"a": 1}}),
        ({}, obj(o=obj(a={**INTEGER, "default": 1})), {}),
        ({"l": [{}, None]}, obj(l={"type": "array", "items": {**obj(a={**INTEGER, "default": 1}), "default": {}}}),
         {"l": [{"a": 1}, {"a": 1}]}),
        ({"m": {"x": {}, "y": None}},
         obj(m={"type": "object", "additionalProperties": obj(a={**INTEGER, "default": 1})}),
         {"m": {"x": {"a": 1}}}),
    ],
)  # fmt: skip
def test_defaults_are_filled_in_and_unwanted_nulls_go(value: Any, schema: Any, filled: Any) -> None:
    default(value, schema)
    assert value == filled


def test_a_default_is_never_shared() -> None:
    schema = obj(o={"type": "object", "default": {"l": []}, "properties": {"l": {"type": "array", "items": INTEGER}}})
    first: dict[str, Any] = {}
    default(first, schema)
    first["o"]["l"].append(1)
    second: dict[str, Any] = {}
    default(second, schema)
    assert second == {"o": {"l": []}}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcde"), inner, max_size=4),
    max_leaves=12,
)
NESTED = obj(
    a={**INTEGER, "default": 3},
    b=obj(c={**STRING, "default": "x"}),
    d={"type": "array", "items": obj(a={**INTEGER, "default": 1})},
    e=OPEN,
)


@given(VALUES.filter(lambda value: isinstance(value, dict)))
def test_reading_twice_changes_nothing(value: Any) -> None:
    prune(value, NESTED)
    default(value, NESTED)
    once = copy.deepcopy(value)
    assert prune(value, NESTED) == []
    default(value, NESTED)
    assert value == once


@pytest.mark.parametrize(
    ("value", "schema", "failures"),
    [
        ({"a": "x"}, obj(a=INTEGER), ['a: Invalid value: "string": a in body must be of type integer: "string"']),
        ({"a": 1.0}, obj(a=INTEGER), []),
        ({"a": 1.5}, obj(a=INTEGER), ['a: Invalid value: "number": a in body must be of type integer: "number"']),
        ({"a": 1}, obj(a={"type": "number"}), []),
        ({"a": True}, obj(a=INTEGER), ['a: Invalid value: "boolean": a in body must be of type integer: "boolean"']),
        ({"a": None}, obj(a=STRING), ['a: Invalid value: "null": a in body must be of type string: "null"']),
        ({"a": None}, obj(a={**STRING, "nullable": True}), []),
        ({"a": 1}, obj(a={"x-kubernetes-int-or-string": True}), []),
        ({"a": {}}, obj(a={"x-kubernetes-int-or-string": True}),
         ['a: Invalid value: "object": a in body must be of type integer,string: "object"']),
        ({}, {**obj(a=STRING), "required": ["a"]}, ["a: Required value"]),
        ({"o": {}}, obj(o={**obj(a=STRING), "required": ["a"]}), ["o.a: Required value"]),
        ({"a": "c"}, obj(a={**STRING, "enum": ["a", "b"]}),
         ['a: Unsupported value: "c": supported values: "a", "b"']),
        ({"a": 12}, obj(a={**INTEGER, "maximum": 10}),
         ["a: Invalid value: 12: a in body should be less than or equal to 10"]),
        ({"a": 10}, obj(a={**INTEGER, "maximum": 10, "exclusiveMaximum": True}),
         ["a: Invalid value: 10: a in body should be less than 10"]),
        ({"a": 0}, obj(a={**INTEGER, "minimum": 0.5}),
         ["a: Invalid value: 0: a in body should be greater than or equal to 0.5"]),
        ({"a": 7}, obj(a={**INTEGER, "multipleOf": 2}), ["a: Invalid value: 7: a in body should be a multiple of 2"]),
        ({"a": 2**40}, obj(a={**INTEGER, "format": "int32"}),
         ['<nil>: Invalid value: "": Checked value must be of type integer with format int32']),
        ({"a": "xyz"}, obj(a={**STRING, "maxLength": 2}), ["a: Too long: may not be more than 2 bytes"]),
        ({"a": ""}, obj(a={**STRING, "minLength": 1}),
         ['a: Invalid value: "": a in body should be at least 1 chars long']),
        ({"a": "b"}, obj(a={**STRING, "pattern": "^a+$"}), ["a: Invalid value: \"b\": a in body should match '^a+$'"]),
        ({"a": "Äb"}, obj(a={**STRING, "pattern": r"\A(?i)\pL[[:alpha:]]\z"}), []),
        ({"a": "b"}, obj(a={**STRING, "format": "ipv4"}),
         ['a: Invalid value: "b": a in body must be of type ipv4: "b"']),
        ({"a": [1, 2]}, obj(a={"type": "array", "items": INTEGER, "maxItems": 1}),
         ["a: Too many: 2: must have at most 1 items"]),
        ({"a": []}, obj(a={"type": "array", "items": INTEGER, "minItems": 1}),
         ["a: Invalid value: 0: a in body should have at least 1 items"]),
        ({"a": [1, "x"]}, obj(a={"type": "array", "items": INTEGER}),
         ['a[1]: Invalid value: "string": a[1] in body must be of type integer: "string"']),
        ({"a": {"k": "x"}}, obj(a={"type": "object", "additionalProperties": INTEGER}),
         ['a.k: Invalid value: "string": a.k in body must be of type integer: "string"']),
        ({"a": {"k": 1}}, obj(a={"type": "object", "additionalProperties": INTEGER, "maxProperties": 0}),
         ["a: Too many: 1: must have at most 0 items"]),
        ({"a": {}}, obj(a={"type": "object", "minProperties": 1}),
         ["a: Invalid value: 0: a in body should have at least 1 properties"]),
        ({"a": 1}, obj(a={"oneOf": [{"minimum": 2}, {"minimum": 3}]}), [
            '<nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found none valid',
            "a: Invalid value: 1: a in body should be greater than or equal to 2",
        ]),
        ({"a": 4}, obj(a={"oneOf": [{"minimum": 2}, {"minimum": 3}]}),
         ['<nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found 2 valid alternatives']),
        ({"a": 1}, obj(a={"not": {"minimum": 1}}),
         ['<nil>: Invalid value: "": "a" must not validate the schema (not)']),
        ({"a": 1}, obj(a={"allOf": [{"minimum": 2}, {"maximum": 3}]}), [
            "a: Invalid value: 1: a in body should be greater than or equal to 2",
            '<nil>: Invalid value: "": "a" must validate all the schemas (allOf)',
        ]),
    ],
)  # fmt: skip
def test_values_are_refused_in_kubernetes_words(value: Any, schema: Any, failures: list[str]) -> None:
    assert told(value, schema) == failures


LONG = {**STRING, "maxLength": 1}
MAPPED = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}


@pytest.mark.parametrize(
    ("schema", "old", "new", "fields"),
    [
        (obj(a=LONG, b=LONG), {"a": "xx", "b": "x"}, {"a": "xx", "b": "y"}, []),
        (obj(a=LONG, b=LONG), {"a": "xx", "b": "x"}, {"a": "xxx", "b": "y"}, ["a"]),
        (obj(l={**MAPPED, "items": obj(k=STRING, v=LONG)}), {"l": [{"k": "1", "v": "xx"}]},
         {"l": [{"k": "0"}, {"k": "1", "v": "xx"}]}, []),
        (obj(l={"type": "array", "items": LONG}), {"l": ["xx"]}, {"l": ["xx", "y"]}, ["l[0]"]),
        (obj(a=LONG), {"a": "xx"}, {"a": "xx", "c": 1}, []),
        (obj(a={"allOf": [obj(b=LONG)]}), {"a": {"b": "xx", "c": 1}}, {"a": {"b": "xx", "c": 2}}, ["a.b", "<nil>"]),
        (obj(a={"type": "integer"}), {"a": True}, {"a": 1}, []),
    ],
)  # fmt: skip
def test_what_has_not_changed_is_let_be(schema: Any, old: Any, new: Any, fields: list[str]) -> None:
    assert [failure.field for failure in validate.failures(new, schema, old)] == fields


@pytest.mark.parametrize(
    ("schema", "value", "failures"),
    [
        ({"type": "array", "x-kubernetes-list-type": "set", "items": STRING}, ["a", "b", "a", "a"],
         ['l[2]: Duplicate value: "a"']),
        ({"type": "array", "x-kubernetes-list-type": "set", "items": INTEGER}, [1, 2], []),
        ({**MAPPED, "items": obj(k=STRING)}, [{"k": "a"}, {"k": "b"}, {"k": "a", "v": 1}],
         ['l[2]: Duplicate value: {"k":"a"}']),
        ({**MAPPED, "items": obj(k=STRING)}, [{}, {}], ["l[1]: Duplicate value: {}"]),
        ({**MAPPED, "items": obj(k=STRING)}, ["x"],
         ['l[0]: Invalid value: "x": must be an object for an array of list-type map']),
    ],
)  # fmt: skip
def test_sets_and_maps_repeat_nothing(schema: Any, value: Any, failures: list[str]) -> None:
    assert [str(failure) for failure in listtype.failures({"l": value}, obj(l=schema))] == failures


def test_metadata_is_brought_into_its_form_also_inside() -> None:
    schema = Schema(obj(e={**OPEN, "x-kubernetes-embedded-resource": True}))
    inner = {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": "b"}, "creationTimestamp": None, "x": 1}}
    whole = {"metadata": {"name": "a", "y": 2}, "e": inner}
    assert schema.clean(whole) == ["metadata.y", "e.metadata.x"]
    assert whole == {"metadata": {"name": "a"}, "e": {**inner, "metadata": {"labels": {"a": "b"}}}}


def test_embedded_objects_are_objects() -> None:
    schema = Schema(obj(e={**OPEN, "x-kubernetes-embedded-resource": True}))
    found = schema.create_failures({"metadata": {"name": "a"}, "e": {"metadata": {"labels": {"-": "b"}}}}, [])
    assert [failure.field for failure in found] == ["e.apiVersion", "e.kind", "e.metadata.labels"]


@pytest.mark.parametrize(
    ("schema", "failures"),
    [
        (obj(a=STRING), []),
        ({}, ["s.type: Required value: must not be empty at the root"]),
        ({"type": "array", "items": STRING}, ['s.type: Invalid value: "array": must be object at the root']),
        (obj(a={}), ["s.properties[a].type: Required value: must not be empty for specified object fields"]),
        (obj(a={"type": "array"}), ["s.properties[a].items: Required value: must be specified"]),
        (obj(a={"type": "array", "items": {}}),
         ["s.properties[a].items.type: Required value: must not be empty for specified array items"]),
        (obj(a={"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}), []),
        (obj(a={**STRING, "anyOf": [{"type": "string"}]}),
         ["s.properties[a].anyOf[0].type: Forbidden: must be empty to be structural"]),
        (obj(metadata=obj(name=STRING)), []),
        (obj(metadata=obj(labels={"type": "object"})), [
            "s.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but"
            " metadata is implicitly specified"]),
        ({**obj(a=STRING), "not": {"properties": {"b": {"minLength": 1}}}},
         ["s.properties[b]: Required value: because it is defined in s.not.properties[b]"]),
        (obj(a={**STRING, "pattern": "("}), [
            's.properties[a].pattern: Invalid value: "(": must be a valid regular expression, but isn\'t: error parsing'
            " regexp: missing ): ("]),
        ({"type": "object", "additionalProperties": STRING},
         ["s.additionalProperties: Forbidden: must not be used at the root"]),
        (obj(e={"type": "object", "x-kubernetes-embedded-resource": True}), [
            "s.properties[e].properties: Required value: must not be empty if x-kubernetes-embedded-resource is true"
            " without x-kubernetes-preserve-unknown-fields"]),
    ],
)  # fmt: skip
def test_a_schema_is_structural_or_says_why_not(schema: Any, failures: list[str]) -> None:
    assert [str(failure) for failure in shape.failures(schema, "s")] == failures


@pytest.mark.parametrize(
    ("schema", "fields"),
    [
        (obj(a={**INTEGER, "default": "x"}), ["s.properties[a].default"]),
        (obj(a={**obj(b=INTEGER), "default": {"c": 1}}), ["s.properties[a].default"]),
        (obj(a={**obj(b=INTEGER), "default": {"b": 1}}), []),
    ],
)
def test_defaults_fit_their_schema(schema: Any, fields: list[str]) -> None:
    assert [failure.field for failure in defaulted.failures(schema, "s")] == fields


@pytest.mark.parametrize(
    ("schema", "failure"),
    [
        (obj(a={"type": "text"}), "s.properties[a].type: Unsupported value"),
        (obj(a={**STRING, "uniqueItems": True}), "s.properties[a].uniqueItems: Forbidden"),
        ({**obj(a=STRING), "additionalProperties": STRING}, "s.additionalProperties: Forbidden"),
        (obj(a={"$ref": "#/x"}), "s.properties[a].$ref: Forbidden: $ref is not supported"),
        (obj(metadata=obj(name={**STRING, "default": "x"})),
         "s.properties[metadata].properties[name].default: Forbidden: must not be set in top-level metadata"),
        (obj(a={"type": "object", "x-kubernetes-preserve-unknown-fields": False}),
         "s.properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"),
        (obj(a={**STRING, "x-kubernetes-list-type": "set"}), "s.properties[a].type: Invalid value"),
        (obj(a={"type": "array", "items": obj(), "x-kubernetes-list-type": "set"}),
         "s.properties[a].items.x-kubernetes-map-type: Invalid value"),
        (obj(a={"type": "array", "items": obj(k=STRING), "x-kubernetes-list-type": "map"}),
         "s.properties[a].x-kubernetes-list-map-keys: Required value"),
        (obj(a={**MAPPED, "items": obj(k=STRING)}), "s.properties[a].items.properties[k].default: Required value"),
        (obj(a={**MAPPED, "items": obj(x=STRING)}), "s.properties[a].x-kubernetes-list-map-keys: Invalid value"),
        (obj(a={**STRING, "x-kubernetes-validations": [{"rule": " "}]}),
         "s.properties[a].x-kubernetes-validations[0].rule: Required value: rule is not specified"),
        (obj(a={**STRING, "x-kubernetes-validations": [{"rule": "true", "reason": "No"}]}),
         "s.properties[a].x-kubernetes-validations[0].reason: Unsupported value"),
        (obj(l={"type": "array", "maxItems": 9, "items": {
            **STRING, "maxLength": 9, "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}}),
         's.properties[l].items.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": oldSelf cannot be'
         " used on the uncorrelatable portion of the schema within s.properties[l]"),
        (obj(a={**STRING, "x-kubernetes-validations": [{"rule": "self > 1"}]}),
         "s.properties[a].x-kubernetes-validations[0].rule: Invalid value"),
    ],
)  # fmt: skip
def test_schemas_may_not_say_everything(schema: Any, failure: str) -> None:
    found = [str(one) for one in openapi.failures(schema, "s")]
    assert len(found) == 1, found
    assert found[0].startswith(failure)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("ipv4", "10.0.0.1", "10.0.0"),
        ("ipv6", "fe80::1", "10.0.0.1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("uuid", "0e7a69be-99b8-4a16-9b84-4fadd2a727a4", "0e7a69be"),
        ("uuid4", "0e7a69be-99b8-4a16-9b84-4fadd2a727a4", "0e7a69be-99b8-1a16-9b84-4fadd2a727a4"),
        ("date", "2026-01-31", "2026-02-31"),
        ("date-time", "2026-01-31T10:00:00Z", "2026-01-31"),
        ("duration", "1h30m", "soon"),
        ("email", "a@example.com", "a@"),
        ("hostname", "a.example.com", "a_b"),
        ("uri", "https://example.com/x", "example"),
        ("byte", "YWJj", "YWJ"),
        ("mac", "01:23:45:67:89:ab", "01:23"),
        ("hexcolor", "#ff00aa", "#ff00a"),
        ("isbn10", "0306406152", "0306406153"),
        ("isbn13", "9780306406157", "9780306406158"),
        ("creditcard", "4111111111111111", "4111111111111112"),
        ("k8s-short-name", "a-b", "A"),
        ("k8s-long-name", "a.b", "a..b"),
    ],
)
def test_formats_tell_good_from_bad(name: str, good: str, bad: str) -> None:
    assert formats.matches(name, good)
    assert not formats.matches(name, bad)


def test_an_unknown_format_fits_everything() -> None:
    assert formats.matches("made-up", "anything")


@pytest.mark.parametrize(
    ("path", "shown"),
    [(".a.b", "a.b"), (".m['x.y'].b", "m[x.y].b"), (".a['b']", "a.b")],
)
def test_paths_lead_to_fields(path: str, shown: str) -> None:
    schema = obj(a=obj(b=STRING), m={"type": "object", "additionalProperties": obj(b=STRING)})
    assert fieldpath.resolve(path, schema) == (shown, STRING)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (".a.x", "does not refer to a valid field"),
        ("a", "expected [ or . but got: a"),
        (".a[", "unexpected end of JSON path"),
        (".a[b]", "expected single quoted string but got b"),
    ],
)
def test_paths_that_lead_nowhere_say_so(path: str, why: str) -> None:
    with pytest.raises(fieldpath.FieldPathError, match="^" + why.replace("[", r"\[")):
        fieldpath.resolve(path, obj(a=obj(b=STRING)))
