"""What webhooks and admission policies have in common. Source: ``pkg/apis/admissionregistration/validation``."""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api import names
from picluster.api.errors import (
    FieldError,
    duplicate,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
    too_many,
)
from picluster.api.types import Object
from picluster.api.validation.common import label_selector, named

Failures = list[FieldError]

FAILURE_POLICIES = ("Fail", "Ignore")
MATCH_POLICIES = ("Equivalent", "Exact")
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
SCOPES = ("*", "Cluster", "Namespaced")
PARAM_ACTIONS = ("Deny", "Allow")
MATCH_CONDITIONS_MAX = 64


def choice(obj: Object, field: str, choices: tuple[str, ...], path: str, failures: Failures) -> None:
    """A field that may be left out, but is one of ``choices`` otherwise."""
    value = obj.get(field)
    if value is not None and value not in choices:
        failures.append(not_supported(f"{path}.{field}", value, choices))


def rule(found: Object, path: str, failures: Failures) -> None:
    """A ``RuleWithOperations``."""
    operations = found.get("operations") or []
    if not operations:
        failures.append(required(f"{path}.operations"))
    _alone(operations, f"{path}.operations", "operations", failures)
    for index, operation in enumerate(operations):
        if operation not in OPERATIONS:
            failures.append(not_supported(f"{path}.operations[{index}]", operation, OPERATIONS))
    for field, what in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = found.get(field) or []
        if not values:
            failures.append(required(f"{path}.{field}"))
        _alone(values, f"{path}.{field}", what, failures)
    for index, version in enumerate(found.get("apiVersions") or ()):
        if not version:
            failures.append(required(f"{path}.apiVersions[{index}]"))
    _resources(found.get("resources") or [], f"{path}.resources", failures)
    choice(found, "scope", SCOPES, path, failures)


def _alone(values: list[str], path: str, what: str, failures: Failures) -> None:
    if "*" in values and len(values) > 1:
        failures.append(invalid_value(path, values, f"if '*' is present, must not specify other {what}"))


def _resources(resources: list[str], path: str, failures: Failures) -> None:
    if not resources:
        failures.append(required(path))
    all_of: set[str] = set()
    in_all: set[str] = set()
    plain = False
    for index, entry in enumerate(resources):
        where, (resource, slash, sub) = f"{path}[{index}]", entry.partition("/")
        if not entry:
            failures.append(required(where))
        if not slash:
            plain = plain or entry not in ("", "*")
            continue
        if resource in all_of:
            failures.append(invalid_value(where, entry, f"if '{resource}/*' is present, must not specify {entry}"))
        if sub in in_all:
            failures.append(invalid_value(where, entry, f"if '*/{sub}' is present, must not specify {entry}"))
        if sub == "*":
            all_of.add(resource)
        if resource == "*":
            in_all.add(sub)
    if len(resources) > 1 and "*/*" in resources:
        failures.append(invalid_value(path, resources, "if '*/*' is present, must not specify other resources"))
    if "*" in resources and plain:
        detail = "if '*' is present, must not specify other resources without subresources"
        failures.append(invalid_value(path, resources, detail))


def match_resources(match: Object, path: str, failures: Failures) -> None:
    policy = match.get("matchPolicy")
    if policy is None:
        failures.append(required(f"{path}.matchPolicy"))
    choice(match, "matchPolicy", MATCH_POLICIES, path, failures)
    for field in ("namespaceSelector", "objectSelector"):
        if match.get(field) is None:
            failures.append(required(f"{path}.{field}"))
        else:
            label_selector(match[field], f"{path}.{field}", failures)
    for field in ("resourceRules", "excludeResourceRules"):
        for index, named_rule in enumerate(match.get(field) or ()):
            _named_rule(named_rule, f"{path}.{field}[{index}]", failures)


def _named_rule(found: Object, path: str, failures: Failures) -> None:
    listed = found.get("resourceNames") or []
    for index, name in enumerate(listed):
        where = f"{path}.resourceNames[{index}]"
        named(names.path_segment_name(name), where, name, failures)
        if name in listed[:index]:
            failures.append(duplicate(where, name))
    rule(found, path, failures)


def match_conditions(found: Iterable[Object] | None, path: str, failures: Failures, *, params: bool = False) -> None:
    listed = list(found or ())
    if len(listed) > MATCH_CONDITIONS_MAX:
        failures.append(too_many(path, len(listed), MATCH_CONDITIONS_MAX))
    seen: set[str] = set()
    for index, condition in enumerate(listed):
        where, name = f"{path}[{index}]", condition.get("name") or ""
        source = condition.get("expression") or ""
        if not source.strip():
            failures.append(required(f"{where}.expression"))
        else:
            check_match_condition(source, f"{where}.expression", failures, params=params)
        if not name:
            failures.append(required(f"{where}.name"))
            continue
        named(names.qualified_name(name), f"{where}.name", name, failures)
        if name in seen:
            failures.append(duplicate(f"{where}.name", name))
        seen.add(name)


def check_match_condition(source: str, path: str, failures: Failures, *, params: bool) -> None:
    from picluster.api.cel import BOOL, admission
    from picluster.api.validation.expressions import check

    check(source, admission.variables(params=params), BOOL, path, failures)


def param_kind(kind: Object, path: str, failures: Failures) -> None:
    api_version, name = kind.get("apiVersion") or "", kind.get("kind") or ""
    if not api_version:
        failures.append(required(f"{path}.apiVersion"))
    elif api_version.count("/") > 1:
        detail = f"unexpected GroupVersion string: {api_version}"
        failures.append(invalid_value(f"{path}.apiVersion", api_version, detail))
    else:
        _group_version(api_version, f"{path}.apiVersion", failures)
    if not name:
        failures.append(required(f"{path}.kind"))
    elif messages := names.dns1035_label(name.lower()):
        detail = f"may have mixed case, but should otherwise match: {','.join(messages)}"
        failures.append(invalid_value(f"{path}.kind", name, detail))


def _group_version(api_version: str, path: str, failures: Failures) -> None:
    group, _, version = api_version.rpartition("/")
    if group and (messages := names.dns1123_subdomain(group)):
        failures.append(invalid_value(path, group, ",".join(messages)))
    if not version:
        failures.append(invalid_value(path, api_version, "version must be specified"))
    elif messages := names.dns1035_label(version):
        failures.append(invalid_value(path, version, ",".join(messages)))


def param_ref(reference: Object, path: str, failures: Failures) -> None:
    name, selector, action = (reference.get(field) for field in ("name", "selector", "parameterNotFoundAction"))
    both = "name and selector are mutually exclusive"
    if name:
        named(names.path_segment_name(name), f"{path}.name", name, failures)
        if selector is not None:
            failures.append(forbidden_field(f"{path}.name", both))
    if selector is not None:
        label_selector(selector, f"{path}.selector", failures)
        if name:
            failures.append(forbidden_field(f"{path}.selector", both))
    if not name and selector is None:
        failures.append(required(path, "one of name or selector must be specified"))
    if not action:
        failures.append(required(f"{path}.parameterNotFoundAction"))
    elif action not in PARAM_ACTIONS:
        failures.append(not_supported(f"{path}.parameterNotFoundAction", action, PARAM_ACTIONS))
