"""FlowSchemas. Source: ``pkg/apis/flowcontrol/validation``."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import flowcontrol, metadata
from picluster.api.validation.common import named

Failures = list[FieldError]

PRECEDENCE_MAX = 10000
DISTINGUISHERS = ("ByNamespace", "ByUser")
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}


def validate(flowschema: Object) -> Failures:
    failures: Failures = []
    metadata.validate(flowschema["metadata"], failures, namespaced=False, name=metadata.subdomain)
    _spec(flowschema, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _spec(new, failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    flowcontrol.conditions((new.get("status") or {}).get("conditions") or (), failures)
    return failures


def _spec(flowschema: Object, failures: Failures) -> None:
    spec, name = flowschema.get("spec") or {}, flowschema["metadata"].get("name") or ""
    _precedence(spec.get("matchingPrecedence") or 0, name, failures)
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in DISTINGUISHERS:
        failures.append(not_supported("spec.distinguisherMethod.type", method.get("type") or "", DISTINGUISHERS))
    level, path = (spec.get("priorityLevelConfiguration") or {}).get("name"), "spec.priorityLevelConfiguration.name"
    if not level:
        failures.append(required(path, "must reference a priority level"))
    else:
        named(names.dns1123_subdomain(level), path, level, failures)
    for index, rule in enumerate(spec.get("rules") or ()):
        _rule(rule, f"spec.rules[{index}]", failures)
    fixed = flowcontrol.MANDATORY_FLOW_SCHEMAS.get(name)
    if fixed is not None and spec != fixed:
        failures.append(invalid_value("spec", spec, f"spec of '{name}' must equal the fixed value"))


def _precedence(precedence: int, name: str, failures: Failures) -> None:
    path = "spec.matchingPrecedence"
    if precedence <= 0:
        failures.append(invalid_value(path, precedence, "must be a positive value"))
    if precedence > PRECEDENCE_MAX:
        failures.append(invalid_value(path, precedence, f"must not be greater than {PRECEDENCE_MAX}"))
    if precedence == 1 and name != "exempt":
        detail = "only the schema named 'exempt' may have matchingPrecedence 1"
        failures.append(invalid_value(path, precedence, detail))


def _rule(rule: Object, path: str, failures: Failures) -> None:
    if not rule.get("subjects"):
        failures.append(required(f"{path}.subjects", "subjects must contain at least one value"))
    for index, subject in enumerate(rule.get("subjects") or ()):
        _subject(subject, f"{path}.subjects[{index}]", failures)
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        failures.append(required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"))
    for index, resource_rule in enumerate(rule.get("resourceRules") or ()):
        _resource_rule(resource_rule, f"{path}.resourceRules[{index}]", failures)
    for index, url_rule in enumerate(rule.get("nonResourceRules") or ()):
        _url_rule(url_rule, f"{path}.nonResourceRules[{index}]", failures)


def _subject(subject: Object, path: str, failures: Failures) -> None:
    kind = subject.get("kind") or ""
    if kind not in SUBJECTS:
        failures.append(not_supported(f"{path}.kind", kind, sorted(SUBJECTS)))
        return
    for other, field in SUBJECTS.items():
        value, where = subject.get(field), f"{path}.{field}"
        if other != kind:
            if value is not None:
                failures.append(forbidden_field(where, f"{field} is forbidden when subject kind is not '{other}'"))
        elif value is None:
            failures.append(required(where, f"{field} is required when subject kind is '{kind}'"))
        else:
            _subject_name(value, kind, where, failures)


def _subject_name(value: Object, kind: str, path: str, failures: Failures) -> None:
    name, namespace = value.get("name") or "", value.get("namespace") or ""
    if not name:
        failures.append(required(f"{path}.name"))
    elif kind == "ServiceAccount" and name != "*":
        named(names.dns1123_subdomain(name), f"{path}.name", name, failures)
    if kind != "ServiceAccount":
        return
    if not namespace:
        failures.append(required(f"{path}.namespace", "must specify namespace for service account"))
    else:
        named(names.dns1123_label(namespace), f"{path}.namespace", namespace, failures)


def _verbs(verbs: list[str], path: str, failures: Failures) -> None:
    if not verbs:
        failures.append(required(path, "verbs must contain at least one value"))
    elif "*" in verbs:
        _alone(verbs, path, "verbs", failures)
    elif not set(verbs) <= set(VERBS):
        failures.append(not_supported(path, verbs, VERBS))


def _alone(values: list[str], path: str, what: str, failures: Failures) -> None:
    if "*" in values and len(values) > 1:
        failures.append(invalid_value(path, values, f"if '*' is present, must not specify other {what}"))


def _resource_rule(rule: Object, path: str, failures: Failures) -> None:
    _verbs(rule.get("verbs") or [], f"{path}.verbs", failures)
    for field, one, many in (("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")):
        values = rule.get(field) or []
        if not values:
            failures.append(required(f"{path}.{field}", f"resource rules must supply at least one {one}"))
        _alone(values, f"{path}.{field}", many, failures)
    namespaces = rule.get("namespaces") or []
    if not namespaces and not rule.get("clusterScope"):
        detail = "resource rules that are not cluster scoped must supply at least one namespace"
        failures.append(required(f"{path}.namespaces", detail))
    elif "*" in namespaces:
        _alone(namespaces, f"{path}.namespaces", "namespaces", failures)
    else:
        for index, namespace in enumerate(namespaces):
            for message in names.dns1123_label(namespace):
                detail = f"each member of this list must be '*' or a DNS-1123 label; {message}"
                failures.append(invalid_value(f"{path}.namespaces[{index}]", namespace, detail))


def _url_rule(rule: Object, path: str, failures: Failures) -> None:
    _verbs(rule.get("verbs") or [], f"{path}.verbs", failures)
    urls, path = rule.get("nonResourceURLs") or [], f"{path}.nonResourceURLs"
    if not urls:
        failures.append(required(path, "nonResourceURLs must contain at least one value"))
    elif "*" in urls:
        _alone(urls, path, "non-resource URLs", failures)
    else:
        for index, url in enumerate(urls):
            objection = _url_objection(url)
            if objection:
                failures.append(invalid_value(f"{path}[{index}]", url, objection))


def _url_objection(url: str) -> str:
    if not url:
        return "must not be empty"
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    if url.count("*") > 1 or ("*" in url and not url.endswith("/*")):
        return "wildcard can only do suffix matching"
    return ""
