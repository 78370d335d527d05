"""Volumes of a pod."""

from __future__ import annotations

from picluster.api import names, quantity
from picluster.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from picluster.api.types import Object
from picluster.api.validation import claims, environment, metadata
from picluster.api.validation.common import local_path, mode, named, no_backsteps, one_of
from picluster.api.validation.storage import driver_name

Failures = list[FieldError]

_HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip
_REQUIRED_FIELDS = {
    "nfs": ("server", "path"),
    "iscsi": ("targetPortal", "iqn"),
    "persistentVolumeClaim": ("claimName",),
    "gitRepo": ("repository",),
    "glusterfs": ("endpoints", "path"),
    "cephfs": ("monitors",),
    "rbd": ("monitors", "image"),
    "flexVolume": ("driver",),
    "azureFile": ("secretName", "shareName"),
}
_PROJECTIONS = ("clusterTrustBundle", "configMap", "downwardAPI", "secret", "serviceAccountToken")
_TOKEN_SECONDS_MIN = 600
_TOKEN_SECONDS_MAX = 1 << 32


def validate(volumes: list[Object], path: str, failures: Failures) -> dict[str, Object]:
    """Check the volumes; returns those with a good name, by name, for the mounts to be checked against."""
    found: dict[str, Object] = {}
    for index, volume in enumerate(volumes):
        where = f"{path}[{index}]"
        before = len(failures)
        _source(volume, where, failures)
        name = volume.get("name")
        if not name:
            failures.append(required(f"{where}.name"))
        else:
            named(names.dns1123_label(name), f"{where}.name", name, failures)
        if name and name in found:
            failures.append(duplicate(f"{where}.name", name))
        if name and len(failures) == before:
            found[name] = volume
    return found


def _source(volume: Object, path: str, failures: Failures) -> None:
    kinds = [kind for kind, source in volume.items() if kind != "name" and source is not None]
    if not kinds:
        failures.append(required(path, "must specify a volume type"))
    for kind in kinds[1:]:
        failures.append(forbidden_field(f"{path}.{kind}", "may not specify more than 1 volume type"))
    if not kinds:
        return
    kind, source = kinds[0], volume[kinds[0]]
    where = f"{path}.{kind}"
    match kind:
        case "emptyDir":
            size = source.get("sizeLimit")
            if size is not None and quantity.nanos(size) < 0:
                detail = "SizeLimit field must be a valid resource quantity"
                failures.append(forbidden_field(f"{where}.sizeLimit", detail))
        case "hostPath":
            host_path(source, where, failures)
        case "secret":
            _keys(source, "secretName", where, failures)
        case "configMap":
            _keys(source, "name", where, failures)
        case "downwardAPI":
            mode(source.get("defaultMode"), f"{where}.defaultMode", failures)
            _downward(source, where, failures)
        case "projected":
            _projected(source, where, failures)
        case "ephemeral":
            _ephemeral(source, where, failures)
        case "csi":
            _csi(source, where, failures)
        case "image":
            if not source.get("reference"):
                failures.append(required(f"{where}.reference"))
        case _:
            for field in _REQUIRED_FIELDS.get(kind, ()):
                if not source.get(field):
                    failures.append(required(f"{where}.{field}"))


def _ephemeral(source: Object, path: str, failures: Failures) -> None:
    """A claim that lives as long as the pod (``validateEphemeralVolumeSource``)."""
    template, where = source.get("volumeClaimTemplate"), f"{path}.volumeClaimTemplate"
    if template is None:
        failures.append(required(where))
        return
    meta = template.get("metadata") or {}
    metadata.check_annotations(meta.get("annotations") or {}, f"{where}.metadata.annotations", failures)
    metadata.check_labels(meta.get("labels") or {}, f"{where}.metadata.labels", failures)
    for field in meta:
        if field not in ("annotations", "labels"):
            failures.append(forbidden_field(f"{where}.metadata.{field}", "cannot be set for an ephemeral volume"))
    claims.claim_spec(template.get("spec") or {}, f"{where}.spec", failures)


def _csi(source: Object, path: str, failures: Failures) -> None:
    driver_name(source.get("driver"), f"{path}.driver", failures)
    secret = source.get("nodePublishSecretRef")
    if secret is not None and not secret.get("name"):
        failures.append(required(f"{path}.nodePublishSecretRef.name"))


