"""MutatingAdmissionPolicy: one after the other, each sees what those before it made of the object.

A policy with ``reinvocationPolicy: IfNeeded`` runs once more when the object has changed after it ran. Source:
``apiserver/pkg/admission/plugin/policy/mutating``.
"""

from __future__ import annotations

from time import perf_counter

import orjson

from picluster.api import errors
from picluster.api.cel import Budget, CelError
from picluster.api.cel import admission as cel_admission
from picluster.api.cel.composition import Composition
from picluster.api.resources import MUTATING_ADMISSION_POLICIES, MUTATING_ADMISSION_POLICY_BINDINGS, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.asked import Asked, fingerprint
from picluster.apiserver.admission.chain import Attributes, Basis, Reinvocation, reinvocation
from picluster.apiserver.admission.matching import MatchConditions, exempt
from picluster.apiserver.admission.policies.dispatch import Invocation, Misconfigured, PolicyDispatcher, refusal
from picluster.apiserver.admission.policies.patches import Mutation, PatchError
from picluster.apiserver.admission.policies.source import Policy, Source
from picluster.apiserver.admission.versions import is_whole
from picluster.apiserver.cache.watchcache import WatchCache


class MutatingPolicy(Policy):
    def __init__(self, obj: Object) -> None:
        super().__init__(obj)
        spec, params = self.spec, self.param_kind is not None
        declared = cel_admission.variables(params=params)
        self.composition = Composition(spec.get("variables") or (), declared, patches=True)
        self.conditions = MatchConditions(spec.get("matchConditions") or (), params=params)
        self.mutations = [Mutation(each, self.composition.declared) for each in spec.get("mutations") or ()]
        self.reinvocable = spec.get("reinvocationPolicy") == "IfNeeded"


class _Failure(Exception):
    def __init__(
        self, found: Invocation[MutatingPolicy] | Misconfigured[MutatingPolicy], why: str, reason: str
    ) -> None:
        by = f"with binding '{found.binding.name}' " if found.binding is not None else ""
        super().__init__(f"policy '{found.policy.name}' {by}denied request: {why}")
        self.policy = found.policy
        self.reason = reason


class MutatingPolicies:
    name = "MutatingAdmissionPolicy"
    basis = Basis(only_without=(MUTATING_ADMISSION_POLICY_BINDINGS,))

    def __init__(self, cache: WatchCache, dispatcher: PolicyDispatcher) -> None:
        self._source = Source(
            cache.collection(MUTATING_ADMISSION_POLICIES),
            cache.collection(MUTATING_ADMISSION_POLICY_BINDINGS),
            MutatingPolicy,
        )
        self._dispatcher = dispatcher

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return not exempt(resource)

    async def admit(self, attributes: Attributes) -> None:
        bound = self._source.current()
        if not bound:
            return
        again = reinvocation(attributes)
        asked: Asked = again.contexts.setdefault(self.name, Asked())
        if again.running and asked.output != fingerprint(attributes.obj):
            asked.changed()
        failures: list[_Failure] = []
        for found in list(self._dispatcher.invocations(bound, attributes)):
            try:
                await self._invoke(found, attributes, again, asked)
            except _Failure as failure:
                if not failure.policy.fails_open:
                    failures.append(failure)
        asked.output = fingerprint(attributes.obj)
        if failures:
            raise _refused(attributes, failures)

    async def _invoke(
        self,
        found: Invocation[MutatingPolicy] | Misconfigured[MutatingPolicy],
        attributes: Attributes,
        again: Reinvocation,
        asked: Asked,
    ) -> None:
        if isinstance(found, Misconfigured):
            raise _Failure(found, found.message, "")
        key = _key(found)
        if attributes.obj is None or (again.running and key not in asked.due):
            return
        variables = await self._dispatcher.bindings(attributes, found.matched)
        if found.policy.param_kind is not None:
            variables["params"] = found.param
        policy, started_s, problem = found.policy, perf_counter(), ""
        try:
            if not self._dispatcher.hold(policy.name, "mutate", policy.conditions, variables, attributes.operation):
                return
        except CelError as failure:
            raise _Failure(found, str(failure), "Invalid") from failure
        before = fingerprint(attributes.obj)
        try:
            for mutation in policy.mutations:
                await self._mutate(mutation, found, attributes, variables)
        except (PatchError, errors.ApiError) as failure:
            problem = str(failure)
            raise _Failure(found, problem, "Invalid") from failure
        finally:
            self._dispatcher.figures.mutated(policy.name, found.binding.name, problem, perf_counter() - started_s)
            if fingerprint(attributes.obj) != before:
                asked.changed()
                again.wanted = True
        if policy.reinvocable:
            asked.asked.add(key)

    async def _mutate(
        self, mutation: Mutation, found: Invocation[MutatingPolicy], attributes: Attributes, variables: Object
    ) -> None:
        """Apply one mutation to ``attributes.obj``, in place, and let ``variables`` see it."""
        assert attributes.obj is not None
        shown = await self._dispatcher.shown(attributes.obj, attributes, found.matched)
        assert shown is not None
        kind = self._dispatcher.kind(found.matched)
        budget = Budget()
        active = found.policy.composition.activate({**variables, "object": shown}, budget)
        after: Object = orjson.loads(orjson.dumps(mutation.apply(shown, active, budget, kind.type())))
        if is_whole(after, attributes):
            kind.conform(after)
            kind.default(after)
        result = await self._dispatcher.taken_back(after, attributes, found.matched)
        attributes.obj.clear()
        attributes.obj.update(result)


def _key(found: Invocation[MutatingPolicy]) -> str:
    metadata = (found.param or {}).get("metadata") or {}
    return f"{found.policy.name}/{found.binding.name}/{metadata.get('namespace', '')}/{metadata.get('name', '')}"


def _refused(attributes: Attributes, failures: list[_Failure]) -> errors.ApiError:
    """403 with the first failure's message, and all of them as causes."""
    error = refusal(attributes, "")
    error.message = str(failures[0])
    error.reason = failures[0].reason or error.reason
    error.details = {**(error.details or {}), "causes": [{"message": str(failure)} for failure in failures]}
    return error
