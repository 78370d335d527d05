"""The chain of authorizers: the first that decides wins, and who nobody allows is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from picluster.api import errors
from picluster.apiserver.authn import User
from picluster.apiserver.authz.attributes import Attributes

MASTERS = "system:masters"
PUBLIC_PATHS = frozenset({"/version", "/version/", "/healthz", "/livez", "/readyz"})
DISCOVERY_FOR_JOINING = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
"""What a board reads before it knows whom to trust; RBAC says whether it may."""
HEALTH_PREFIXES = ("/livez", "/readyz", "/healthz")


class Decision(NamedTuple):
    """Neither ``allowed`` nor ``denied`` is no opinion; ``reason`` says why, if there is more to say."""

    allowed: bool
    reason: str = ""
    denied: bool = False


NO_OPINION = Decision(False)
ALLOWED = Decision(True)


class ResourceRule(NamedTuple):
    """A permission that a user holds, as SelfSubjectRulesReview shows it."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    names: tuple[str, ...]
    urls: tuple[str, ...]


class Held(NamedTuple):
    """What an authorizer knows that a user may do; ``error`` says what it could not find out."""

    rules: list[ResourceRule]
    error: str = ""


class Authorizer(Protocol):
    def decide(self, attributes: Attributes) -> Decision: ...

    def held(self, user: User, namespace: str) -> Held:
        """Every permission of ``user`` in ``namespace``, as far as this authorizer can tell."""
        ...


class Masters:
    """``system:masters`` may do everything, whatever the store holds."""

    def decide(self, attributes: Attributes) -> Decision:
        return ALLOWED if MASTERS in attributes.user.groups else NO_OPINION

    def held(self, user: User, namespace: str) -> Held:
        return Held([])


class AlwaysAllowedPaths:
    """Health is nobody's secret (kube-apiserver's ``--authorization-always-allow-paths``)."""

    def decide(self, attributes: Attributes) -> Decision:
        return ALLOWED if not attributes.is_resource and is_health(attributes.path) else NO_OPINION

    def held(self, user: User, namespace: str) -> Held:
        return Held([])


class Chain:
    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = tuple(authorizers)

    def decide(self, attributes: Attributes) -> Decision:
        """The first decision; without one, no opinion with everybody's reasons, one a line."""
        reasons: list[str] = []
        for authorizer in self._authorizers:
            decision = authorizer.decide(attributes)
            if decision.allowed or decision.denied:
                return decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision(False, "\n".join(reasons)) if reasons else NO_OPINION

    def held(self, user: User, namespace: str) -> Held:
        found = [authorizer.held(user, namespace) for authorizer in self._authorizers]
        return Held([rule for held in found for rule in held.rules], aggregate([h.error for h in found if h.error]))

    def authorize(self, attributes: Attributes) -> None:
        """Raise ``ApiError`` 403 unless some authorizer allows it."""
        decision = self.decide(attributes)
        if not decision.allowed:
            raise refusal(attributes, decision.reason)


def is_public(path: str) -> bool:
    """Whether nobody in particular may GET ``path``: health and version."""
    return path in PUBLIC_PATHS or is_health(path)


def is_health(path: str) -> bool:
    return path.startswith(HEALTH_PREFIXES) and path.lstrip("/").partition("/")[0] in ("livez", "readyz", "healthz")


def refusal(attributes: Attributes, reason: str) -> errors.ApiError:
    """The 403 in the words of ``responsewriters.Forbidden``."""
    more = f": {reason}" if reason else ""
    user, verb = attributes.user.name, attributes.verb
    if not attributes.is_resource:
        why = f'User "{user}" cannot {verb} path "{attributes.path}"{more}'
        return errors.ApiError(403, "Forbidden", f"forbidden: {why}", {})
    where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
    group = attributes.group
    why = f'User "{user}" cannot {verb} resource "{attributes.qualified}" in API group "{group}" {where}{more}'
    return errors.forbidden(group, attributes.resource, attributes.name, why)


def aggregate(messages: list[str]) -> str:
    """Several errors in one line, as ``errors.NewAggregate`` prints them."""
    different = list(dict.fromkeys(messages))
    return different[0] if len(different) == 1 else f"[{', '.join(different)}]" if different else ""