def host_path(source: Object, path: str, failures: Failures) -> None:
    target = source.get("path")
    if not target:
        failures.append(required(f"{path}.path"))
    else:
        no_backsteps(target, f"{path}.path", failures)
    kind = source.get("type")
    if kind:
        one_of(kind, _HOST_PATH_TYPES, f"{path}.type", failures)


def _keys(source: Object, name_field: str, path: str, failures: Failures) -> None:
    """A Secret or ConfigMap as files."""
    if not source.get(name_field):
        failures.append(required(f"{path}.{name_field}"))
    mode(source.get("defaultMode"), f"{path}.defaultMode", failures)
    _items(source, path, failures)


def _items(source: Object, path: str, failures: Failures) -> None:
    for index, item in enumerate(source.get("items") or ()):
        where = f"{path}.items[{index}]"
        if not item.get("key"):
            failures.append(required(f"{where}.key"))
        if not item.get("path"):
            failures.append(required(f"{where}.path"))
        else:
            local_path(item["path"], f"{where}.path", failures, may_start_with_dots=False)
        mode(item.get("mode"), f"{where}.mode", failures)


def _downward(source: Object, path: str, failures: Failures) -> None:
    for index, item in enumerate(source.get("items") or ()):
        where = f"{path}.items[{index}]"
        if not item.get("path"):
            failures.append(required(f"{where}.path"))
        else:
            local_path(item["path"], f"{where}.path", failures, may_start_with_dots=False)
        field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
        if field is not None:
            environment.object_field(field, environment.VOLUME_FIELDS, f"{where}.fieldRef", failures)
            if resource is not None:
                detail = "fieldRef and resourceFieldRef can not be specified simultaneously"
                failures.append(invalid_value(where, "resource", detail))
        elif resource is not None:
            environment.resource_field(resource, f"{where}.resourceFieldRef", failures, in_volume=True)
        else:
            failures.append(required(where, "one of fieldRef and resourceFieldRef is required"))
        mode(item.get("mode"), f"{where}.mode", failures)


def _projected(projected: Object, path: str, failures: Failures) -> None:
    mode(projected.get("defaultMode"), f"{path}.defaultMode", failures)
    paths: set[str] = set()
    for index, source in enumerate(projected.get("sources") or ()):
        where = f"{path}.sources[{index}]"
        kinds = [kind for kind, value in source.items() if value is not None]
        if not kinds:
            failures.append(required(where, f"one of [{', '.join(_PROJECTIONS)}] is required"))
        for kind in kinds[1:]:
            failures.append(forbidden_field(f"{where}.{kind}", "may not specify more than 1 volume type"))
        for kind in kinds[:1]:
            _projection(kind, source[kind], f"{where}.{kind}", paths, failures)


def _projection(kind: str, source: Object, path: str, paths: set[str], failures: Failures) -> None:
    if kind in ("secret", "configMap"):
        if not source.get("name"):
            failures.append(required(f"{path}.name"))
        _items(source, path, failures)
        targets = [item.get("path") for item in source.get("items") or ()]
    elif kind == "downwardAPI":
        _downward(source, path, failures)
        targets = [item.get("path") for item in source.get("items") or ()]
    elif kind == "serviceAccountToken":
        _token(source, path, failures)
        targets = [source.get("path")]
    else:
        targets = [source.get("path")]
    for target in filter(None, targets):
        if target in paths:
            failures.append(invalid_value(path, target, "conflicting duplicate paths"))
        paths.add(target)


def _token(source: Object, path: str, failures: Failures) -> None:
    seconds = source.get("expirationSeconds", 0)
    if seconds < _TOKEN_SECONDS_MIN:
        detail = "may not specify a duration less than 10 minutes"
        failures.append(invalid_value(f"{path}.expirationSeconds", seconds, detail))
    elif seconds > _TOKEN_SECONDS_MAX:
        detail = "may not specify a duration larger than 2^32 seconds"
        failures.append(invalid_value(f"{path}.expirationSeconds", seconds, detail))
    if not source.get("path"):
        failures.append(required(f"{path}.path"))
    else:
        local_path(source["path"], f"{path}.path", failures, may_start_with_dots=False)
