"""What volumes, claims and claims of templates have in common."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_supported, required
from picluster.api.quantity import nanos
from picluster.api.types import Object
from picluster.api.validation.common import label_selector, named

Failures = list[FieldError]

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")


def access_modes(spec: Object, path: str, failures: Failures, *, when_none: str) -> None:
    """``when_none`` is what is said of an empty list."""
    modes = spec.get("accessModes") or ()
    where = f"{path}.accessModes"
    if not modes:
        failures.append(required(where, when_none))
    for mode in modes:
        if mode not in ACCESS_MODES:
            failures.append(not_supported(where, mode, ACCESS_MODES))
    if "ReadWriteOncePod" in modes and any(mode in ACCESS_MODES[:-1] for mode in modes):
        failures.append(forbidden_field(where, "may not use ReadWriteOncePod with other access modes"))


def class_name(name: str | None, path: str, failures: Failures) -> None:
    if name:
        named(names.dns1123_subdomain(name), path, name, failures)


def volume_mode(mode: str | None, path: str, failures: Failures) -> None:
    if mode is not None and mode not in VOLUME_MODES:
        failures.append(not_supported(path, mode, VOLUME_MODES))


def positive(amount: str, path: str, failures: Failures) -> None:
    if nanos(amount) <= 0:
        failures.append(invalid_value(path, amount, "must be greater than zero"))


def claim_spec(spec: Object, path: str, failures: Failures) -> None:
    """A claim's spec (``ValidatePersistentVolumeClaimSpec``)."""
    access_modes(spec, path, failures, when_none="at least 1 access mode is required")
    if (selector := spec.get("selector")) is not None:
        label_selector(selector, f"{path}.selector", failures)
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        failures.append(required(f"{path}.resources[storage]"))
    else:
        positive(storage, f"{path}.resources[storage]", failures)
    class_name(spec.get("storageClassName"), f"{path}.storageClassName", failures)
    volume_mode(spec.get("volumeMode"), f"{path}.volumeMode", failures)
    _data_sources(spec, path, failures)
    class_name(spec.get("volumeAttributesClassName"), f"{path}.volumeAttributesClassName", failures)


def _data_sources(spec: Object, path: str, failures: Failures) -> None:
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    for field, value in (("dataSource", source), ("dataSourceRef", reference)):
        if value is not None:
            _data_source(value, f"{path}.{field}", failures)
    if source is None or reference is None:
        return
    if reference.get("namespace"):
        detail = "may not be specified when dataSourceRef.namespace is specified"
        failures.append(invalid_value(path, f"{path}.dataSource", detail))
    elif any(source.get(field) != reference.get(field) for field in ("apiGroup", "kind", "name")):
        failures.append(invalid_value(path, f"{path}.dataSource", "must match dataSourceRef"))


def _data_source(source: Object, path: str, failures: Failures) -> None:
    for field in ("name", "kind"):
        if not source.get(field):
            failures.append(required(f"{path}.{field}"))
    group, kind = source.get("apiGroup"), source.get("kind", "")
    if group:
        named(names.dns1123_subdomain(group), f"{path}.apiGroup", group, failures)
    elif kind != "PersistentVolumeClaim":
        detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        failures.append(invalid_value(path, kind, detail))
    if namespace := source.get("namespace"):
        named(names.dns1123_label(namespace), f"{path}.namespace", namespace, failures)
