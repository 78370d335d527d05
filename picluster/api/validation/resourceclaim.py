"""ResourceClaims: the spec never changes, the status says what was allocated and to whom."""

from __future__ import annotations

from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_supported, required, too_long, too_many
from picluster.api.types import Object
from picluster.api.validation import devices, metadata, placement
from picluster.api.validation.common import cidr
from picluster.api.validation.conditions import conditions

Failures = list[FieldError]

RESERVED_MAX = 256
CONDITIONS_MAX = 8
IPS_MAX = 16
INTERFACE_NAME_MAX_BYTES = 256
HARDWARE_ADDRESS_MAX_BYTES = 128


def validate(claim: Object) -> Failures:
    failures: Failures = []
    metadata.validate(claim["metadata"], failures, namespaced=True, name=metadata.subdomain)
    devices.claim((claim.get("spec") or {}).get("devices") or {}, "spec.devices", failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    devices.immutable_spec(new, old, failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    status, old_status = new.get("status") or {}, old.get("status") or {}
    _reserved(status, old_status, bool(new["metadata"].get("deletionTimestamp")), failures)
    allocation, before = status.get("allocation"), old_status.get("allocation")
    _devices(status, allocation or {}, failures)
    if allocation is not None and before is not None:
        metadata.immutable(allocation, before, "status.allocation", failures)
    elif allocation is not None:
        _allocation(allocation, new, failures)
    return failures


def _reserved(status: Object, old: Object, deleted: bool, failures: Failures) -> None:
    reserved, path = status.get("reservedFor") or [], "status.reservedFor"
    devices.each(reserved, _consumer, path, failures, items_max=RESERVED_MAX, key=lambda item: item.get("uid"))
    if not reserved:
        return
    if status.get("allocation") is None:
        failures.append(forbidden_field(path, "may not be specified when `allocated` is not set"))
    elif deleted and any(consumer not in (old.get("reservedFor") or ()) for consumer in reserved):
        detail = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        failures.append(forbidden_field(path, detail))


def _consumer(consumer: Object, path: str, failures: Failures) -> None:
    for field in ("resource", "name", "uid"):
        if not consumer.get(field):
            failures.append(required(f"{path}.{field}"))


def _identity(device: Object) -> str:
    return "/".join(filter(None, (device.get(field) for field in ("driver", "pool", "device", "shareID"))))


def _devices(status: Object, allocation: Object, failures: Failures) -> None:
    allocated = {_identity(result) for result in (allocation.get("devices") or {}).get("results") or ()}

    def check(device: Object, path: str, found: Failures) -> None:
        devices.driver(device.get("driver"), f"{path}.driver", found)
        devices.pool(device.get("pool"), f"{path}.pool", found)
        devices.label(device.get("device"), f"{path}.device", found)
        if _identity(device) not in allocated:
            found.append(invalid_value(path, _identity(device), "must be an allocated device in the claim"))
        listed = device.get("conditions") or []
        if len(listed) > CONDITIONS_MAX:
            found.append(too_many(f"{path}.conditions", len(listed), CONDITIONS_MAX))
        conditions(listed, f"{path}.conditions", found)
        if device.get("data"):
            devices.raw(device["data"], f"{path}.data", found)
        _network(device.get("networkData") or {}, f"{path}.networkData", found)

    reported = status.get("devices") or []
    devices.each(reported, check, "status.devices", failures, items_max=max(len(reported), 1), key=_identity)


def _network(data: Object, path: str, failures: Failures) -> None:
    for field, limit in (("interfaceName", INTERFACE_NAME_MAX_BYTES), ("hardwareAddress", HARDWARE_ADDRESS_MAX_BYTES)):
        if len(data.get(field) or "") > limit:
            failures.append(too_long(f"{path}.{field}", limit))
    devices.each(data.get("ips") or [], cidr, f"{path}.ips", failures, items_max=IPS_MAX, key=str)


def _allocation(allocation: Object, claim: Object, failures: Failures) -> None:
    known = devices.request_names((claim.get("spec") or {}).get("devices") or {})
    path, found = "status.allocation.devices", allocation.get("devices") or {}

    def result(item: Object, where: str, problems: Failures) -> None:
        devices.request_reference(item.get("request") or "", known, f"{where}.request", problems)
        devices.driver(item.get("driver"), f"{where}.driver", problems)
        devices.pool(item.get("pool"), f"{where}.pool", problems)
        devices.label(item.get("device"), f"{where}.device", problems)
        devices.binding_conditions(item, where, problems)
        tolerated = item.get("tolerations") or []
        devices.each(tolerated, devices.toleration, f"{where}.tolerations", problems, items_max=devices.TOLERATIONS_MAX)
        if (share := item.get("shareID")) is not None:
            devices.uid(share, f"{where}.shareID", problems)

    def config(item: Object, where: str, problems: Failures) -> None:
        source = item.get("source")
        if not source:
            problems.append(required(f"{where}.source"))
        elif source not in ("FromClaim", "FromClass"):
            problems.append(not_supported(f"{where}.source", source, ("FromClaim", "FromClass")))
        devices.references(item, known, where, problems)
        devices.configuration(item, where, problems)

    devices.each(found.get("results") or [], result, f"{path}.results", failures)
    devices.each(found.get("config") or [], config, f"{path}.config", failures, items_max=2 * devices.LIST_MAX)
    if (selector := allocation.get("nodeSelector")) is not None:
        placement.node_selector(selector, "status.allocation.nodeSelector", failures)
