"""PersistentVolumeClaims: nearly nothing of a spec changes. Source: ``ValidatePersistentVolumeClaimUpdate``."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_supported
from picluster.api.quantity import nanos
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.claims import claim_spec
from picluster.api.validation.common import named
from picluster.api.validation.resource_lists import is_native

Failures = list[FieldError]

_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_RESIZE_STATES = (
    "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizePending",
    "NodeResizeInfeasible",
)  # fmt: skip


def validate(claim: Object) -> Failures:
    failures: Failures = []
    metadata.validate(claim["metadata"], failures, namespaced=True, name=metadata.subdomain)
    claim_spec(claim.get("spec") or {}, "spec", failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    spec, old_spec = new["spec"], old["spec"]
    claim_spec(spec, "spec", failures)
    beta, old_beta = (obj["metadata"].get("annotations", {}).get(_BETA_CLASS) for obj in (new, old))
    if old_beta != beta and not (beta is None and spec.get("storageClassName") == old_beta):
        where = f"metadata.annotations[{_BETA_CLASS}]"
        failures.append(invalid_value(where, beta or "", metadata.IMMUTABLE))
    if _fixed(spec, old, old_beta) != _fixed(old_spec, old, old_beta):
        detail = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        failures.append(forbidden_field("spec", detail))
    _size(spec, old, failures)
    metadata.immutable(spec.get("volumeMode"), old_spec.get("volumeMode"), "volumeMode", failures)
    if old_spec.get("volumeAttributesClassName") is not None:
        _attributes_class(spec.get("volumeAttributesClassName"), failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    status = new.get("status") or {}
    for name, amount in (status.get("capacity") or {}).items():
        _amount(amount, f"status.capacity[{name}]", failures)
    path = "status.allocatedResourceStatus"
    for name, state in (status.get("allocatedResourceStatuses") or {}).items():
        _resource(name, path, failures)
        if state not in _RESIZE_STATES:
            failures.append(not_supported(path, name, sorted(_RESIZE_STATES)))
    for name, amount in (status.get("allocatedResources") or {}).items():
        if _resource(name, "status.allocatedResources", failures):
            _amount(amount, f"status.allocatedResources[{name}]", failures)
    return failures


def _fixed(spec: Object, old: Object, old_beta: str | None) -> Object:
    """What an update of the claim ``old`` may not change of a spec."""
    was = old["spec"]
    free = {"volumeAttributesClassName"}
    if not was.get("volumeName"):
        free.add("volumeName")
    if was.get("storageClassName") is None and old_beta in (None, spec.get("storageClassName")):
        free.add("storageClassName")
    fixed = {field: value for field, value in spec.items() if field not in free}
    if (old.get("status") or {}).get("phase") == "Bound" and (fixed.get("resources") or {}).get("requests"):
        requests = {name: amount for name, amount in fixed["resources"]["requests"].items() if name != "storage"}
        fixed["resources"] = {**fixed["resources"], "requests": requests}
    return fixed


def _size(spec: Object, old: Object, failures: Failures) -> None:
    """A claim may shrink again while it has not grown yet, but never to or below what it has."""
    size, old_size = _storage(spec.get("resources")), _storage(old["spec"].get("resources"))
    capacity = nanos(((old.get("status") or {}).get("capacity") or {}).get("storage", "0"))
    if size < old_size and size <= capacity:
        detail = "field can not be less than status.capacity"
        failures.append(forbidden_field("spec.resources.requests.storage", detail))


def _storage(resources: Object | None) -> int:
    return nanos(((resources or {}).get("requests") or {}).get("storage", "0"))


def _attributes_class(name: str | None, failures: Failures) -> None:
    path = "spec.volumeAttributesClassName"
    if name is None:
        failures.append(forbidden_field(path, "update from non-nil value to nil is forbidden"))
    elif not name:
        failures.append(forbidden_field(path, "update from non-nil value to an empty string is forbidden"))


def _amount(amount: str, path: str, failures: Failures) -> None:
    if nanos(amount) < 0:
        failures.append(invalid_value(path, amount, "must be a valid resource quantity"))


def _resource(name: str, path: str, failures: Failures) -> bool:
    messages = names.qualified_name(name)
    named(messages, path, name, failures)
    if messages:
        return False
    if is_native(name) and name != "storage":
        failures.append(not_supported(path, name, ("storage",)))
        return False
    return True
