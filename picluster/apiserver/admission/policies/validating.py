"""ValidatingAdmissionPolicy: all policies that concern a request are run, and none may refuse.

Source: ``apiserver/pkg/admission/plugin/policy/validating``.
"""

from __future__ import annotations

from time import perf_counter
from typing import NamedTuple

import orjson

from picluster.api.cel import BOOL, NULL, STRING, Budget, CelBudgetError, CelError
from picluster.api.cel import admission as cel_admission
from picluster.api.cel.composition import Composition
from picluster.api.cel.expression import Expression
from picluster.api.resources import (
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
    Resource,
)
from picluster.api.types import Object
from picluster.apiserver.admission.chain import Attributes, Basis
from picluster.apiserver.admission.matching import MatchConditions, exempt
from picluster.apiserver.admission.policies.dispatch import Invocation, Misconfigured, PolicyDispatcher, refusal
from picluster.apiserver.admission.policies.source import Binding, Policy, Source
from picluster.apiserver.cache.watchcache import WatchCache

MESSAGE_MAX_BYTES = 5 * 1024
AUDIT_VALUE_MAX = 10 * 1024
AUDIT_FAILURE = "validation.policy.admission.k8s.io/validation_failure"
_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}


class Decision(NamedTuple):
    """A validation that does not hold, or could not be found out; ``ignored`` where the policy fails open."""

    position: int
    message: str
    reason: str = ""
    seconds: float = 0.0
    ignored: bool = False


class Denial(NamedTuple):
    policy: str
    binding: str | None
    decision: Decision


class Validation:
    """One of a policy's ``validations``."""

    def __init__(self, spec: Object, composition: Composition, for_messages: Composition) -> None:
        self.expression = Expression(spec["expression"], composition.declared, BOOL)
        source = spec.get("messageExpression")
        self.message_expression = Expression(source, for_messages.declared, STRING) if source else None
        self.message: str = (spec.get("message") or "").strip()
        self.reason: str = spec.get("reason") or "Invalid"

    def failure_message(self, variables: Object, budget: Budget) -> str:
        """What to tell; raises ``CelBudgetError``."""
        message = ""
        if self.message_expression is not None:
            try:
                message = str(self.message_expression.value(variables, budget)).strip()
            except CelBudgetError:
                raise
            except CelError:
                message = ""
            if len(message.encode()) > MESSAGE_MAX_BYTES or "\n" in message:
                message = ""
        return message or self.message or f"failed expression: {self.expression.source.strip()}"


class ValidatingPolicy(Policy):
    """A policy with its expressions; those of messages and audit annotations may not ask the authorizer."""

    def __init__(self, obj: Object) -> None:
        super().__init__(obj)
        spec, params = self.spec, self.param_kind is not None
        variables = spec.get("variables") or ()
        self.composition = Composition(variables, cel_admission.variables(params=params))
        told = Composition(variables, cel_admission.variables(params=params, authorizer=False))
        self.conditions = MatchConditions(spec.get("matchConditions") or (), params=params)
        self.validations = [Validation(each, self.composition, told) for each in spec.get("validations") or ()]
        self.annotations = [
            (each["key"], Expression(each["valueExpression"], told.declared, (STRING, NULL)))
            for each in spec.get("auditAnnotations") or ()
        ]


class ValidatingPolicies:
    name = "ValidatingAdmissionPolicy"
    basis = Basis(only_without=(VALIDATING_ADMISSION_POLICY_BINDINGS,))

    def __init__(self, cache: WatchCache, dispatcher: PolicyDispatcher) -> None:
        self._source = Source(
            cache.collection(VALIDATING_ADMISSION_POLICIES),
            cache.collection(VALIDATING_ADMISSION_POLICY_BINDINGS),
            ValidatingPolicy,
        )
        self._dispatcher = dispatcher

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return not exempt(resource)

    async def validate(self, attributes: Attributes) -> None:
        bound = self._source.current()
        if not bound:
            return
        run = _Run(self._dispatcher, attributes)
        for found in self._dispatcher.invocations(bound, attributes):
            await run.take(found)
        run.finish()


