"""PodDisruptionBudgets. Source: ``pkg/apis/policy/validation``."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, invalid_value, not_supported
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import at_most_100_percent, count_or_percent, label_selector, not_negative
from picluster.api.validation.conditions import conditions

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
