"""Whether the expressions of webhooks and policies can be compiled; imported when the first of them is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from picluster.api.cel import BOOL, NULL, STRING, CelCompileError, Type, admission, compile_expression
from picluster.api.cel.composition import Composition
from picluster.api.cel.types import list_of
from picluster.api.errors import FieldError, invalid_value
from picluster.api.types import Object

Failures = list[FieldError]
OBJECT, PATCHES = Type("Object"), list_of(Type("JSONPatch"))


def check(
    source: str,
    declared: Mapping[str, Type],
    want: Type | Sequence[Type],
    path: str,
    failures: Failures,
    *,
    patches: bool = False,
) -> None:
    """Note why ``source``, where ``declared`` may be used, gives nothing of the type that is wanted."""
    if not source.strip():
        return
    try:
        compile_expression(source, declared, want, patches=patches)
    except CelCompileError as failure:
        failures.append(invalid_value(path, source.strip(), str(failure)))


def validating_policy(spec: Object, failures: Failures) -> None:
    """The variables, validations and audit annotations of a ValidatingAdmissionPolicy."""
    variables, params = _named(spec), spec.get("paramKind") is not None
    composed = Composition(variables, admission.variables(params=params))
    told = Composition(variables, admission.variables(params=params, authorizer=False))
    _variables(spec, composed, failures)
    for index, each in enumerate(spec.get("validations") or ()):
        path = f"spec.validations[{index}]"
        check(each.get("expression") or "", composed.declared, BOOL, f"{path}.expression", failures)
        check(each.get("messageExpression") or "", told.declared, STRING, f"{path}.messageExpression", failures)
    for index, each in enumerate(spec.get("auditAnnotations") or ()):
        path = f"spec.auditAnnotations[{index}].valueExpression"
        check(each.get("valueExpression") or "", told.declared, (STRING, NULL), path, failures)


def mutating_policy(spec: Object, failures: Failures) -> None:
    """The variables and mutations of a MutatingAdmissionPolicy."""
    params = spec.get("paramKind") is not None
    composed = Composition(_named(spec), admission.variables(params=params), patches=True)
    _variables(spec, composed, failures)
    for index, each in enumerate(spec.get("mutations") or ()):
        for field, want in (("applyConfiguration", OBJECT), ("jsonPatch", PATCHES)):
            source = (each.get(field) or {}).get("expression") or ""
            path = f"spec.mutations[{index}].{field}.expression"
            check(source, composed.declared, want, path, failures, patches=True)


def _named(spec: Object) -> list[Object]:
    return [each for each in spec.get("variables") or () if each.get("name") and (each.get("expression") or "").strip()]


def _variables(spec: Object, composed: Composition, failures: Failures) -> None:
    for index, each in enumerate(spec.get("variables") or ()):
        expression = composed.expressions.get(each.get("name") or "")
        if expression is None or expression.source != each.get("expression"):
            continue
        try:
            _ = expression.program
        except CelCompileError as failure:
            failures.append(invalid_value(f"spec.variables[{index}].expression", expression.source, str(failure)))
