"""What may be wrong with a policy's expressions, found by the types of what it matches.

Expressions run without these types, so that one policy may match many kinds; warnings change nothing of what they do.
Source: ``policy/validating/typechecking.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from picluster.api.cel import CelCompileError, Type, compile_expression
from picluster.api.cel import admission as cel_admission
from picluster.api.cel.composition import Composition
from picluster.api.resources import Resource
from picluster.api.types import Object

TYPES_MAX = 10

TypeOf = Callable[[Resource], Type | None]
"""The type of a row's objects, if its schema is known."""


def warnings(policy: Object, serving: Iterable[Resource], type_of: TypeOf) -> list[Object]:
    """The ``expressionWarnings`` of a policy's status."""
    spec = policy.get("spec") or {}
    rows = list(serving)
    params = _param_type(spec, rows, type_of)
    typed = [(row, found) for row in _matched(spec, rows) if (found := type_of(row)) is not None]
    environments = [(row, _environment(spec, found, params)) for row, found in typed]
    listed: list[Object] = []
    for index, validation in enumerate(spec.get("validations") or ()):
        for field in ("expression", "messageExpression"):
            source = validation.get(field)
            if source and (warning := "\n".join(_complaints(source, environments))):
                listed.append({"fieldRef": f"spec.validations[{index}].{field}", "warning": warning})
    return listed


def _complaints(source: str, environments: Iterable[tuple[Resource, Mapping[str, Type]]]) -> Iterator[str]:
    for row, declared in environments:
        try:
            compile_expression(source, declared)
        except CelCompileError as failure:
            issues = str(failure).removeprefix("compilation failed: ")
            yield f"{row.group}/{row.version}, Kind={row.kind}: {issues}\n"


def _environment(spec: Object, found: Type, params: Type | None) -> Mapping[str, Type]:
    declared = {**cel_admission.variables(), "object": found, "oldObject": found}
    if params is not None:
        declared["params"] = params
    return Composition(spec.get("variables") or (), declared).declared


def _param_type(spec: Object, rows: Iterable[Resource], type_of: TypeOf) -> Type | None:
    kind = spec.get("paramKind")
    if kind is None:
        return None
    wanted = (kind.get("apiVersion"), kind.get("kind"))
    return next((type_of(row) for row in rows if (row.api_version, row.kind) == wanted and row.plural), None)


def _matched(spec: Object, rows: Iterable[Resource]) -> list[Resource]:
    """The rows that the rules name, without wildcards and subresources, in order."""
    found: dict[tuple[str, str, str], Resource] = {}
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        groups, versions = rule.get("apiGroups") or (), rule.get("apiVersions") or ()
        if any("*" in each for each in (*groups, *versions)):
            continue
        named = [row for row in rows if row.group in groups and row.version in versions]
        for row in sorted((row for row in named if row.plural in (rule.get("resources") or ())), key=_order)[
            :TYPES_MAX
        ]:
            found[_order(row)] = row
    return [found[key] for key in sorted(found)]


def _order(row: Resource) -> tuple[str, str, str]:
    return row.group, row.version, row.kind
