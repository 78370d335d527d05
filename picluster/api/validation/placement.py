"""Where a pod may run: affinity and topology spread."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, duplicate, forbidden_field, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation.common import label_selector, named

Failures = list[FieldError]

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_BAD_OPERATOR = "not a valid selector operator"


def affinity(rules: Object, path: str, failures: Failures) -> None:
    if node := rules.get("nodeAffinity"):
        _node_affinity(node, f"{path}.nodeAffinity", failures)
    for kind in ("podAffinity", "podAntiAffinity"):
        if pods := rules.get(kind):
            _pod_affinity(pods, f"{path}.{kind}", failures)


def topology_spread(constraints: list[Object], path: str, failures: Failures) -> None:
    seen: set[tuple[str, str]] = set()
    for index, constraint in enumerate(constraints):
        get, where = constraint.get, f"{path}[{index}]"
        key, when = get("topologyKey", ""), get("whenUnsatisfiable", "")
        if get("maxSkew", 0) <= 0:
            failures.append(invalid_value(f"{where}.maxSkew", get("maxSkew", 0), "must be greater than zero"))
        if not key:
            failures.append(required(f"{where}.topologyKey", "can not be empty"))
        named(names.qualified_name(key), f"{where}.topologyKey", key, failures)
        if when not in ("DoNotSchedule", "ScheduleAnyway"):
            choices = ("DoNotSchedule", "ScheduleAnyway")
            failures.append(not_supported(f"{where}.whenUnsatisfiable", when, choices))
        if (key, when) in seen:
            failures.append(duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {when}}}"))
        seen.add((key, when))
        _min_domains(get("minDomains"), when, f"{where}.minDomains", failures)
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if get(field) is not None and get(field) not in ("Honor", "Ignore"):
                failures.append(not_supported(f"{where}.{field}", get(field), ("Honor", "Ignore")))
        _label_keys(constraint, "matchLabelKeys", where, failures)
        _doubled_keys(constraint, f"{where}.matchLabelKeys", failures)
        if selector := get("labelSelector"):
            label_selector(selector, f"{where}.labelSelector", failures)


def node_selector(selector: Object, path: str, failures: Failures) -> None:
    """A ``v1.NodeSelector``, as required node affinity, volumes and devices have it."""
    terms = selector.get("nodeSelectorTerms") or []
    if not terms:
        detail = "must have at least one node selector term"
        failures.append(required(f"{path}.nodeSelectorTerms", detail))
    node_selector_terms(terms, f"{path}.nodeSelectorTerms", failures)


def node_selector_terms(terms: list[Object], path: str, failures: Failures) -> None:
    for index, term in enumerate(terms):
        _term(term, f"{path}[{index}]", failures, values=True)


def _min_domains(domains: int | None, when: str, path: str, failures: Failures) -> None:
    if domains is None:
        return
    if domains <= 0:
        failures.append(invalid_value(path, domains, "must be greater than 0"))
    if when != "DoNotSchedule":
        detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
        failures.append(invalid_value(path, domains, detail))


def _node_affinity(rules: Object, path: str, failures: Failures) -> None:
    if (selector := rules.get(_REQUIRED)) is not None:
        node_selector(selector, f"{path}.{_REQUIRED}", failures)
    for index, preference in enumerate(rules.get(_PREFERRED) or ()):
        where = f"{path}.{_PREFERRED}[{index}]"
        _weight(preference.get("weight", 0), f"{where}.weight", failures)
        _term(preference.get("preference") or {}, f"{where}.preference", failures, values=False)


def _term(term: Object, path: str, failures: Failures, *, values: bool) -> None:
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        _node_expression(expression, f"{path}.matchExpressions[{index}]", failures, values=values)
    for index, expression in enumerate(term.get("matchFields") or ()):
        _node_field(expression, f"{path}.matchFields[{index}]", failures)


def _node_expression(expression: Object, path: str, failures: Failures, *, values: bool) -> None:
    operator, listed = expression.get("operator", ""), expression.get("values") or ()
    if operator in ("In", "NotIn"):
        if not listed:
            failures.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if listed:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            failures.append(forbidden_field(f"{path}.values", detail))
    elif operator in ("Gt", "Lt"):
        if len(listed) != 1:
            detail = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            failures.append(required(f"{path}.values", detail))
    else:
        failures.append(invalid_value(f"{path}.operator", operator, _BAD_OPERATOR))
    key = expression.get("key", "")
    named(names.qualified_name(key), f"{path}.key", key, failures)
    if values:
        for place, value in enumerate(listed):
            named(names.label_value(value), f"{path}.values[{place}]", value, failures)


def _node_field(expression: Object, path: str, failures: Failures) -> None:
    operator, listed = expression.get("operator", ""), expression.get("values") or ()
    if operator not in ("In", "NotIn"):
        failures.append(invalid_value(f"{path}.operator", operator, _BAD_OPERATOR))
    elif len(listed) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        failures.append(required(f"{path}.values", detail))
    if expression.get("key") != "metadata.name":
        failures.append(invalid_value(f"{path}.key", expression.get("key", ""), "not a valid field selector key"))
        return
    for place, value in enumerate(listed):
        named(names.dns1123_subdomain(value), f"{path}.values[{place}]", value, failures)


def _pod_affinity(rules: Object, path: str, failures: Failures) -> None:
    for index, term in enumerate(rules.get(_REQUIRED) or ()):
        _pod_term(term, f"{path}.{_REQUIRED}[{index}]", failures)
    for index, weighted in enumerate(rules.get(_PREFERRED) or ()):
        where = f"{path}.{_PREFERRED}[{index}]"
        _weight(weighted.get("weight", 0), f"{where}.weight", failures)
        _pod_term(weighted.get("podAffinityTerm") or {}, f"{where}.podAffinityTerm", failures)


def _label_keys(term: Object, field: str, path: str, failures: Failures) -> None:
    keys = term.get(field) or ()
    if keys and term.get("labelSelector") is None:
        failures.append(forbidden_field(f"{path}.{field}", "must not be specified when labelSelector is not set"))
        return
    for index, key in enumerate(keys):
        named(names.qualified_name(key), f"{path}.{field}[{index}]", key, failures)


def _doubled_keys(term: Object, path: str, failures: Failures) -> None:
    """A pod's keys are in the selector already (``strategy.labelkeys``): one that is there twice was there before."""
    places = {key: index for index, key in enumerate(term.get("matchLabelKeys") or ())}
    selector = term.get("labelSelector") or {}
    seen = set(selector.get("matchLabels") or ())
    for expression in selector.get("matchExpressions") or ():
        key = expression.get("key", "")
        if key in places and key in seen:
            detail = "exists in both matchLabelKeys and labelSelector"
            failures.append(invalid_value(f"{path}[{places[key]}]", key, detail))
        seen.add(key)


def _pod_term(term: Object, path: str, failures: Failures) -> None:
    for field in ("matchLabelKeys", "mismatchLabelKeys"):
        _label_keys(term, field, path, failures)
    _doubled_keys(term, path, failures)  # sic: Kubernetes leaves the field out of this path
    for index, key in enumerate(term.get("matchLabelKeys") or ()):
        if key in (term.get("mismatchLabelKeys") or ()):
            detail = "exists in both matchLabelKeys and mismatchLabelKeys"
            failures.append(invalid_value(f"{path}.matchLabelKeys[{index}]", key, detail))
    for field in ("labelSelector", "namespaceSelector"):
        if selector := term.get(field):
            label_selector(selector, f"{path}.{field}", failures)
    for namespace in term.get("namespaces") or ():
        named(names.dns1123_label(namespace), f"{path}.namespace", namespace, failures)
    key = term.get("topologyKey", "")
    if not key:
        failures.append(required(f"{path}.topologyKey", "can not be empty"))
    named(names.qualified_name(key), f"{path}.topologyKey", key, failures)


def _weight(weight: int, path: str, failures: Failures) -> None:
    if not 1 <= weight <= 100:
        failures.append(invalid_value(path, weight, "must be in the range 1-100"))
