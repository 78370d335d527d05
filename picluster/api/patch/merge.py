"""JSON Merge Patch (RFC 7386): null removes, an object merges, anything else replaces."""

from __future__ import annotations

from typing import Any

from picluster.api import errors
from picluster.api.patch.failures import GO_MAP, of_wrong_type
from picluster.api.types import Object


def apply(document: Object, patch: Any) -> Object:
    if not isinstance(patch, dict):
        raise errors.bad_request(f"error decoding patch: {of_wrong_type(patch, GO_MAP)}")
    return _merge(document, patch)


def _merge(target: Any, patch: Object) -> Object:
    merged: Object = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = _merge(merged.get(key), value)
        else:
            merged[key] = value
    return merged
