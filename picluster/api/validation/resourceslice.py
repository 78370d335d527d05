"""ResourceSlices: a driver's devices, and where they are. Source: ``ValidateResourceSlice``."""

from __future__ import annotations

import re
from typing import Any

from picluster.api import names
from picluster.api.errors import FieldError, invalid_value, not_supported, required, too_long
from picluster.api.types import Object
from picluster.api.validation import capacities, devices, metadata, placement
from picluster.api.validation.common import named

Failures = list[FieldError]

DEVICES_MAX = 128
RICH_DEVICES_MAX = 64
"""Devices of a slice that has taints, counters or lists as attributes."""
ATTRIBUTES_MAX = 32
ATTRIBUTE_VALUES_MAX = 48
VALUE_MAX_BYTES = 64
COUNTER_SETS_MAX = 8
COUNTERS_MAX = 32
CONSUMED_SETS_MAX = 2
TAINTS_MAX = 16
_WHERE = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_LISTS = ("bools", "ints", "strings", "versions")
_VALUES = ("bool", "int", "string", "version", *_LISTS)
_NUMBER, _BUILD = r"(0|[1-9]\d*)", "[0-9a-zA-Z-]+"
_PRE_RELEASE = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE_RELEASE}(\.{_PRE_RELEASE})*)?(\+{_BUILD}(\.{_BUILD})*)?", re.ASCII
)


