"""PriorityClasses: names that begin with ``system-`` are the system's. Source: ``pkg/apis/scheduling/validation``."""

from __future__ import annotations

from picluster.api.errors import FieldError, forbidden_field
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import one_of

Failures = list[FieldError]

USER_PRIORITY_MAX = 1_000_000_000
SYSTEM_CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")


def validate(priorityclass: Object) -> Failures:
    failures: Failures = []
    metadata.validate(priorityclass["metadata"], failures, namespaced=False, name=metadata.subdomain)
    name, value = priorityclass["metadata"].get("name", ""), priorityclass.get("value", 0)
    if name.startswith("system-"):
        if objection := _not_system(name, priorityclass):
            detail = f"priority class names with 'system-' prefix are reserved for system use only. error: {objection}"
            failures.append(forbidden_field("metadata.name", detail))
    elif value > USER_PRIORITY_MAX:
        detail = f"maximum allowed value of a user defined priority is {USER_PRIORITY_MAX}"
        failures.append(forbidden_field("value", detail))
    if (policy := priorityclass.get("preemptionPolicy")) is not None:
        one_of(policy, PREEMPTION_POLICIES, "preemptionPolicy", failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    if new.get("value", 0) != old.get("value", 0):
        failures.append(forbidden_field("value", "may not be changed in an update."))
    policy, old_policy = new.get("preemptionPolicy"), old.get("preemptionPolicy")
    metadata.immutable(policy, old_policy, "preemptionPolicy", failures)
    return failures


def _not_system(name: str, priorityclass: Object) -> str:
    """Why this is not one of the system's own classes; empty if it is."""
    if name not in SYSTEM_CLASSES:
        return f"{name} is not a known system priority class"
    if priorityclass.get("value", 0) != SYSTEM_CLASSES[name]:
        return f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name]}"
    return f"globalDefault of {name} PriorityClass must be false" if priorityclass.get("globalDefault") else ""