class _Run:
    """All policies on one request."""

    def __init__(self, dispatcher: PolicyDispatcher, attributes: Attributes) -> None:
        self._dispatcher = dispatcher
        self._attributes = attributes
        self._bindings: dict[Resource, Object] = {}
        self._denials: list[Denial] = []
        self._annotations: dict[str, list[str]] = {}

    async def take(self, found: Invocation[ValidatingPolicy] | Misconfigured[ValidatingPolicy]) -> None:
        if isinstance(found, Misconfigured):
            if not found.policy.fails_open:
                name = None if found.binding is None else found.binding.name
                self._denials.append(Denial(found.policy.name, name, Decision(0, found.message)))
            return
        bindings = self._bindings.get(found.matched)
        if bindings is None:
            bindings = self._bindings[found.matched] = await self._dispatcher.bindings(self._attributes, found.matched)
        policy, variables = found.policy, bindings
        if policy.param_kind is not None:
            variables = {**bindings, "params": found.param}
        try:
            operation = self._attributes.operation
            if not self._dispatcher.hold(policy.name, "validate", policy.conditions, variables, operation):
                return
            decisions = _decide(policy, variables)
        except CelError as failure:
            decisions = [Decision(0, str(failure), ignored=policy.fails_open)]
        for decision in decisions:
            if decision.ignored:
                self._count(policy, found.binding, decision, "allow")
            else:
                self._act(policy, found.binding, decision)
        self._annotate(policy, found.binding, variables)

    def finish(self) -> None:
        """Raise ``ApiError`` for the first policy that denies, and leave the annotations."""
        self._attributes.annotations.update({key: ", ".join(values) for key, values in self._annotations.items()})
        if not self._denials:
            return
        policy, binding, decision = self._denials[0]
        by = f" with binding '{binding}'" if binding is not None else ""
        message = f"ValidatingAdmissionPolicy '{policy}'{by} denied request: {decision.message}"
        error = refusal(self._attributes, message)
        error.reason = decision.reason or "Invalid"
        error.code = _CODES.get(error.reason, 422)
        error.details = {**(error.details or {}), "causes": [{"message": message}]}
        raise error

    def _act(self, policy: ValidatingPolicy, binding: Binding, decision: Decision) -> None:
        for action in binding.actions:
            self._count(policy, binding, decision, action.lower())
            if action == "Deny":
                self._denials.append(Denial(policy.name, binding.name, decision))
            elif action == "Warn":
                what = f"ValidatingAdmissionPolicy '{policy.name}' with binding '{binding.name}'"
                self._warn(f"Validation failed for {what}: {decision.message}")
            elif action == "Audit":
                self._attributes.annotations[AUDIT_FAILURE] = _audited(policy, binding, decision)

    def _count(self, policy: ValidatingPolicy, binding: Binding, decision: Decision, action: str) -> None:
        problem, seconds = decision.message, decision.seconds
        self._dispatcher.figures.validated(policy.name, binding.name, problem, action, seconds)

    def _warn(self, warning: str) -> None:
        if warning not in self._attributes.warnings:
            self._attributes.warnings.append(warning)

    def _annotate(self, policy: ValidatingPolicy, binding: Binding, variables: Object) -> None:
        if not policy.annotations:
            return
        budget = Budget()
        active = policy.composition.activate(variables, budget)
        for key, expression in policy.annotations:
            try:
                value = expression.value(active, budget)
            except CelError as failure:
                if not policy.fails_open:
                    decision = Decision(0, str(failure))
                    self._denials.append(Denial(policy.name, binding.name, decision))
                    self._count(policy, binding, decision, "deny")
                continue
            text = value.strip() if isinstance(value, str) else ""
            values = self._annotations.setdefault(f"{policy.name}/{key}", []) if text else []
            if text and text[:AUDIT_VALUE_MAX] not in values:
                values.append(text[:AUDIT_VALUE_MAX])


def _decide(policy: ValidatingPolicy, variables: Object) -> list[Decision]:
    """What does not hold; raises ``CelBudgetError`` when the policy costs too much."""
    budget = Budget()
    active = policy.composition.activate(variables, budget)
    found: list[Decision] = []
    failed: list[tuple[int, float]] = []
    for index, validation in enumerate(policy.validations):
        started_s = perf_counter()
        try:
            if validation.expression.value(active, budget) is not True:
                failed.append((index, perf_counter() - started_s))
        except CelBudgetError:
            raise
        except CelError as failure:
            seconds = perf_counter() - started_s
            found.append(Decision(index, str(failure), "", seconds, policy.fails_open))
    for index, seconds in failed:
        validation = policy.validations[index]
        try:
            message = validation.failure_message(active, budget)
        except CelBudgetError as failure:
            raise CelError(f"failed messageExpression: {failure}") from failure
        found.append(Decision(index, message, validation.reason, seconds))
    return sorted(found)


def _audited(policy: ValidatingPolicy, binding: Binding, decision: Decision) -> str:
    failure = {
        "message": decision.message,
        "policy": policy.name,
        "binding": binding.name,
        "expressionIndex": decision.position,
        "validationActions": binding.actions,
    }
    return orjson.dumps([failure]).decode()
