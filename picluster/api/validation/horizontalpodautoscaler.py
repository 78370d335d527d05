"""HorizontalPodAutoscalers. Source: ``pkg/apis/autoscaling/validation``."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_supported, required
from picluster.api.quantity import nanos
from picluster.api.types import Object
from picluster.api.validation import metadata, resource_lists
from picluster.api.validation.common import NOT_NEGATIVE, named, not_negative

Failures = list[FieldError]

PERIOD_MAX_S = 1800
STABILIZATION_MAX_S = 3600
_FIELDS = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_SELECT_POLICIES = ("Disabled", "Max", "Min")
_POLICY_TYPES = ("Percent", "Pods")
_TARGET_TYPES = ("Utilization", "Value", "AverageValue")


def validate(autoscaler: Object) -> Failures:
    failures: Failures = []
    metadata.validate(autoscaler["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _spec(autoscaler.get("spec") or {}, 1, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _spec(new.get("spec") or {}, 0 if (old.get("spec") or {}).get("minReplicas") == 0 else 1, failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    for field in ("currentReplicas", "desiredReplicas"):
        not_negative(new.get("status") or {}, field, "status", failures)
    return failures


def _spec(spec: Object, least: int, failures: Failures) -> None:
    low, high, metrics = spec.get("minReplicas"), spec.get("maxReplicas", 0), spec.get("metrics") or ()
    if low is not None and low < least:
        failures.append(invalid_value("spec.minReplicas", low, f"must be greater than or equal to {least}"))
    if high < 1:
        failures.append(invalid_value("spec.maxReplicas", high, "must be greater than 0"))
    if low is not None and high < low:
        failures.append(invalid_value("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`"))
    _reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef", failures)
    for index, metric in enumerate(metrics):
        _metric(metric, f"spec.metrics[{index}]", failures)
    if low == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        detail = "must specify at least one Object or External metric to support scaling to zero replicas"
        failures.append(forbidden_field("spec.metrics", detail))
    for direction in ("scaleUp", "scaleDown"):
        if (rules := (spec.get("behavior") or {}).get(direction)) is not None:
            _rules(rules, f"spec.behavior.{direction}", failures)


def _reference(reference: Object, path: str, failures: Failures) -> None:
    version = reference.get("apiVersion") or ""
    if version.count("/") > 1:
        failures.append(invalid_value(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}"))
    for field in ("kind", "name"):
        value = reference.get(field)
        if not value:
            failures.append(required(f"{path}.{field}"))
        else:
            named(names.path_segment_name(value), f"{path}.{field}", value, failures)


def _rules(rules: Object, path: str, failures: Failures) -> None:
    window_s, select = rules.get("stabilizationWindowSeconds"), rules.get("selectPolicy")
    where = f"{path}.stabilizationWindowSeconds"
    if window_s is not None and window_s < 0:
        failures.append(invalid_value(where, window_s, "must be greater than or equal to zero"))
    if window_s is not None and window_s > STABILIZATION_MAX_S:
        failures.append(invalid_value(where, window_s, f"must be less than or equal to {STABILIZATION_MAX_S}"))
    if select is not None and select not in _SELECT_POLICIES:
        failures.append(not_supported(f"{path}.selectPolicy", select, _SELECT_POLICIES))
    tolerance = rules.get("tolerance")
    if tolerance is not None and nanos(tolerance) < 0:
        failures.append(invalid_value(f"{path}.tolerance", tolerance, NOT_NEGATIVE))
    policies = rules.get("policies") or ()
    if not policies:
        failures.append(required(f"{path}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies):
        _policy(policy, f"{path}.policies[{index}]", failures)


def _policy(policy: Object, path: str, failures: Failures) -> None:
    if policy.get("type") not in _POLICY_TYPES:
        failures.append(not_supported(f"{path}.type", policy.get("type", ""), _POLICY_TYPES))
    for field in ("value", "periodSeconds"):
        if policy.get(field, 0) <= 0:
            failures.append(invalid_value(f"{path}.{field}", policy.get(field, 0), "must be greater than zero"))
    if policy.get("periodSeconds", 0) > PERIOD_MAX_S:
        detail = f"must be less than or equal to {PERIOD_MAX_S}"
        failures.append(invalid_value(f"{path}.periodSeconds", policy["periodSeconds"], detail))


def _metric(metric: Object, path: str, failures: Failures) -> None:
    kind = metric.get("type") or ""
    expected = _FIELDS.get(kind)
    if not kind:
        failures.append(required(f"{path}.type", "must specify a metric source type"))
    if expected is None:
        failures.append(not_supported(f"{path}.type", kind, sorted(_FIELDS)))
    present = [field for field in _FIELDS.values() if metric.get(field) is not None]
    if present:
        _source(present[0], metric[present[0]], f"{path}.{present[0]}", failures)
    if expected is not None and expected not in present:
        failures.append(required(f"{path}.{expected}", "must populate information for the given metric source"))
    if len(present) != 1:
        for field in present:
            if field != expected:
                failures.append(forbidden_field(f"{path}.{field}", "must populate the given metric source only"))


def _source(field: str, source: Object, path: str, failures: Failures) -> None:
    target = source.get("target") or {}
    value, average = target.get("value"), target.get("averageValue")
    if field == "object":
        _reference(source.get("describedObject") or {}, f"{path}.describedObject", failures)
    if field in ("object", "external", "pods"):
        _identifier(source.get("metric") or {}, f"{path}.metric", failures)
    else:
        _resource(source, field, path, failures)
    _target(target, f"{path}.target", failures)
    where = f"{path}.target.averageValue"
    match field:
        case "object" if value is None and average is None:
            failures.append(required(where, "must set either a target value or averageValue"))
        case "external" if value is None and average is None:
            failures.append(required(where, "must set either a target value for metric or a per-pod target"))
        case "external" if value is not None and average is not None:
            detail = "may not set both a target value for metric and a per-pod target"
            failures.append(forbidden_field(f"{path}.target.value", detail))
        case "pods" if average is None:
            failures.append(required(where, "must specify a positive target averageValue"))
        case "resource" | "containerResource":
            _utilization(target, f"{path}.target", failures)


def _resource(source: Object, field: str, path: str, failures: Failures) -> None:
    name, container = source.get("name"), source.get("container")
    if not name:
        failures.append(required(f"{path}.name", "must specify a resource name"))
    if field == "resource":
        return
    if name:
        resource_lists.container_name(name, f"{path}.name", failures)
    if not container:
        failures.append(required(f"{path}.container", "must specify a container"))
    else:
        named(names.dns1123_label(container), f"{path}.container", container, failures)


def _utilization(target: Object, path: str, failures: Failures) -> None:
    percent, average = target.get("averageUtilization"), target.get("averageValue")
    if percent is None and average is None:
        detail = "must set either a target raw value or a target utilization"
        failures.append(required(f"{path}.averageUtilization", detail))
    if percent is not None and average is not None:
        detail = "may not set both a target raw value and a target utilization"
        failures.append(forbidden_field(f"{path}.averageValue", detail))


def _target(target: Object, path: str, failures: Failures) -> None:
    kind = target.get("type") or ""
    if not kind:
        failures.append(required(f"{path}.type", "must specify a metric target type"))
    if kind not in _TARGET_TYPES:
        failures.append(invalid_value(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue"))
    for field in ("value", "averageValue"):
        amount = target.get(field)
        if amount is not None and nanos(amount) <= 0:
            failures.append(invalid_value(f"{path}.{field}", amount, "must be positive"))
    percent = target.get("averageUtilization")
    if percent is not None and percent < 1:
        failures.append(invalid_value(f"{path}.averageUtilization", percent, "must be greater than 0"))


def _identifier(metric: Object, path: str, failures: Failures) -> None:
    name = metric.get("name")
    if not name:
        failures.append(required(f"{path}.name", "must specify a metric name"))
    else:
        named(names.path_segment_name(name), f"{path}.name", name, failures)
