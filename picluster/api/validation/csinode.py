"""CSINodes. Source: ``pkg/apis/storage/validation``."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, duplicate, invalid_value, required, too_long
from picluster.api.types import Object
from picluster.api.validation import metadata, storage
from picluster.api.validation.common import named, not_negative

Failures = list[FieldError]

NODE_ID_MAX = 192


def validate(csinode: Object) -> Failures:
    failures: Failures = []
    metadata.validate(csinode["metadata"], failures, namespaced=False, name=metadata.subdomain)
    _drivers(csinode, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    """A driver comes and goes; while it is there, only what it can hold may change."""
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _drivers(new, failures)
    before = {driver.get("name"): driver for driver in _listed(old)}
    for driver in _listed(new):
        known = before.get(driver.get("name"))
        if known is not None and {**known, "allocatable": None} != {**driver, "allocatable": None}:
            failures.append(invalid_value("CSINodeDriver", driver, metadata.IMMUTABLE))
    return failures


def _listed(csinode: Object) -> list[Object]:
    found: list[Object] = (csinode.get("spec") or {}).get("drivers") or []
    return found


def _drivers(csinode: Object, failures: Failures) -> None:
    seen: set[str] = set()
    for index, driver in enumerate(_listed(csinode)):
        path, name = f"spec.drivers[{index}]", driver.get("name") or ""
        storage.driver_name(name, f"{path}.name", failures)
        _node_id(driver.get("nodeID") or "", f"{path}.nodeID", failures)
        not_negative(driver.get("allocatable") or {}, "count", f"{path}.allocatable", failures)
        if name in seen:
            failures.append(duplicate(f"{path}.name", name))
        seen.add(name)
        _topology_keys(driver.get("topologyKeys") or [], path, failures)


def _node_id(node_id: str, path: str, failures: Failures) -> None:
    if not node_id:
        failures.append(required(path))
    elif len(node_id) > NODE_ID_MAX:
        failures.append(too_long(path, NODE_ID_MAX))


def _topology_keys(keys: list[str], path: str, failures: Failures) -> None:
    for index, key in enumerate(keys):
        if not key:
            failures.append(required(path))
        if key in keys[:index]:
            failures.append(duplicate(path, key))
        named(names.qualified_name(key), path, keys, failures)
