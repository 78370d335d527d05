"""Which policies concern a request, in which version of the object, and with which parameters.

Source: ``apiserver/pkg/admission/plugin/policy/generic``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from picluster.api import errors
from picluster.api.cel.access import Access
from picluster.api.resources import NAMESPACES, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import Attributes
from picluster.apiserver.admission.figures import AdmissionFigures
from picluster.apiserver.admission.matching import MatchConditions, bindings
from picluster.apiserver.admission.policies.params import ParamError, Params
from picluster.apiserver.admission.policies.source import Binding, Bound, Policy
from picluster.apiserver.admission.versions import Versions
from picluster.apiserver.authn import User
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.registry.kinds import Kind

P = TypeVar("P", bound=Policy)


class Invocation(NamedTuple, Generic[P]):
    """A policy to run as a binding says; ``matched`` is the row it asked to see the object as."""

    policy: P
    binding: Binding
    matched: Resource
    param: Object | None


class Misconfigured(NamedTuple, Generic[P]):
    """A policy or binding that cannot be run."""

    policy: P
    binding: Binding | None
    message: str


class PolicyDispatcher(Versions):
    """What both plugins need of the server; parameters are like those of ``webhooks.dispatch.Dispatcher``."""

    def __init__(
        self,
        cache: WatchCache,
        serving: Iterable[Resource],
        kind: Callable[[Resource], Kind],
        access: Callable[[User], Access],
        figures: AdmissionFigures,
    ) -> None:
        super().__init__(kind)
        self._cache = cache
        self._serving = serving
        self._access = access
        self.figures = figures
        self._params = Params(cache, serving, kind)

    def invocations(self, bound: Bound[P], attributes: Attributes) -> Iterator[Invocation[P] | Misconfigured[P]]:
        """What concerns the request, in the order in which it runs."""
        for policy, policy_bindings in bound:
            try:
                matched = policy.matcher.match(attributes, self._cache, self._serving)
                if matched is None:
                    continue
                row = None if policy.param_kind is None else self._params.row(policy.param_kind)
            except (ParamError, errors.ApiError) as failure:
                yield Misconfigured(policy, None, f"failed to configure policy: {failure}")
                continue
            for binding in policy_bindings:
                yield from self._bound(policy, binding, attributes, matched, row)

    def _bound(
        self, policy: P, binding: Binding, attributes: Attributes, matched: Resource, row: Resource | None
    ) -> Iterator[Invocation[P] | Misconfigured[P]]:
        try:
            matcher = binding.matcher
            if matcher is not None and matcher.match(attributes, self._cache, self._serving) is None:
                return
            namespace = "" if attributes.resource is NAMESPACES else attributes.namespace
            params = self._params.collect(row, binding.param_ref, namespace)
        except (ParamError, errors.ApiError) as failure:
            yield Misconfigured(policy, binding, f"failed to configure binding: {failure}")
            return
        for param in params:
            yield Invocation(policy, binding, matched, param)

    async def bindings(self, attributes: Attributes, matched: Resource) -> Object:
        """The variables of expressions, the object in the version of ``matched``."""
        variables = bindings(attributes, matched, self._cache, self._access(attributes.user))
        variables["object"] = await self.shown(attributes.obj, attributes, matched)
        variables["oldObject"] = await self.shown(attributes.old, attributes, matched)
        return variables

    def hold(self, policy: str, type_: str, conditions: MatchConditions, variables: Object, operation: str) -> bool:
        """Whether a policy's match conditions are true; raises ``CelError``."""
        if not conditions:
            return True
        labels = (policy, "policy", type_, operation)
        with self.figures.conditions(*labels):
            holds = conditions.hold(variables)
        if not holds:
            self.figures.excluded(*labels)
        return holds


def refusal(attributes: Attributes, message: str) -> errors.ApiError:
    """403 as ``admission.NewForbidden`` has it: an object without a name yet is called by what it will begin with."""
    metadata = (attributes.obj or {}).get("metadata") or {}
    name = attributes.name or metadata.get("name") or metadata.get("generateName") or "Unknown"
    return errors.forbidden(attributes.resource.group, attributes.resource.plural, name, message)
