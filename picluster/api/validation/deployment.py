"""Deployments."""

from __future__ import annotations

from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import metadata, workloads
from picluster.api.validation.common import at_most_100_percent, count_or_percent, is_zero, not_negative

Failures = list[FieldError]

STRATEGIES = ("Recreate", "RollingUpdate")


def validate(deployment: Object) -> Failures:
    failures: Failures = []
    metadata.validate(deployment["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _spec(deployment, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    if new.get("spec") != old.get("spec"):
        _spec(new, failures)
        metadata.immutable(new["spec"].get("selector"), old["spec"].get("selector"), "spec.selector", failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    status, old_status = new.get("status") or {}, old.get("status") or {}
    workloads.counts(status, ("updatedReplicas", "readyReplicas", "availableReplicas"), failures)
    not_negative(status, "unavailableReplicas", "status", failures)
    not_negative(status, "collisionCount", "status", failures)
    workloads.not_decremented(status, old_status, "collisionCount", failures)
    return failures


def _spec(deployment: Object, failures: Failures) -> None:
    spec = deployment.get("spec") or {}
    for field in ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        not_negative(spec, field, "spec", failures)
    workloads.selector_and_template(spec, failures)
    _strategy(spec.get("strategy") or {}, failures)
    deadline_s = spec.get("progressDeadlineSeconds")
    if deadline_s is not None and deadline_s <= spec.get("minReadySeconds", 0):
        detail = "must be greater than minReadySeconds"
        failures.append(invalid_value("spec.progressDeadlineSeconds", deadline_s, detail))


def _strategy(strategy: Object, failures: Failures) -> None:
    path, rolling = "spec.strategy", strategy.get("rollingUpdate")
    if strategy.get("type") not in STRATEGIES:
        failures.append(not_supported(path, strategy, STRATEGIES))
    if strategy.get("type") == "Recreate" and rolling is not None:
        detail = "may not be specified when strategy `type` is 'Recreate'"
        failures.append(forbidden_field(f"{path}.rollingUpdate", detail))
    if strategy.get("type") != "RollingUpdate":
        return
    if rolling is None:
        failures.append(required(f"{path}.rollingUpdate", "this should be defaulted and never be nil"))
        return
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    count_or_percent(unavailable, f"{path}.rollingUpdate.maxUnavailable", failures)
    count_or_percent(surge, f"{path}.rollingUpdate.maxSurge", failures)
    if is_zero(unavailable) and is_zero(surge):
        where = f"{path}.rollingUpdate.maxUnavailable"
        failures.append(invalid_value(where, unavailable, "may not be 0 when `maxSurge` is 0"))
    at_most_100_percent(unavailable, f"{path}.rollingUpdate.maxUnavailable", failures)
