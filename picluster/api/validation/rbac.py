"""Roles and their bindings. Source: ``pkg/apis/rbac/validation``."""

from __future__ import annotations

from picluster.api import names, selectors
from picluster.api.errors import ApiError, FieldError, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import label_selector, named

Failures = list[FieldError]

GROUP = "rbac.authorization.k8s.io"
SUBJECT_KINDS = ("ServiceAccount", "User", "Group")


def role(obj: Object, *, namespaced: bool) -> Failures:
    failures: Failures = []
    metadata.validate(obj["metadata"], failures, namespaced=namespaced, name=names.path_segment_name)
    role_contents(obj, failures, namespaced=namespaced)
    return failures


def role_update(new: Object, old: Object, *, namespaced: bool) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    role_contents(new, failures, namespaced=namespaced)
    return failures


def role_contents(obj: Object, failures: Failures, *, namespaced: bool) -> None:
    for index, rule in enumerate(obj.get("rules") or ()):
        _rule(rule, f"rules[{index}]", failures, namespaced=namespaced)
    aggregation = obj.get("aggregationRule")
    if aggregation is None:
        return
    path, found = "aggregationRule.clusterRoleSelectors", aggregation.get("clusterRoleSelectors") or []
    if not found:
        failures.append(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
    for index, selector in enumerate(found):
        label_selector(selector, f"{path}[{index}]", failures)
        try:
            selectors.from_object(selector)
        except ApiError as error:
            failures.append(invalid_value(f"{path}[{index}]", selector, f"invalid label selector: {error.message}"))


def binding(obj: Object, role_kinds: tuple[str, ...], *, namespaced: bool) -> Failures:
    failures: Failures = []
    metadata.validate(obj["metadata"], failures, namespaced=namespaced, name=names.path_segment_name)
    _binding_contents(obj, role_kinds, failures, namespaced=namespaced)
    return failures


def binding_update(new: Object, old: Object, role_kinds: tuple[str, ...], *, namespaced: bool) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _binding_contents(new, role_kinds, failures, namespaced=namespaced)
    if new.get("roleRef") != old.get("roleRef"):
        failures.append(invalid_value("roleRef", new.get("roleRef"), "cannot change roleRef"))
    return failures


def _rule(rule: Object, path: str, failures: Failures, *, namespaced: bool) -> None:
    if not rule.get("verbs"):
        failures.append(required(f"{path}.verbs", "verbs must contain at least one value"))
    urls = rule.get("nonResourceURLs")
    if urls:
        where = f"{path}.nonResourceURLs"
        if namespaced:
            failures.append(invalid_value(where, urls, "namespaced rules cannot apply to non-resource URLs"))
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            detail = "rules cannot apply to both regular resources and non-resource URLs"
            failures.append(invalid_value(where, urls, detail))
        return
    if not rule.get("apiGroups"):
        failures.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not rule.get("resources"):
        failures.append(required(f"{path}.resources", "resource rules must supply at least one resource"))


def _binding_contents(obj: Object, role_kinds: tuple[str, ...], failures: Failures, *, namespaced: bool) -> None:
    reference = obj.get("roleRef") or {}
    group, kind, name = (reference.get(field) or "" for field in ("apiGroup", "kind", "name"))
    if group != GROUP:
        failures.append(not_supported("roleRef.apiGroup", group, (GROUP,)))
    if kind not in role_kinds:
        failures.append(not_supported("roleRef.kind", kind, role_kinds))
    if not name:
        failures.append(required("roleRef.name"))
    else:
        named(names.path_segment_name(name), "roleRef.name", name, failures)
    for index, subject in enumerate(obj.get("subjects") or ()):
        _subject(subject, f"subjects[{index}]", failures, namespaced=namespaced)


def _subject(subject: Object, path: str, failures: Failures, *, namespaced: bool) -> None:
    kind, name, group = (subject.get(field) or "" for field in ("kind", "name", "apiGroup"))
    if not name:
        failures.append(required(f"{path}.name"))
    if kind == "ServiceAccount":
        if name:
            named(names.dns1123_subdomain(name), f"{path}.name", name, failures)
        if group:
            failures.append(not_supported(f"{path}.apiGroup", group, ("",)))
        if not namespaced and not subject.get("namespace"):
            failures.append(required(f"{path}.namespace"))
    elif kind in SUBJECT_KINDS:
        if not name:
            failures.append(invalid_value(f"{path}.name", name, f"{kind.lower()} name cannot be empty"))
        if group != GROUP:
            failures.append(not_supported(f"{path}.apiGroup", group, (GROUP,)))
    else:
        failures.append(not_supported(f"{path}.kind", kind, SUBJECT_KINDS))
