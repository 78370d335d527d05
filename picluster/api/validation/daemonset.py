"""DaemonSets. Source: ``ValidateDaemonSet`` in ``pkg/apis/apps/validation``."""

from __future__ import annotations

from picluster.api.errors import FieldError, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import metadata, workloads
from picluster.api.validation.common import at_most_100_percent, count_or_percent, is_zero, not_negative

Failures = list[FieldError]

_COUNTS = (
    "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "observedGeneration",
    "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount",
)  # fmt: skip


def validate(daemonset: Object) -> Failures:
    failures: Failures = []
    metadata.validate(daemonset["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _spec(daemonset.get("spec") or {}, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    if new.get("spec") != old.get("spec"):
        _spec(new["spec"], failures)
        metadata.immutable(new["spec"].get("selector"), old["spec"].get("selector"), "spec.selector", failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    status, old_status = new.get("status") or {}, old.get("status") or {}
    for field in _COUNTS:
        not_negative(status, field, "status", failures)
    workloads.not_decremented(status, old_status, "collisionCount", failures)
    return failures


def _spec(spec: Object, failures: Failures) -> None:
    workloads.selector_and_template(spec, failures, selector_of="daemonset", template_of="DaemonSet")
    not_negative(spec, "minReadySeconds", "spec", failures)
    not_negative(spec, "revisionHistoryLimit", "spec", failures)
    _strategy(spec.get("updateStrategy") or {}, failures)


def _strategy(strategy: Object, failures: Failures) -> None:
    path, kind = "spec.updateStrategy", strategy.get("type")
    if kind == "OnDelete":
        return
    if kind != "RollingUpdate":
        failures.append(not_supported(path, strategy, ("RollingUpdate", "OnDelete")))
    elif strategy.get("rollingUpdate") is None:
        failures.append(required(f"{path}.rollingUpdate"))
    else:
        _rolling(strategy["rollingUpdate"], f"{path}.rollingUpdate", failures)


def _rolling(rolling: Object, path: str, failures: Failures) -> None:
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    for field, value in (("maxUnavailable", unavailable), ("maxSurge", surge)):
        count_or_percent(value, f"{path}.{field}", failures)
        at_most_100_percent(value, f"{path}.{field}", failures)
    if not is_zero(unavailable) and not is_zero(surge):
        detail = "may not be set when maxUnavailable is non-zero"
        failures.append(invalid_value(f"{path}.maxSurge", surge, detail))
    elif is_zero(unavailable) and is_zero(surge):
        failures.append(required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
