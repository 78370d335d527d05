"""Questions to the ``authorizer``. Source: ``cel/library/authz.go``; what it asks and answers is in ``access``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from picluster.api import names
from picluster.api.cel.access import Authorizer, GroupCheck, PathCheck, ResourceCheck
from picluster.api.cel.errors import CelError
from picluster.api.cel.functions.signatures import Cost, Overload, overload

CHECK_COST = 350_000


def _check_cost(args: Any, result: Any) -> int:
    return CHECK_COST


def _path(authorizer: Authorizer, path: str) -> PathCheck:
    if not path.strip():
        raise CelError("path must not be empty")
    return PathCheck(authorizer, path)


def _resource(group: GroupCheck, resource: str) -> ResourceCheck:
    if not resource.strip():
        raise CelError("resource must not be empty")
    return ResourceCheck(group.authorizer, group.group, resource)


def _service_account(authorizer: Authorizer, namespace: str, name: str) -> Authorizer:
    if any(names.dns1123_subdomain(name)):
        raise CelError("Invalid service account name")
    if any(names.dns1123_label(namespace)):
        raise CelError("Invalid service account namespace")
    return authorizer.service_account(namespace, name)


def _with(field: str) -> Any:
    def changed(check: ResourceCheck, value: str) -> ResourceCheck:
        fields: dict[str, Any] = {field: value}
        return replace(check, **fields)

    return changed


_checked: Cost = _check_cost

FUNCTIONS: tuple[Overload, ...] = (
    overload("path", "Authorizer.(string) -> PathCheck", _path),
    overload("check", "PathCheck.(string) -> Decision", PathCheck.check, _checked),
    overload("group", "Authorizer.(string) -> GroupCheck", GroupCheck),
    overload("serviceAccount", "Authorizer.(string, string) -> Authorizer", _service_account),
    overload("resource", "GroupCheck.(string) -> ResourceCheck", _resource),
    overload("subresource", "ResourceCheck.(string) -> ResourceCheck", _with("subresource")),
    overload("namespace", "ResourceCheck.(string) -> ResourceCheck", _with("namespace")),
    overload("name", "ResourceCheck.(string) -> ResourceCheck", _with("name")),
    overload("fieldSelector", "ResourceCheck.(string) -> ResourceCheck", _with("field_selector")),
    overload("labelSelector", "ResourceCheck.(string) -> ResourceCheck", _with("label_selector")),
    overload("check", "ResourceCheck.(string) -> Decision", ResourceCheck.check, _checked),
    overload("allowed", "Decision.() -> bool", lambda decision: decision.allowed),
    overload("reason", "Decision.() -> string", lambda decision: decision.reason),
    overload("errored", "Decision.() -> bool", lambda decision: bool(decision.error)),
    overload("error", "Decision.() -> string", lambda decision: decision.error),
)