def validate(resourceslice: Object) -> Failures:
    failures: Failures = []
    metadata.validate(resourceslice["metadata"], failures, namespaced=False, name=metadata.subdomain)
    _spec(resourceslice.get("spec") or {}, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    _spec(spec, failures)
    name, old_name = (part.get("pool", {}).get("name") for part in (spec, old_spec))
    metadata.immutable(name, old_name, "spec.pool.name", failures)
    for field in ("driver", "nodeName"):
        metadata.immutable(spec.get(field), old_spec.get(field), f"spec.{field}", failures)
    return failures


def _spec(spec: Object, failures: Failures) -> None:
    devices.driver(spec.get("driver"), "spec.driver", failures)
    _pool(spec.get("pool") or {}, failures)
    _where(spec, failures)
    listed = spec.get("devices") or []
    if spec.get("sharedCounters") is not None and spec.get("devices") is not None:
        failures.append(invalid_value("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
    rich = any(device.get("taints") or device.get("consumesCounters") or _has_lists(device) for device in listed)
    chosen_by_device = bool(spec.get("perDeviceNodeSelection"))

    def device(item: Object, path: str, found: Failures) -> None:
        _device(item, chosen_by_device, path, found)

    most = RICH_DEVICES_MAX if rich else DEVICES_MAX
    devices.each(listed, device, "spec.devices", failures, items_max=most, key=lambda item: item.get("name"))
    devices.each(
        spec.get("sharedCounters") or [], _counter_set, "spec.sharedCounters", failures,
        items_max=COUNTER_SETS_MAX, key=lambda item: item.get("name"),
    )  # fmt: skip


def _pool(pool: Object, failures: Failures) -> None:
    devices.pool(pool.get("name"), "spec.pool.name", failures)
    count, generation = pool.get("resourceSliceCount", 0), pool.get("generation", 0)
    if count <= 0:
        failures.append(invalid_value("spec.pool.resourceSliceCount", count, "must be greater than zero"))
    if generation < 0:
        detail = "must be greater than or equal to zero"
        failures.append(invalid_value("spec.pool.generation", generation, detail))


def _where(spec: Object, failures: Failures) -> None:
    """Exactly one way to say from which nodes the devices can be reached."""
    chosen = _chosen(spec, "spec", _WHERE, "must be either unset or set to a non-empty string", failures)
    if (selector := spec.get("nodeSelector")) is not None:
        terms = selector.get("nodeSelectorTerms") or []
        if len(terms) != 1:
            where = "spec.nodeSelector.nodeSelectorTerms"
            failures.append(invalid_value(where, terms, "must have exactly one node selector term"))
    listed = "`nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection`"
    if not chosen:
        failures.append(required("spec", f"exactly one of {listed} is required"))
    elif len(chosen) > 1:
        detail = f"exactly one of {listed} is required, but multiple fields are set"
        failures.append(invalid_value("spec", _braced(chosen), detail))


def _chosen(part: Object, path: str, fields: tuple[str, ...], when_empty: str, failures: Failures) -> list[str]:
    """Which of ``fields`` say something about nodes; each is checked."""
    chosen = []
    for field in fields:
        value: Any = part.get(field)
        where = f"{path}.{field}"
        if value is None:
            continue
        if field == "nodeSelector":
            placement.node_selector(value, where, failures)
        elif field == "nodeName" and value:
            named(names.dns1123_subdomain(value), where, value, failures)
        elif not value:
            detail = when_empty if field == "nodeName" else "must be either unset or set to true"
            failures.append(invalid_value(where, value, detail))
            continue
        chosen.append(field)
    return chosen


def _braced(fields: list[str]) -> str:
    return "{" + ", ".join(f"`{field}`" for field in fields) + "}"


def _device(device: Object, chosen_by_device: bool, path: str, failures: Failures) -> None:
    devices.label(device.get("name"), f"{path}.name", failures)
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    if len(attributes) + len(capacity) > ATTRIBUTES_MAX:
        detail = f"the total number of attributes and capacities must not exceed {ATTRIBUTES_MAX}"
        failures.append(invalid_value(path, len(attributes) + len(capacity), detail))
    values = sum(max(1, sum(len(value.get(field) or ()) for field in _LISTS)) for value in attributes.values())
    if values > ATTRIBUTE_VALUES_MAX:
        detail = f"the total number of attribute values must not exceed {ATTRIBUTE_VALUES_MAX}"
        failures.append(invalid_value(path, values, detail))
    for name, value in attributes.items():
        devices.qualified_name(name, f"{path}.attributes", failures)
        _attribute(value, f"{path}.attributes[{name}]", failures)
    for name, value in capacity.items():
        devices.qualified_name(name, f"{path}.capacity", failures)
        shared = bool(device.get("allowMultipleAllocations"))
        capacities.validate(value, shared, f"{path}.capacity[{name}]", failures)
    devices.each(device.get("taints") or [], _taint, f"{path}.taints", failures, items_max=TAINTS_MAX)
    devices.each(
        device.get("consumesCounters") or [], _consumption, f"{path}.consumesCounters", failures,
        items_max=CONSUMED_SETS_MAX, key=lambda item: item.get("counterSet"),
    )  # fmt: skip
    _device_nodes(device, chosen_by_device, path, failures)
    devices.binding_conditions(device, path, failures)


def _device_nodes(device: Object, chosen_by_device: bool, path: str, failures: Failures) -> None:
    if not chosen_by_device:
        if any(device.get(field) is not None for field in _WHERE[:3]):
            detail = (
                "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true"
                " in the ResourceSlice spec"
            )
            failures.append(invalid_value(path, None, detail))
        return
    chosen = _chosen(device, path, _WHERE[:3], "must not be empty", failures)
    detail = (
        "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to"
        " true in the ResourceSlice spec"
    )
    if not chosen:
        failures.append(required(path, detail))
    elif len(chosen) > 1:
        failures.append(invalid_value(path, _braced(chosen), detail))


def _has_lists(device: Object) -> bool:
    attributes = device.get("attributes") or {}
    return any(field in value for value in attributes.values() for field in _LISTS)


def _attribute(attribute: Object, path: str, failures: Failures) -> None:
    given = [field for field in _VALUES if attribute.get(field) is not None]
    for field in given:
        value, where = attribute[field], f"{path}.{field}"
        if field in _LISTS and not value:
            failures.append(invalid_value(where, value, "must not be empty if specified"))
        if field == "string":
            _text(value, where, failures)
        elif field == "version":
            _version(value, where, failures)
        elif field in ("strings", "versions"):
            check = _text if field == "strings" else _version
            for index, item in enumerate(value):
                check(item, f"{where}[{index}]", failures)
    if len(given) != 1:
        failures.append(invalid_value(path, attribute if given else "", "exactly one value must be specified"))


def _text(value: str, path: str, failures: Failures) -> None:
    if len(value) > VALUE_MAX_BYTES:
        failures.append(too_long(path, VALUE_MAX_BYTES))


def _version(value: str, path: str, failures: Failures) -> None:
    if not _SEMVER.fullmatch(value):
        detail = "must be a string compatible with semver.org spec 2.0.0"
        failures.append(invalid_value(path, value, detail))
    _text(value, path, failures)


def _taint(taint: Object, path: str, failures: Failures) -> None:
    key, value, effect = (taint.get(field) or "" for field in ("key", "value", "effect"))
    named(names.qualified_name(key), f"{path}.key", key, failures)
    if value:
        named(names.label_value(value), f"{path}.value", value, failures)
    if not effect:
        failures.append(required(f"{path}.effect"))
    elif effect not in ("NoExecute", "NoSchedule", "None"):
        failures.append(not_supported(f"{path}.effect", effect, ("NoExecute", "NoSchedule", "None")))


def _counter_set(counter_set: Object, path: str, failures: Failures) -> None:
    devices.label(counter_set.get("name"), f"{path}.name", failures)
    _counters(counter_set, path, failures)


def _consumption(consumption: Object, path: str, failures: Failures) -> None:
    devices.label(consumption.get("counterSet"), f"{path}.counterSet", failures)
    _counters(consumption, path, failures)


def _counters(part: Object, path: str, failures: Failures) -> None:
    counters, where = part.get("counters") or {}, f"{path}.counters"
    if not counters:
        failures.append(required(where))
    devices.each(list(counters), devices.label, where, failures, items_max=COUNTERS_MAX)
