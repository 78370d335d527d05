"""What a schema of a definition may say at all, beside being structural; and whether its rules are sound.

Source: ``ValidateCustomResourceDefinitionOpenAPISchema`` in ``apis/apiextensions/validation``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from picluster.api.cel import CelCompileError
from picluster.api.cel.types import optional_of
from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_supported, required
from picluster.api.structural import fieldpath, rules
from picluster.api.structural.costs import Costs, times
from picluster.api.structural.listtype import LIST_TYPE, MAP_KEYS
from picluster.api.structural.prune import EMBEDDED, META_FIELDS, PRESERVE, additional
from picluster.api.structural.shape import key
from picluster.api.types import Object

TYPES = ("array", "boolean", "integer", "number", "object", "string")
REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
MAP_TYPE = "x-kubernetes-map-type"
_UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")

Found = Iterator[FieldError]


class Place(NamedTuple):
    """Where in a schema: what holds for everything below."""

    no_defaults: str = ""
    """Why defaults are forbidden."""
    in_meta: bool = False
    no_old_self: str = ""
    """The path from which on old and new values cannot be told apart."""


def failures(schema: Object, path: str, *, compile_rules: bool = True) -> list[FieldError]:
    """Everything wrong with the schema of a version; rules are compiled where nothing else is wrong."""
    found = list(_node(schema, path, Place(), root=True))
    if not found and compile_rules:
        costs = Costs()
        found = list(_rules_below(schema, path, "", costs, 1, root=True))
        found.extend(costs.failures(path))
    return found


def _node(schema: Object, path: str, place: Place, *, root: bool = False) -> Found:
    yield from _keywords(schema, path, place)
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden_field(f"{path}.uniqueItems", why)
    if schema.get("properties") and ("additionalProperties" in schema and schema["additionalProperties"] is not True):
        yield forbidden_field(
            f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive"
        )
    if (mapped := additional(schema)) is not None:
        why = "inside additionalProperties applying to object metadata"
        below = place._replace(no_defaults=why) if place.in_meta else place
        yield from _node(mapped, f"{path}.additionalProperties", below)
    for name, child in (schema.get("properties") or {}).items():
        below = place
        if (root or schema.get(EMBEDDED)) and name in META_FIELDS:
            below = below._replace(in_meta=True)
            if root:
                below = below._replace(no_defaults=f"in top-level {name}")
        yield from _node(child, key(f"{path}.properties", name), below)
    if isinstance(schema.get("not"), dict):
        yield from _node(schema["not"], f"{path}.not", place)
    for junctor in ("allOf", "oneOf", "anyOf"):
        for index, child in enumerate(schema.get(junctor) or ()):
            yield from _node(child, f"{path}.{junctor}[{index}]", place)
    if isinstance(schema.get("items"), dict):
        yield from _node(schema["items"], f"{path}.items", place)
    yield from _extensions(schema, path)
    yield from _lists(schema, path)
    for index, rule in enumerate(schema.get(rules.RULES) or ()):
        yield from _rule(rule, schema, f"{path}.{rules.RULES}[{index}]")


def _keywords(schema: Object, path: str, place: Place) -> Found:
    kind = schema.get("type")
    if kind and kind not in TYPES:
        yield not_supported(f"{path}.type", kind, TYPES)
    if "default" in schema and place.no_defaults:
        yield forbidden_field(f"{path}.default", f"must not be set {place.no_defaults}")
    for name in _UNSUPPORTED:
        if schema.get(name):
            yield forbidden_field(f"{path}.{name}", f"{name} is not supported")
    if kind == "null":
        yield forbidden_field(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list):
        yield forbidden_field(f"{path}.items", "items must be a schema object and not an array")
    if place.in_meta and schema.get(EMBEDDED):
        yield forbidden_field(f"{path}.{EMBEDDED}", "must not be used inside of resource meta")


def _extensions(schema: Object, path: str) -> Found:
    if schema.get(PRESERVE) is False:
        yield invalid_value(f"{path}.{PRESERVE}", False, "must be true or undefined")
    for name, wanted, choices in (
        (MAP_TYPE, "object", ("atomic", "granular")),
        (LIST_TYPE, "array", ("atomic", "set", "map")),
    ):
        given, kind = schema.get(name), schema.get("type") or ""
        if given is None:
            continue
        if kind != wanted:
            why = f"must be {wanted} if {name} is specified"
            yield invalid_value(f"{path}.type", kind, why) if kind else required(f"{path}.type", why)
        elif name == LIST_TYPE and given == "set":
            yield from _set_items(schema.get("items"), path)
        if given not in choices:
            yield not_supported(f"{path}.{name}", given, choices)


def _set_items(items: Any, path: str) -> Found:
    """Elements of a set are compared whole."""
    if not isinstance(items, dict):
        return
    why = f"must be atomic as item of a list with {LIST_TYPE}=set"
    if items.get("type") == "array" and items.get(LIST_TYPE, "atomic") != "atomic":
        yield invalid_value(f"{path}.items.{LIST_TYPE}", items[LIST_TYPE], why)
    if items.get("type") == "object" and items.get(MAP_TYPE) != "atomic":
        yield invalid_value(f"{path}.items.{MAP_TYPE}", items.get(LIST_TYPE), why)


def _lists(schema: Object, path: str) -> Found:
    keys, kind, items = schema.get(MAP_KEYS) or [], schema.get(LIST_TYPE), schema.get("items")
    if keys and kind != "map":
        why = f"must be map if {MAP_KEYS} is non-empty"
        where = f"{path}.{LIST_TYPE}"
        yield required(where, why) if kind is None else invalid_value(where, kind, why)
    if kind == "map":
        if not keys:
            yield required(f"{path}.{MAP_KEYS}", f"must not be empty if {LIST_TYPE} is map")
        if items is None:
            yield required(f"{path}.items", f"must have a schema if {LIST_TYPE} is map")
        elif isinstance(items, dict) and items.get("type") != "object":
            why = f"must be object if parent array's {LIST_TYPE} is map"
            yield invalid_value(f"{path}.items.type", items.get("type") or "", why)
        elif isinstance(items, dict):
            yield from _map_keys(keys, items, path)
    if kind in ("set", "map") and isinstance(items, dict) and items.get("nullable"):
        yield forbidden_field(f"{path}.items.nullable", f"cannot be nullable when {LIST_TYPE} is {kind}")


def _map_keys(keys: list[str], items: Object, path: str) -> Found:
    properties, needed = items.get("properties") or {}, items.get("required") or ()
    for index, name in enumerate(keys):
        where = key(f"{path}.items.properties", name)
        field = properties.get(name)
        if field is None:
            yield invalid_value(f"{path}.{MAP_KEYS}", keys, "entries must all be names of item properties")
        elif field.get("type") in ("array", "object"):
            why = f"must be a scalar type if parent array's {LIST_TYPE} is map"
            yield invalid_value(f"{where}.type", items["type"], why)
        if name in keys[:index]:
            yield invalid_value(f"{path}.{MAP_KEYS}", keys, "must not contain duplicate entries")
        if field is None:
            continue
        if name not in needed and "default" not in field:
            why = f"this property is in {MAP_KEYS}, so it must have a default or be a required property"
            yield required(f"{where}.default", why)
        if field.get("nullable"):
            yield forbidden_field(f"{where}.nullable", f"this property is in {MAP_KEYS}, so it cannot be nullable")


def _rule(rule: Object, schema: Object, path: str) -> Found:
    source, message = rule.get("rule") or "", rule.get("message") or ""
    if not source.strip():
        yield required(f"{path}.rule", "rule is not specified")
    elif message and not message.strip():
        yield invalid_value(f"{path}.message", message, "message must be non-empty if specified")
    elif _broken(message.strip()):
        yield invalid_value(f"{path}.message", message, "message must not contain line breaks")
    elif _broken(source.strip()) and not message.strip():
        yield required(f"{path}.message", "message must be specified if rule contains line breaks")
    expression = rule.get("messageExpression") or ""
    if expression and not expression.strip():
        yield required(f"{path}.messageExpression", "messageExpression must be non-empty if specified")
    if "reason" in rule and rule["reason"] not in REASONS:
        yield not_supported(f"{path}.reason", rule["reason"], REASONS)
    field = rule.get("fieldPath") or ""
    if field and not field.strip():
        yield invalid_value(f"{path}.fieldPath", field, "fieldPath must be non-empty if specified")
    if _broken(field):
        yield invalid_value(f"{path}.fieldPath", field, "fieldPath must not contain line breaks")
    if field:
        try:
            fieldpath.resolve(field, schema)
        except fieldpath.FieldPathError:
            yield invalid_value(f"{path}.fieldPath", field, "fieldPath must be a valid path")


def _broken(text: str) -> bool:
    return "\n" in text or "\r" in text


def _rules_below(
    schema: Object, path: str, uncorrelated: str, costs: Costs, count: int | None, *, root: bool = False
) -> Found:
    """The rules of a schema and below; ``uncorrelated`` is the path that keeps them from reading ``oldSelf``.

    ``count`` is how many values of the schema one object may have, ``None`` when nothing bounds them.
    """
    if not rules.has_rules(schema):
        return
    below = uncorrelated or ("" if schema.get(MAP_TYPE, "granular") == "granular" else path)
    for name, child in (schema.get("properties") or {}).items():
        yield from _rules_below(child, key(f"{path}.properties", name), below, costs, count)
    if (mapped := additional(schema)) is not None:
        within = times(count, schema, "maxProperties")
        yield from _rules_below(mapped, f"{path}.additionalProperties", uncorrelated, costs, within)
    if isinstance(schema.get("items"), dict):
        below = uncorrelated or ("" if schema.get(LIST_TYPE) == "map" else path)
        yield from _rules_below(schema["items"], f"{path}.items", below, costs, times(count, schema, "maxItems"))
    if schema.get(rules.RULES):
        yield from _compiled(schema, f"{path}.{rules.RULES}", uncorrelated, costs, count, root=root)


def _compiled(schema: Object, path: str, uncorrelated: str, costs: Costs, count: int | None, *, root: bool) -> Found:
    self_type = rules.type_of(schema, root=root)
    if self_type is None:
        return
    for index, rule in enumerate(schema[rules.RULES]):
        where = f"{path}[{index}]"
        before = optional_of(self_type) if rule.get("optionalOldSelf") else self_type
        declared = {"self": self_type, "oldSelf": before}
        try:
            rules.compile_rule({**rule, "messageExpression": ""}, self_type)
            yield from costs.check(rule["rule"], declared, schema, count, f"{where}.rule", "rule")
        except CelCompileError as error:
            yield invalid_value(f"{where}.rule", rule, str(error))
        if told := rule.get("messageExpression"):
            try:
                rules.compile_message(rule, self_type)
                place = f"{where}.messageExpression"
                yield from costs.check(told, declared, schema, count, place, "messageExpression")
            except CelCompileError as error:
                yield invalid_value(f"{where}.messageExpression", rule, str(error))
        if rules.reads_old(rule["rule"]) and uncorrelated:
            why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {uncorrelated}"
            yield invalid_value(f"{where}.rule", rule["rule"], why)
        elif "optionalOldSelf" in rule and not rules.reads_old(rule["rule"]):
            why = "may not be set if oldSelf is not used in rule"
            yield invalid_value(f"{where}.optionalOldSelf", rule["optionalOldSelf"], why)
