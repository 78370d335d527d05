"""May this user do this? A chain of authorizers: the first that decides wins, and who nobody allows is refused.

An authorizer allows or has no opinion; the reason of the last one without an opinion goes into the refusal, as in
Kubernetes. The identities of the control plane get what their bootstrap roles in Kubernetes give them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from picluster.api import errors
from picluster.apiserver.authn import User
from picluster.apiserver.requestinfo import RequestInfo

MASTERS = "system:masters"
PUBLIC_PATHS = frozenset({"/version", "/version/", "/healthz", "/livez", "/readyz"})
PUBLIC_PREFIXES = ("/livez/", "/readyz/", "/healthz/")
DISCOVERY_PATHS = frozenset({"/api", "/apis", "/.well-known/openid-configuration", "/openid/v1/jwks"})
DISCOVERY_PREFIXES = ("/api/", "/apis/", "/openapi/")

READ = frozenset({"get", "list", "watch"})


class Decision(NamedTuple):
    """``allowed`` decides; otherwise there is no opinion, and ``reason`` says why, if there is more to say."""

    allowed: bool
    reason: str = ""


NO_OPINION = Decision(False)
ALLOWED = Decision(True)


class Authorizer(Protocol):
    def decide(self, user: User, request: RequestInfo) -> Decision: ...


def authorize(chain: Sequence[Authorizer], user: User, request: RequestInfo) -> None:
    """Raise ``ApiError`` 403 unless some authorizer allows ``request``."""
    reason = ""
    for authorizer in chain:
        decision = authorizer.decide(user, request)
        if decision.allowed:
            return
        reason = decision.reason or reason
    raise _refusal(user, request, reason)


def is_public(path: str) -> bool:
    """Whether anybody may GET ``path`` (Kubernetes' ``system:public-info-viewer``)."""
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_PREFIXES)


class Masters:
    """``system:masters`` may do everything."""

    def decide(self, user: User, request: RequestInfo) -> Decision:
        return ALLOWED if MASTERS in user.groups else NO_OPINION


class PublicInfo:
    """Health and version for everybody, discovery for whoever is somebody (``system:discovery``)."""

    def decide(self, user: User, request: RequestInfo) -> Decision:
        path = request.path
        if request.target.resource is not None or request.verb != "get":
            return NO_OPINION
        if is_public(path):
            return ALLOWED
        discovery = path in DISCOVERY_PATHS or path.startswith(DISCOVERY_PREFIXES)
        return ALLOWED if discovery and not user.anonymous else NO_OPINION


@dataclass(frozen=True, slots=True)
class Rule:
    """Verbs on resources, written ``pods``, ``pods/status``, ``leases.coordination.k8s.io`` or ``*``."""

    verbs: frozenset[str]
    resources: frozenset[str]

    def covers(self, verb: str, resource: str) -> bool:
        return verb in self.verbs and ("*" in self.resources or resource in self.resources)


def rule(verbs: str, resources: str) -> Rule:
    return Rule(frozenset(verbs.split()), frozenset(resources.split()))


BOOTSTRAP_ROLES: dict[str, tuple[Rule, ...]] = {
    "system:kube-scheduler": (
        rule("create get list watch update patch", "leases.coordination.k8s.io"),
        rule("create patch update", "events events.events.k8s.io"),
        rule("get list watch", "nodes pods services namespaces replicasets.apps"),
        rule("delete", "pods"),
        rule("create", "pods/binding"),
        rule("update patch", "pods/status"),
    ),
    # One identity for all controllers: what Kubernetes gives to the manager and to each controller's service account.
    "system:kube-controller-manager": (
        rule("get list watch", "*"),
        rule("update patch delete deletecollection", "*"),
        rule("create", "events events.events.k8s.io leases.coordination.k8s.io secrets serviceaccounts configmaps"),
        rule("create", "pods replicasets.apps endpoints endpointslices.discovery.k8s.io pods/eviction"),
    ),
}


class BootstrapRoles:
    """The fixed roles of the control plane's own identities."""

    def decide(self, user: User, request: RequestInfo) -> Decision:
        resource = request.target.resource
        rules = BOOTSTRAP_ROLES.get(user.name)
        if rules is None or resource is None:
            return NO_OPINION
        name = f"{resource.id}/{request.target.subresource}" if request.target.subresource else resource.id
        if resource.group and request.target.subresource:
            name = f"{resource.plural}/{request.target.subresource}.{resource.group}"
        return ALLOWED if any(each.covers(request.verb, name) for each in rules) else NO_OPINION


def _refusal(user: User, request: RequestInfo, reason: str) -> errors.ApiError:
    target, more = request.target, f": {reason}" if reason else ""
    if target.resource is None:
        why = f'User "{user.name}" cannot {request.verb} path "{request.path}"{more}'
        return errors.ApiError(403, "Forbidden", f"forbidden: {why}", {})
    resource = target.resource
    what = f"{resource.plural}/{target.subresource}" if target.subresource else resource.plural
    where = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot {request.verb} resource "{what}" in API group "{resource.group}" {where}{more}'
    return errors.forbidden(resource.group, resource.plural, target.name, why)
