"""PersistentVolumes. Source: ``ValidatePersistentVolume`` in ``pkg/apis/core/validation``."""

from __future__ import annotations

import posixpath

from picluster.api import names
from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_supported, required
from picluster.api.quantity import nanos
from picluster.api.types import Object
from picluster.api.validation import metadata, placement, volumes
from picluster.api.validation.claims import access_modes, class_name, positive, volume_mode
from picluster.api.validation.common import no_backsteps

Failures = list[FieldError]

RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
_NOT_SOURCES = frozenset({
    "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy",
    "storageClassName", "volumeAttributesClassName", "volumeMode",
})  # fmt: skip
_REQUIRED_FIELDS = {
    "awsElasticBlockStore": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "azureFile": ("secretName", "shareName"),
    "cephfs": ("monitors",),
    "cinder": ("volumeID",),
    "csi": ("driver", "volumeHandle"),
    "flexVolume": ("driver",),
    "gcePersistentDisk": ("pdName",),
    "glusterfs": ("endpoints", "path"),
    "iscsi": ("targetPortal", "iqn"),
    "local": ("path",),
    "nfs": ("server", "path"),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "quobyte": ("registry", "volume"),
    "rbd": ("monitors", "image"),
    "scaleIO": ("gateway", "system", "volumeName"),
    "vsphereVolume": ("volumePath",),
}
_CSI_SECRETS = (
    "controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeStageSecretRef",
    "nodeExpandSecretRef",
)  # fmt: skip


def validate(volume: Object) -> Failures:
    failures: Failures = []
    metadata.validate(volume["metadata"], failures, namespaced=False, name=metadata.subdomain)
    _spec(volume.get("spec") or {}, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    spec, old_spec = new["spec"], old["spec"]
    _spec(spec, failures)
    if _fixed_source(spec, old_spec) != _source(old_spec):
        detail = "spec.persistentvolumesource is immutable after creation"
        failures.append(forbidden_field("spec.persistentvolumesource", detail))
    metadata.immutable(spec.get("volumeMode"), old_spec.get("volumeMode"), "volumeMode", failures)
    if old_spec.get("nodeAffinity") is not None:
        metadata.immutable(spec.get("nodeAffinity"), old_spec["nodeAffinity"], "nodeAffinity", failures)
    if old_spec.get("volumeAttributesClassName") is not None and spec.get("volumeAttributesClassName") is None:
        detail = "update from non-nil value to nil is forbidden"
        failures.append(forbidden_field("spec.volumeAttributesClassName", detail))
    return failures


def _spec(spec: Object, failures: Failures) -> None:
    access_modes(spec, "spec", failures, when_none="")
    _capacity(spec.get("capacity") or {}, failures)
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy and policy not in RECLAIM_POLICIES:
        failures.append(not_supported("spec.persistentVolumeReclaimPolicy", policy, RECLAIM_POLICIES))
    if (affinity := spec.get("nodeAffinity")) is not None:
        _node_affinity(affinity, failures)
    _sources(spec, failures)
    path = (spec.get("hostPath") or {}).get("path")
    if path and posixpath.normpath(path) == "/" and policy == "Recycle":
        detail = "may not be 'recycle' for a hostPath mount of '/'"
        failures.append(forbidden_field("spec.persistentVolumeReclaimPolicy", detail))
    class_name(spec.get("storageClassName"), "spec.storageClassName", failures)
    volume_mode(spec.get("volumeMode"), "spec.volumeMode", failures)
    if (attributes := spec.get("volumeAttributesClassName")) is not None:
        _attributes_class(attributes, spec, failures)


def _capacity(capacity: Object, failures: Failures) -> None:
    if not capacity:
        failures.append(required("spec.capacity"))
    if set(capacity) != {"storage"}:
        failures.append(not_supported("spec.capacity", capacity, ("storage",)))
    for name, amount in capacity.items():
        path = f"spec.capacity[{name}]"
        if nanos(amount) < 0:
            failures.append(invalid_value(path, amount, "must be a valid resource quantity"))
        positive(amount, path, failures)


def _node_affinity(affinity: Object, failures: Failures) -> None:
    path, selector = "spec.nodeAffinity.required", affinity.get("required")
    if selector is None:
        failures.append(required(path, "must specify required node constraints"))
    else:
        placement.node_selector(selector, path, failures)


def _source(spec: Object) -> Object:
    return {field: value for field, value in spec.items() if field not in _NOT_SOURCES}


def _fixed_source(spec: Object, old: Object) -> Object:
    """The source of an update, without what may be added to it."""
    source, csi, old_csi = _source(spec), spec.get("csi"), old.get("csi")
    if csi and old_csi and old_csi.get("controllerExpandSecretRef") is None:
        kept = {field: value for field, value in csi.items() if field != "controllerExpandSecretRef"}
        return {**source, "csi": kept}
    return source


def _sources(spec: Object, failures: Failures) -> None:
    sources = _source(spec)
    if not sources:
        failures.append(required("spec", "must specify a volume type"))
    for place, (kind, source) in enumerate(sources.items()):
        path = f"spec.{kind}"
        if place:
            failures.append(forbidden_field(path, "may not specify more than 1 volume type"))
            continue
        for field in _REQUIRED_FIELDS.get(kind, ()):
            if not source.get(field):
                failures.append(required(f"{path}.{field}"))
        match kind:
            case "hostPath":
                volumes.host_path(source, path, failures)
            case "nfs":
                if source.get("path") and not source["path"].startswith("/"):
                    failures.append(invalid_value(f"{path}.path", source["path"], "must be an absolute path"))
            case "local":
                no_backsteps(source.get("path") or "", f"{path}.path", failures)
                if spec.get("nodeAffinity") is None:
                    failures.append(required("spec.nodeAffinity", "Local volume requires node affinity"))
            case "csi":
                _csi(source, path, failures)


def _csi(source: Object, path: str, failures: Failures) -> None:
    if driver := source.get("driver"):
        csi_driver(driver, f"{path}.driver", failures)
    for field in _CSI_SECRETS:
        if (secret := source.get(field)) is not None:
            for part in ("name", "namespace"):
                if not secret.get(part):
                    failures.append(required(f"{path}.{field}.{part}"))


def csi_driver(driver: str, path: str, failures: Failures) -> None:
    """The name of a driver, of volumes or devices (``ValidateCSIDriverName``)."""
    if len(driver) > 63:
        failures.append(FieldError("FieldValueTooLong", path, "Too long: may not be more than 63 bytes"))
    failures.extend(invalid_value(path, driver, message) for message in names.dns1123_subdomain(driver.lower()))


def _attributes_class(name: str, spec: Object, failures: Failures) -> None:
    path = "spec.volumeAttributesClassName"
    if not name:
        failures.append(required(path, "an empty string is disallowed"))
    class_name(name, path, failures)
    if spec.get("csi") is None:
        failures.append(required("spec.csi", "has to be specified when using volumeAttributesClassName"))


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    return failures
