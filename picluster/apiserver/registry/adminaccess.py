"""Devices for administrators (KEP-5018): claims in namespaces that are labelled for it may ask for devices in use."""

from __future__ import annotations

import orjson

from picluster.api import errors
from picluster.api.resources import NAMESPACES, RESOURCE_CLAIM_TEMPLATES
from picluster.api.types import Object
from picluster.apiserver.registry.registry import Registry, Write

LABEL = "resource.kubernetes.io/admin-access"


def check(registry: Registry, write: Write, obj: Object) -> None:
    """Raise ``ApiError`` 422 for a claim, or a template of claims, that asks for more than its namespace may."""
    spec = obj.get("spec") or {}
    if write.resource is RESOURCE_CLAIM_TEMPLATES:
        spec = spec.get("spec") or {}
    for index, request in enumerate((spec.get("devices") or {}).get("requests") or ()):
        if (request.get("exactly") or {}).get("adminAccess") and not _allowed(registry, write.namespace):
            path = f"spec.devices.requests[{index}].adminAccess"
            why = f"admin access to devices requires the `{LABEL}: true` label on the containing namespace"
            name = obj["metadata"].get("name", "")
            failure = errors.forbidden_field(path, why)
            raise errors.invalid(write.resource.group, write.resource.kind, name, [failure])


def _allowed(registry: Registry, namespace: str) -> bool:
    entry = registry.store.cache.get(NAMESPACES, "", namespace)
    labels = {} if entry is None else orjson.loads(entry.wire)["metadata"].get("labels") or {}
    return bool(labels.get(LABEL) == "true")
