"""Defaults of a pod spec, alike in Pods and in templates."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from picluster.api.defaults.quantities import canonicalize
from picluster.api.quantity import canonical
from picluster.api.types import Object

GRACE_PERIOD_S = 30
FILE_MODE = 0o644
TOKEN_EXPIRATION_S = 3600
DEFAULT_SCHEDULER = "default-scheduler"

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_NUMBERS = (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3))
SOURCE_FIELDS: dict[str, Object] = {
    "secret": {"defaultMode": FILE_MODE},
    "configMap": {"defaultMode": FILE_MODE},
    "downwardAPI": {"defaultMode": FILE_MODE},
    "projected": {"defaultMode": FILE_MODE},
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def apply_template(spec: Object) -> None:
    """The defaults of ``spec.template`` of a workload."""
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    apply(template.setdefault("spec", {}))


def apply(spec: Object) -> None:
    get = spec.get
    for volume in get("volumes") or ():
        _volume(volume)
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in get(group) or ():
            _container(container)
    if not get("dnsPolicy"):
        spec["dnsPolicy"] = "ClusterFirst"
    if not get("restartPolicy"):
        spec["restartPolicy"] = "Always"
    if not get("schedulerName"):
        spec["schedulerName"] = DEFAULT_SCHEDULER
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", GRACE_PERIOD_S)
    account = get("serviceAccountName") or get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    if (overhead := get("overhead")) is not None:
        canonicalize(overhead)
    if (resources := get("resources")) is not None:
        _amounts(resources)


def _container(container: Object) -> None:
    get = container.get
    if not get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(get("image") or "")
    if not get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    _amounts(container.setdefault("resources", {}))
    for port in get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for variable in get("env") or ():
        source = variable.get("valueFrom")
        if source is not None:
            _field_source(source)
    for name in _PROBES:
        probe = get(name)
        if probe is not None:
            _probe(probe)
    for handler in (get("lifecycle") or {}).values():
        if isinstance(handler, dict) and handler.get("httpGet") is not None:
            _http_get(handler["httpGet"])


def _amounts(resources: Object) -> None:
    for side in ("limits", "requests"):
        amounts = resources.get(side)
        if amounts:
            canonicalize(amounts)


def _probe(probe: Object) -> None:
    for field, default in _PROBE_NUMBERS:
        if not probe.get(field):
            probe[field] = default
    if (http_get := probe.get("httpGet")) is not None:
        _http_get(http_get)
    if (grpc := probe.get("grpc")) is not None:
        grpc.setdefault("service", "")


def _http_get(action: Object) -> None:
    if not action.get("path"):
        action["path"] = "/"
    if not action.get("scheme"):
        action["scheme"] = "HTTP"


def _field_source(source: Object) -> None:
    field = source.get("fieldRef")
    if field is not None and not field.get("apiVersion"):
        field["apiVersion"] = "v1"
    resource_field = source.get("resourceFieldRef")
    if resource_field is not None:
        resource_field["divisor"] = canonical(resource_field.get("divisor") or "0")


def _volume(volume: Object) -> None:
    sources = [kind for kind, source in volume.items() if kind != "name" and source is not None]
    if not sources:
        volume["emptyDir"] = {}
        return
    for kind in sources:
        source: Any = volume[kind]
        for field, default in SOURCE_FIELDS.get(kind, {}).items():
            source.setdefault(field, default)
        match kind:
            case "downwardAPI":
                _downward_items(source)
            case "projected":
                _projected(source)
            case "emptyDir":
                if source.get("sizeLimit") is not None:
                    source["sizeLimit"] = canonical(source["sizeLimit"])
            case "ephemeral":
                _claim(source.get("volumeClaimTemplate", {}).setdefault("spec", {}))
            case "image":
                if not source.get("pullPolicy"):
                    source["pullPolicy"] = pull_policy(source.get("reference") or "")


def _claim(spec: Object) -> None:
    spec.setdefault("volumeMode", "Filesystem")
    _amounts(spec.get("resources") or {})


def _projected(projected: Object) -> None:
    for source in projected.get("sources") or ():
        if (token := source.get("serviceAccountToken")) is not None:
            token.setdefault("expirationSeconds", TOKEN_EXPIRATION_S)
        if (downward := source.get("downwardAPI")) is not None:
            _downward_items(downward)


def _downward_items(source: Object) -> None:
    for item in source.get("items") or ():
        _field_source(item)


@lru_cache(maxsize=4096)
def pull_policy(image: str) -> str:
    """``Always`` for the tag ``latest``, which is also meant where no tag and no digest is given."""
    if not image:
        return "IfNotPresent"
    repository, _, digest = image.partition("@")
    tag = repository.rpartition("/")[2].partition(":")[2]
    return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"
