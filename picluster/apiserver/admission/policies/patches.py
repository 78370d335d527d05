"""What a mutation does to an object: an apply configuration that is merged in, or a JSON patch.

Source: ``apiserver/pkg/admission/plugin/policy/mutating/patch``. Fields that a policy sets are owned by whoever makes
the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from picluster.api.apply import check
from picluster.api.apply.merge import merge
from picluster.api.apply.types import Type as SchemaType
from picluster.api.apply.types import resolved
from picluster.api.cel import Budget, CelError, Type
from picluster.api.cel.expression import Expression
from picluster.api.cel.types import list_of
from picluster.api.cel.values import LISTS, Built, unwrap
from picluster.api.errors import ApiError
from picluster.api.patch import json
from picluster.api.patch.failures import Mismatch
from picluster.api.types import Object

OBJECT, JSON_PATCH = Type("Object"), Type("JSONPatch")


class PatchError(Exception):
    """A mutation that cannot be made, and why."""


class Mutation:
    """One of a policy's ``mutations``."""

    def __init__(self, spec: Object, declared: Mapping[str, Type]) -> None:
        self._applies = spec.get("patchType") == "ApplyConfiguration"
        source = (spec.get("applyConfiguration" if self._applies else "jsonPatch") or {}).get("expression", "")
        self._expression = Expression(source, declared, OBJECT if self._applies else list_of(JSON_PATCH), patches=True)

    def apply(self, obj: Object, variables: Object, budget: Budget, schema: SchemaType) -> Object:
        """``obj``, changed; the result shares parts with it. Raises ``PatchError``."""
        try:
            value = self._expression.value(variables, budget)
            return _merged(obj, value, schema) if self._applies else _patched(obj, value)
        except CelError as failure:
            raise PatchError(str(failure)) from failure


def _merged(obj: Object, value: Any, schema: SchemaType) -> Object:
    if not isinstance(value, Built):
        raise PatchError("unsupported return type from ApplyConfiguration expression")
    _check_names(value)
    config: Object = {**unwrap(value), "apiVersion": obj.get("apiVersion"), "kind": obj.get("kind")}
    mistakes = check.mistakes(schema, config)
    if mistakes:
        what = f"failed to convert patch object to typed object: {check.summary(mistakes)}"
        raise PatchError(f"error applying patch: {what}")
    atomic = list(_atomic(schema, config, ""))
    if atomic:
        what = f"may not mutate atomic arrays, maps or structs: {', '.join(atomic)}"
        raise PatchError(f"error applying patch: invalid ApplyConfiguration: {what}")
    merged: Object = merge(schema, obj, config)
    return merged


def _atomic(schema: SchemaType | None, value: Any, path: str) -> Iterator[str]:
    """What would be replaced whole, where its author may only mean a part."""
    if schema is None:
        return
    schema = resolved(schema, value)
    if isinstance(value, dict) and schema.kind == "map":
        if schema.atomic:
            yield path
        for name, child in value.items():
            yield from _atomic(schema.fields.get(name), child, f"{path}.{name}")
    elif isinstance(value, list) and schema.kind == "list":
        if schema.atomic:
            yield path
        for index, child in enumerate(value):
            yield from _atomic(schema.element, child, f"{path}[{index}]")


def _patched(obj: Object, value: Any) -> Object:
    operations: list[Object] = []
    for built in value:
        if not isinstance(built, Built):
            raise PatchError("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch")
        if "value" in built.fields:
            _check_names(built.fields["value"])
        operation = unwrap(built)
        if not operation.get("from"):
            operation.pop("from", None)
        operations.append({"op": "", "path": "", **operation})
    try:
        patched: Object = json.apply(obj, operations)
    except Mismatch:
        return obj
    except ApiError as failure:
        causes = (failure.details or {}).get("causes") or [{"message": failure.message}]
        raise PatchError(f"JSONPatch: {causes[0]['message']}") from failure
    return patched


def _check_names(value: Any) -> None:
    """``Object.spec{…}`` must stand where a field ``spec`` of an ``Object`` is; raises ``PatchError``."""
    if isinstance(value, Built):
        wrong = list(_misnamed(value, str(value.cel_type)))
        if wrong:
            raise PatchError("type mismatch: " + "\n".join(wrong))


def _misnamed(value: Any, expected: str) -> Iterator[str]:
    if isinstance(value, Built):
        found = str(value.cel_type)
        if found != expected:
            why = "which matches field name path from root Object type"
            yield f'unexpected type name "{found}", expected "{expected}", {why}'
        for name, child in value.fields.items():
            yield from _misnamed(child, f"{expected}.{name}")
    elif isinstance(value, LISTS):
        for child in value:
            yield from _misnamed(child, expected)
    elif isinstance(value, dict):
        for child in value.values():
            yield from _misnamed(child, expected)
