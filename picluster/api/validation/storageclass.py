"""StorageClasses. Source: ``pkg/apis/storage/validation``."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, duplicate, forbidden_field, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import metadata, storage
from picluster.api.validation.common import named, one_of

Failures = list[FieldError]

RECLAIM_POLICIES = ("Delete", "Retain")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")


def validate(storageclass: Object) -> Failures:
    failures: Failures = []
    metadata.validate(storageclass["metadata"], failures, namespaced=False, name=metadata.subdomain)
    storage.provisioner(storageclass.get("provisioner"), "provisioner", failures)
    storage.parameters(storageclass.get("parameters"), "parameters", failures, may_be_empty=True)
    policy = storageclass.get("reclaimPolicy")
    if policy and policy not in RECLAIM_POLICIES:
        failures.append(not_supported("reclaimPolicy", policy, RECLAIM_POLICIES))
    one_of(storageclass.get("volumeBindingMode"), BINDING_MODES, "volumeBindingMode", failures)
    _topologies(storageclass.get("allowedTopologies") or [], failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    for field in ("parameters", "provisioner", "reclaimPolicy"):
        if (new.get(field) or None) != (old.get(field) or None):
            failures.append(forbidden_field(field, f"updates to {field} are forbidden."))
    mode = new.get("volumeBindingMode")
    metadata.immutable(mode, old.get("volumeBindingMode"), "volumeBindingMode", failures)
    return failures


def _topologies(terms: list[Object], failures: Failures) -> None:
    seen: list[dict[str, frozenset[str]]] = []
    for index, term in enumerate(terms):
        path = f"allowedTopologies[{index}].matchLabelExpressions"
        wanted: dict[str, frozenset[str]] = {}
        for place, requirement in enumerate(term.get("matchLabelExpressions") or ()):
            key = requirement.get("key") or ""
            values = _requirement(requirement, f"{path}[{place}]", failures)
            if key in wanted:
                failures.append(duplicate(f"{path}[{place}].key", key))
            wanted[key] = values
        if wanted in seen:
            failures.append(duplicate(path, ""))
        seen.append(wanted)


def _requirement(requirement: Object, path: str, failures: Failures) -> frozenset[str]:
    key, values = requirement.get("key") or "", requirement.get("values") or []
    if not values:
        failures.append(required(f"{path}.values"))
    for index, value in enumerate(values):
        if value in values[:index]:
            failures.append(duplicate(f"{path}.values[{index}]", value))
    named(names.qualified_name(key), f"{path}.key", key, failures)
    return frozenset(values)
