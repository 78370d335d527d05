"""An object against its schema, in the words of ``kube-openapi/pkg/validation`` and ``apiserver/validation``.

With the old value at hand, what has not changed is not complained about (KEP-4008): values are correlated by field
name, and by key in lists of type ``map``. Below ``allOf``, ``anyOf``, ``oneOf`` and ``not`` nothing is.
"""

from __future__ import annotations

from typing import Any

from picluster.api import errors
from picluster.api.errors import FieldError
from picluster.api.structural import formats, listtype, patterns, values
from picluster.api.structural.prune import additional
from picluster.api.types import Object

ABSENT: Any = object()
"""There is no old value to compare with."""
NO_PATH = "<nil>"
"""How Kubernetes prints the path of the whole object."""
INT_OR_STRING = "x-kubernetes-int-or-string"

Failures = list[FieldError]


def failures(value: Any, schema: Object, old: Any = ABSENT, *, prefix: str = "") -> Failures:
    """Everything wrong with ``value``; ``prefix`` is the path of the value itself, which messages leave out."""
    return _Check(prefix).value(value, schema, "", old)


class _Check:
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def value(self, value: Any, schema: Object, name: str, old: Any = ABSENT) -> Failures:
        if old is not ABSENT and values.same(value, old):
            return []
        found = self._type(value, schema, name)
        if value is None:
            return found + self._enum(value, schema, name)
        found += self._combined(value, schema, name)
        if isinstance(value, str):
            found += self._string(value, schema, name)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found += self._number(value, schema, name)
        elif isinstance(value, list):
            found += self._list(value, schema, name, old)
        found += self._enum(value, schema, name)
        if isinstance(value, dict):
            found += self._map(value, schema, name, old)
        return found

    def _at(self, name: str) -> str:
        name = name.lstrip(".")
        if not name:
            return self._prefix or NO_PATH
        return f"{self._prefix}.{name}" if self._prefix else name

    def _whole(self, message: str) -> FieldError:
        """What Kubernetes cannot attribute to a field."""
        return errors.invalid_value(self._prefix or NO_PATH, "", message)

    def _invalid(self, name: str, value: Any, what: str) -> FieldError:
        return errors.invalid_value(self._at(name), value, f"{name} in body {what}")

    def _wrong_type(self, name: str, wanted: str, got: str) -> FieldError:
        return errors.type_invalid(self._at(name), got, f'{name} in body must be of type {wanted}: "{got}"')

    def _type(self, value: Any, schema: Object, name: str) -> Failures:
        wanted = ["integer", "string"] if schema.get(INT_OR_STRING) else [schema["type"]] if schema.get("type") else []
        kind = values.kind_of(value)
        if not wanted or kind in wanted or (kind == "null" and schema.get("nullable")):
            return []
        if (kind == "integer" and "number" in wanted) or ("integer" in wanted and values.is_whole(value)):
            return []
        return [self._wrong_type(name, ",".join(wanted), kind)]

    def _combined(self, value: Any, schema: Object, name: str) -> Failures:
        found: Failures = []
        if choices := schema.get("anyOf"):
            tried = [self.value(value, choice, name) for choice in choices]
            if all(tried):
                found += [self._whole(f'"{name}" must validate at least one schema (anyOf)'), *min(tried, key=len)]
        if choices := schema.get("oneOf"):
            found += self._one_of(value, choices, name)
        if choices := schema.get("allOf"):
            tried = [self.value(value, choice, name) for choice in choices]
            found += [failure for failed in tried for failure in failed]
            if any(tried):
                more = ". None validated" if all(tried) else ""
                found.append(self._whole(f'"{name}" must validate all the schemas (allOf){more}'))
        if "not" in schema and not self.value(value, schema["not"], name):
            found.append(self._whole(f'"{name}" must not validate the schema (not)'))
        return found

    def _one_of(self, value: Any, choices: list[Object], name: str) -> Failures:
        tried = [self.value(value, choice, name) for choice in choices]
        valid = sum(not failed for failed in tried)
        if valid == 1:
            return []
        why = f"Found {valid} valid alternatives" if valid else "Found none valid"
        best = [] if valid else min(tried, key=len)
        return [self._whole(f'"{name}" must validate one and only one schema (oneOf). {why}'), *best]

    def _string(self, value: str, schema: Object, name: str) -> Failures:
        found = []
        if "maxLength" in schema and len(value) > schema["maxLength"]:
            found.append(errors.too_long(self._at(name), schema["maxLength"]))
        elif len(value) < schema.get("minLength", 0):
            found.append(self._invalid(name, value, f"should be at least {schema['minLength']} chars long"))
        elif schema.get("pattern") and not patterns.matcher(schema["pattern"])(value):
            found.append(self._invalid(name, value, f"should match '{schema['pattern']}'"))
        form = schema.get("format")
        if form and not formats.matches(form, value):
            why = f'{name} in body must be of type {form}: "{value}"'
            found.append(errors.type_invalid(self._at(name), value, why))
        return found

    def _number(self, value: float, schema: Object, name: str) -> Failures:
        found = []
        low, high, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
        if schema.get("format") == "int32" and not -(2**31) <= value < 2**31:
            found.append(self._whole("Checked value must be of type integer with format int32"))
        if step and not float(value / step).is_integer():
            found.append(self._invalid(name, value, f"should be a multiple of {values.shown(step)}"))
        if high is not None and (value > high or (value == high and schema.get("exclusiveMaximum"))):
            limit = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
            found.append(self._invalid(name, value, f"should be {limit} {values.shown(high)}"))
        if low is not None and (value < low or (value == low and schema.get("exclusiveMinimum"))):
            limit = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
            found.append(self._invalid(name, value, f"should be {limit} {values.shown(low)}"))
        return found

    def _enum(self, value: Any, schema: Object, name: str) -> Failures:
        choices = schema.get("enum")
        if not choices or any(values.same(value, choice) for choice in choices):
            return []
        return [errors.not_supported(self._at(name), value, [values.as_choice(choice) for choice in choices])]

    def _list(self, value: list[Any], schema: Object, name: str, old: Any) -> Failures:
        found: Failures = []
        items = schema.get("items")
        if items is not None:
            for index, (element, was) in enumerate(zip(value, _correlated(value, schema, old), strict=True)):
                found += self.value(element, items, f"{name}[{index}]", was)
        if len(value) < schema.get("minItems", 0):
            found.append(self._invalid(name, len(value), f"should have at least {schema['minItems']} items"))
        if "maxItems" in schema and len(value) > schema["maxItems"]:
            found.append(errors.too_many(self._at(name), len(value), schema["maxItems"]))
        return found

    def _map(self, value: Object, schema: Object, name: str, old: Any) -> Failures:
        if len(value) < schema.get("minProperties", 0):
            why = f"should have at least {schema['minProperties']} properties"
            return [self._invalid(name, len(value), why)]
        if "maxProperties" in schema and len(value) > schema["maxProperties"]:
            return [errors.too_many(self._at(name), len(value), schema["maxProperties"])]
        found: Failures = []
        before = old if isinstance(old, dict) else {}
        properties, mapped = schema.get("properties") or {}, additional(schema)
        for key, child in value.items():
            if key in properties:
                where = f"{name}.{key}" if name else key
                found += self.value(child, properties[key], where, before.get(key, ABSENT))
            elif mapped is not None:
                found += self.value(child, mapped, f"{name}.{key}", before.get(key, ABSENT))
            elif schema.get("additionalProperties") is False:
                found.append(errors.invalid_value(self._at(name), key, f"{name}.{key} in body is a forbidden property"))
        for key in schema.get("required") or ():
            if key not in value:
                found.append(errors.required(self._at(f"{name}.{key}")))
        return found


def _correlated(value: list[Any], schema: Object, old: Any) -> list[Any]:
    """The old element of each element, where there is one to compare with."""
    if not isinstance(old, list) or schema.get(listtype.LIST_TYPE) != "map":
        return [ABSENT] * len(value)
    before = {listtype.key_of(element, schema): element for element in old}
    return [before.get(listtype.key_of(element, schema), ABSENT) for element in value]
