"""PodDisruptionBudgets. Source: ``pkg/apis/policy/validation``."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, duplicate, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import at_most_100_percent, count_or_percent, label_selector, named, not_negative

Failures = list[FieldError]

EVICTION_POLICIES = ("AlwaysAllow", "IfHealthyBudget")
_COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


def validate(budget: Object) -> Failures:
    failures: Failures = []
    metadata.validate(budget["metadata"], failures, namespaced=True, name=names.path_segment_name)
    _spec(budget.get("spec") or {}, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _spec(new.get("spec") or {}, failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    status = new.get("status") or {}
    conditions(status.get("conditions") or [], "status.conditions", failures)
    for field in _COUNTS:
        not_negative(status, field, "status", failures)
    return failures


def _spec(spec: Object, failures: Failures) -> None:
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        failures.append(invalid_value("spec", spec, "minAvailable and maxUnavailable cannot be both set"))
    for field in ("minAvailable", "maxUnavailable"):
        if (value := spec.get(field)) is not None:
            count_or_percent(value, f"spec.{field}", failures)
            at_most_100_percent(value, f"spec.{field}", failures)
    if (selector := spec.get("selector")) is not None:
        label_selector(selector, "spec.selector", failures)
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in EVICTION_POLICIES:
        failures.append(not_supported("spec.unhealthyPodEvictionPolicy", policy, EVICTION_POLICIES))


def conditions(listed: list[Object], path: str, failures: Failures) -> None:
    """``metav1.Condition``s (``ValidateConditions``)."""
    seen: dict[str, int] = {}
    for index, condition in enumerate(listed):
        where, kind = f"{path}[{index}]", condition.get("type", "")
        if kind in seen:
            failures.append(duplicate(f"{where}.type", kind))
        seen.setdefault(kind, index)
        if not kind:
            failures.append(required(f"{where}.type", "must be set"))
        else:
            named(names.qualified_name(kind), f"{where}.type", kind, failures)
        if condition.get("status") not in ("True", "False", "Unknown"):
            choices = ("False", "True", "Unknown")
            failures.append(not_supported(f"{where}.status", condition.get("status", ""), choices))
        not_negative(condition, "observedGeneration", where, failures)
        if not condition.get("lastTransitionTime"):
            failures.append(required(f"{where}.lastTransitionTime", "must be set"))
        if not condition.get("reason"):
            failures.append(required(f"{where}.reason", "must be set"))
