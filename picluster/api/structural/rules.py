"""Validation rules (``x-kubernetes-validations``, KEP-2876): compiled once, run on every create and update.

Rules that read ``oldSelf`` run where there is an old value to compare with: below fields, and below elements of lists
of type ``map``. What other rules say of a value that has not changed is not held against it (KEP-4008).
Source: ``apiserver/schema/cel/validation.go``.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any, NamedTuple

from picluster.api.cel import BOOL, STRING, Budget, CelBudgetError, CelError, Program, Type, compile_expression
from picluster.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from picluster.api.structural import listtype
from picluster.api.structural.prune import EMBEDDED, additional, anywhere
from picluster.api.structural.validate import ABSENT, NO_PATH
from picluster.api.structural.values import same
from picluster.api.types import Object

RULES = "x-kubernetes-validations"
MESSAGE_MAX_BYTES = 5 << 10
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
_CALL_LIMIT = "operation cancelled: actual cost limit exceeded"
_NO_OVERLOAD = "call arguments did not match a supported operator, function or macro signature for rule"
_OLD_SELF_RE = re.compile(r"(?<![.\w])oldSelf\b")
_LITERAL_RE = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")


class Rule(NamedTuple):
    """A compiled rule; ``message`` is its ``messageExpression``."""

    spec: Object
    program: Program
    message: Program | None
    reads_old: bool
    self_type: Type


def has_rules(schema: Any) -> bool:
    """Whether any rule stands anywhere in ``schema``."""
    return anywhere(schema, lambda node: bool(node.get(RULES)))


def reads_old(source: str) -> bool:
    """Whether a rule speaks of ``oldSelf``: a transition rule."""
    return "oldSelf" in source and _OLD_SELF_RE.search(_LITERAL_RE.sub("''", source)) is not None


def compile_rule(rule: Object, self_type: Type) -> Rule:
    """The rule, ready to run; raises ``CelCompileError``."""
    transition = reads_old(rule["rule"])
    program = compile_expression(rule["rule"], _variables(rule, self_type, transition), want=BOOL)
    message = compile_message(rule, self_type) if rule.get("messageExpression") else None
    return Rule(rule, program, message, transition, self_type)


def compile_message(rule: Object, self_type: Type) -> Program:
    """The ``messageExpression`` of a rule; it may read what the rule reads. Raises ``CelCompileError``."""
    variables = _variables(rule, self_type, reads_old(rule["rule"]))
    return compile_expression(rule["messageExpression"], variables, want=STRING)


def type_of(schema: Object, *, root: bool = False) -> Type | None:
    """The type of ``self`` in rules of ``schema``; a ``root`` has a kind and a name besides."""
    from picluster.api.cel import structural

    return structural.schema_type(schema, root=root or bool(schema.get(EMBEDDED)))


def _variables(rule: Object, self_type: Type, transition: bool) -> dict[str, Type]:
    from picluster.api.cel.types import optional_of

    if not transition:
        return {"self": self_type}
    return {"self": self_type, "oldSelf": optional_of(self_type) if rule.get("optionalOldSelf") else self_type}


class Rules:
    """The rules of one schema; false when there are none."""

    def __init__(self, schema: Object) -> None:
        self._schema = schema
        self._any = has_rules(schema)
        self._compiled: dict[int, list[Rule]] = {}
        self._below: dict[int, bool] = {}

    def __bool__(self) -> bool:
        return self._any

    def failures(self, new: Object, old: Object | None) -> list[FieldError]:
        """What the rules have against ``new``, that may have become it from ``old``."""
        run = _Run(self)
        before = ABSENT if old is None else old
        with contextlib.suppress(_Stopped):
            run.value(new, self._schema, "", before, (new, before))
        return run.found

    def below(self, schema: Any) -> bool:
        """``has_rules`` of a node of the schema, worked out once."""
        found = self._below.get(id(schema))
        if found is None:
            found = self._below[id(schema)] = has_rules(schema)
        return found

    def of(self, schema: Object) -> list[Rule]:
        """The rules of one node of the schema, compiled at the first call."""
        found = self._compiled.get(id(schema))
        if found is None:
            self_type = type_of(schema, root=schema is self._schema)
            found = [compile_rule(rule, self_type) for rule in schema[RULES]] if self_type is not None else []
            self._compiled[id(schema)] = found
        return found


class _Stopped(Exception):
    """Nothing more is to be run."""


class _Run:
    """One object. ``pair`` are the nearest values that could be compared: when equal, plain rules have no say."""

    def __init__(self, rules: Rules) -> None:
        self.found: list[FieldError] = []
        self._rules = rules
        self._budget = Budget()

    def value(self, value: Any, schema: Object, path: str, old: Any, pair: tuple[Any, Any]) -> None:
        if value is None:
            return
        if schema.get(RULES):
            self._expressions(value, schema, path, old, pair)
        if isinstance(value, dict):
            self._map(value, schema, path, old, pair)
        elif isinstance(value, list) and self._rules.below(schema.get("items")):
            self._list(value, schema, path, old, pair)

    def _map(self, value: Object, schema: Object, path: str, old: Any, pair: tuple[Any, Any]) -> None:
        before = old if isinstance(old, dict) and schema.get("x-kubernetes-map-type") != "atomic" else {}
        properties, mapped = schema.get("properties") or {}, additional(schema)
        for key, child in value.items():
            node = properties.get(key, mapped)
            if node is None or not self._rules.below(node):
                continue
            where = (f"{path}.{key}" if path else key) if key in properties else f"{path}[{key}]"
            was = before.get(key, ABSENT)
            self.value(child, node, where, was, (child, was) if was is not ABSENT else pair)

    def _list(self, value: list[Any], schema: Object, path: str, old: Any, pair: tuple[Any, Any]) -> None:
        before: dict[bytes, Any] = {}
        if isinstance(old, list) and schema.get(listtype.LIST_TYPE) == "map":
            before = {listtype.key_of(element, schema): element for element in old}
        for index, element in enumerate(value):
            was = before.get(listtype.key_of(element, schema), ABSENT) if before else ABSENT
            where = f"{path}[{index}]"
            self.value(element, schema["items"], where, was, (element, was) if was is not ABSENT else pair)

    def _expressions(self, value: Any, schema: Object, path: str, old: Any, pair: tuple[Any, Any]) -> None:
        kind = schema.get("type") or ""
        for rule in self._rules.of(schema):
            if rule.reads_old and old is ABSENT and not rule.spec.get("optionalOldSelf"):
                continue
            bindings = {"self": value}
            if rule.reads_old:
                bindings["oldSelf"] = _optional(old, rule.self_type) if rule.spec.get("optionalOldSelf") else old
            failure = self._judge(rule, bindings, path or NO_PATH, kind)
            if failure is not None and (rule.reads_old or pair[1] is ABSENT or not same(*pair)):
                self.found.append(failure)

    def _judge(self, rule: Rule, bindings: Object, path: str, kind: str) -> FieldError | None:
        source = _named(rule.spec)
        try:
            if rule.program.evaluate(bindings, self._budget):
                return None
        except CelBudgetError as error:
            self._stop(error, path, kind, f"rule: {source}")
        except CelError as error:
            if str(error).startswith("no such overload"):
                return invalid_value(path, kind, f"'{error}': {_NO_OVERLOAD}: {source}")
            return invalid_value(path, kind, f"{error} evaluating rule: {source}")
        where = path
        if field := (rule.spec.get("fieldPath") or "").strip():
            where = (path if path != NO_PATH else "") + _normalized(field, path != NO_PATH)
        return _failure(rule.spec.get("reason"), where, kind, self._detail(rule, bindings, path, kind))

    def _detail(self, rule: Rule, bindings: Object, path: str, kind: str) -> str:
        if rule.message is not None:
            try:
                text = str(rule.message.evaluate(bindings, self._budget)).strip()
            except CelBudgetError as error:
                self._stop(error, path, kind, f"messageExpression: {rule.spec['messageExpression']}")
            except CelError:
                text = ""
            if text and "\n" not in text and len(text.encode()) <= MESSAGE_MAX_BYTES:
                return text
        return (rule.spec.get("message") or "").strip() or f"failed rule: {_named(rule.spec)}"

    def _stop(self, error: CelBudgetError, path: str, kind: str, what: str) -> None:
        why = OUT_OF_BUDGET
        if str(error).startswith(_CALL_LIMIT):
            why = f"'{error}': no further validation rules will be run due to call cost exceeds limit for {what}"
        self.found.append(invalid_value(path, kind, why))
        raise _Stopped from None


def _optional(old: Any, self_type: Type) -> Any:
    """An old value that need not be there."""
    from picluster.api.cel.values import NONE, Optional, wrap

    return NONE if old is ABSENT else Optional(wrap(old, self_type))


def _named(rule: Object) -> str:
    return str(rule.get("message") or rule["rule"]).strip()


def _normalized(field: str, below: bool) -> str:
    """A ``fieldPath`` as errors show it."""
    shown = re.sub(r"\[.([^']*).\]", r"[\1]", field)
    return shown if below and shown.startswith((".", "[")) else shown.removeprefix(".")


def _failure(reason: str | None, path: str, kind: str, detail: str) -> FieldError:
    if reason == "FieldValueForbidden":
        return forbidden_field(path, detail)
    if reason == "FieldValueRequired":
        return required(path, detail)
    if reason == "FieldValueDuplicate":
        return duplicate(path, kind)
    return invalid_value(path, kind, detail)


__all__ = ["RULES", "Rule", "Rules", "compile_message", "compile_rule", "has_rules", "reads_old", "type_of"]
