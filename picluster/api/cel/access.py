"""The ``authorizer`` of expressions: what it is asked step by step, and how it answers.

Source: ``apiserver/pkg/cel/library/authz.go``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from picluster.api.cel import types
from picluster.api.cel.types import Type

SERVICE_ACCOUNT = "system:serviceaccount"


class AccessDecision(NamedTuple):
    allowed: bool
    reason: str = ""
    error: str = ""

    @property
    def cel_type(self) -> Type:
        return types.DECISION


@dataclass(frozen=True, slots=True)
class AccessCheck:
    """One question: ``path`` alone, or a resource. Who asks is known to ``Access``, unless ``user`` names another."""

    verb: str
    user: str = ""
    groups: tuple[str, ...] = ()
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""


class Access(Protocol):
    """Whoever knows what the user of a request may do."""

    def decide(self, check: AccessCheck) -> AccessDecision:
        """Answer without waiting; what went wrong is in ``error``."""
        ...


@dataclass(frozen=True, slots=True)
class Authorizer:
    """``authorizer``, or one for a service account."""

    access: Access
    user: str = ""
    groups: tuple[str, ...] = ()

    cel_type = types.AUTHORIZER

    def service_account(self, namespace: str, name: str) -> Authorizer:
        groups = (f"{SERVICE_ACCOUNT}s", f"{SERVICE_ACCOUNT}s:{namespace}")
        return replace(self, user=f"{SERVICE_ACCOUNT}:{namespace}:{name}", groups=groups)


@dataclass(frozen=True, slots=True)
class PathCheck:
    authorizer: Authorizer
    path: str

    cel_type = types.PATH_CHECK

    def check(self, verb: str) -> AccessDecision:
        asker = self.authorizer
        return asker.access.decide(AccessCheck(verb, asker.user, asker.groups, path=self.path))


@dataclass(frozen=True, slots=True)
class GroupCheck:
    authorizer: Authorizer
    group: str

    cel_type = types.GROUP_CHECK


@dataclass(frozen=True, slots=True)
class ResourceCheck:
    authorizer: Authorizer
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""

    cel_type = types.RESOURCE_CHECK

    def check(self, verb: str) -> AccessDecision:
        asker = self.authorizer
        return asker.access.decide(
            AccessCheck(
                verb, asker.user, asker.groups, "", self.group, self.resource, self.subresource, self.namespace,
                self.name, self.field_selector, self.label_selector,
            )
        )  # fmt: skip
