"""VolumeAttachments: the spec never changes. Source: ``pkg/apis/storage/validation``."""

from __future__ import annotations

from collections.abc import Mapping

from picluster.api import names
from picluster.api.errors import FieldError, forbidden_field, required, too_long
from picluster.api.types import Object
from picluster.api.validation import metadata, storage
from picluster.api.validation.common import named

Failures = list[FieldError]

ERROR_MESSAGE_MAX = 1024
ATTACHMENT_METADATA_MAX_BYTES = 256 * 1024


def validate(volumeattachment: Object) -> Failures:
    failures: Failures = []
    metadata.validate(volumeattachment["metadata"], failures, namespaced=False, name=metadata.subdomain)
    spec = volumeattachment.get("spec") or {}
    storage.driver_name(spec.get("attacher"), "spec.attacher", failures)
    _source(spec.get("source") or {}, failures)
    node_name = spec.get("nodeName") or ""
    named(names.dns1123_subdomain(node_name), "spec.nodeName", node_name, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    metadata.immutable(new.get("spec"), old.get("spec"), "spec", failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    status = new.get("status") or {}
    _attachment_metadata(status.get("attachmentMetadata") or {}, failures)
    for field in ("attachError", "detachError"):
        if len(((status.get(field) or {}).get("message") or "").encode()) > ERROR_MESSAGE_MAX:
            failures.append(too_long(f"status.{field}.message", ERROR_MESSAGE_MAX))
    return failures


def _source(source: Object, failures: Failures) -> None:
    path, detail = "spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    name, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    if name is None and inline is None:
        failures.append(required(path, detail))
    elif name is not None and inline is not None:
        failures.append(forbidden_field(path, detail))
    elif name == "":
        where = f"{path}.persistentVolumeName"
        failures.append(required(where, "must specify non empty persistentVolumeName"))
    elif name is not None:
        named(names.dns1123_subdomain(name), f"{path}.persistentVolumeName", name, failures)


def _attachment_metadata(values: Mapping[str, str], failures: Failures) -> None:
    if sum(len(key.encode()) + len(value.encode()) for key, value in values.items()) > ATTACHMENT_METADATA_MAX_BYTES:
        failures.append(too_long("status.attachmentMetadata", ATTACHMENT_METADATA_MAX_BYTES))
