"""ConfigMaps."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, forbidden_field, invalid_value, too_long
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import named, same_or_forbidden

Failures = list[FieldError]
SIZE_MAX_BYTES = 1024 * 1024


def validate(configmap: Object) -> Failures:
    failures: Failures = []
    metadata.validate(configmap["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _contents(configmap, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    check_immutable(new, old, ("data", "binaryData"), failures)
    _contents(new, failures)
    return failures


def check_immutable(new: Object, old: Object, fields: tuple[str, ...], failures: Failures) -> None:
    """What says ``immutable: true`` stays as it is, and stays immutable; Secrets do the same."""
    if old.get("immutable"):
        if not new.get("immutable"):
            failures.append(forbidden_field("immutable", "field is immutable when `immutable` is set"))
        for field in fields:
            same_or_forbidden(new, old, field, failures)


def decoded_size(base64_text: str) -> int:
    return len(base64_text) * 3 // 4 - base64_text[-2:].count("=")


def _contents(configmap: Object, failures: Failures) -> None:
    data, binary = configmap.get("data") or {}, configmap.get("binaryData") or {}
    total_bytes = 0
    for key, value in data.items():
        named(names.config_map_key(key), f"data[{key}]", key, failures)
        if key in binary:
            failures.append(invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData"))
        total_bytes += len(value) if value.isascii() else len(value.encode())
    for key, value in binary.items():
        named(names.config_map_key(key), f"binaryData[{key}]", key, failures)
        total_bytes += decoded_size(value)
    if total_bytes > SIZE_MAX_BYTES:
        failures.append(too_long("", SIZE_MAX_BYTES))
