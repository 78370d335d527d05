"""Changes of a pod by its subresources ``ephemeralcontainers`` (KEP-277) and ``resize`` (KEP-1287)."""

from __future__ import annotations

import json

from picluster.api.errors import FieldError, forbidden_field, invalid_value
from picluster.api.podresources import qos_class
from picluster.api.types import Object
from picluster.api.validation import metadata, podspec

Failures = list[FieldError]

MIRROR = "kubernetes.io/config.mirror"
_MUTABLE = ("cpu", "memory")
_GROUPS = ("containers", "initContainers")


def validate_ephemeralcontainers(new: Object, old: Object) -> Failures:
    """Ephemeral containers come, but never change or go."""
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    podspec.validate(new["spec"], "spec", failures, in_pod=True)
    if _is_static(old):
        return [forbidden_field("", "static pods do not support ephemeral containers")]
    now = {container.get("name"): container for container in new["spec"].get("ephemeralContainers") or ()}
    for before in old["spec"].get("ephemeralContainers") or ():
        name = json.dumps(before.get("name", ""))
        if before.get("name") not in now:
            detail = f"existing ephemeral containers {name} may not be removed\n"
            failures.append(forbidden_field("spec.ephemeralContainers", detail))
        elif now[before.get("name")] != before:
            detail = f"existing ephemeral containers {name} may not be changed\n"
            failures.append(forbidden_field("spec.ephemeralContainers", detail))
    return failures


def validate_resize(new: Object, old: Object) -> Failures:
    """CPU and memory of containers and sidecars change; the quality of service, and everything else, stays."""
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    spec, old_spec = new["spec"], old["spec"]
    podspec.validate(spec, "spec", failures, in_pod=True)
    if _is_static(old):
        return [forbidden_field("", "static pods cannot be resized")]
    if (old_spec.get("os") or {}).get("name") == "windows":
        return [forbidden_field("", "windows pods cannot be resized")]
    status = old.get("status") or {}
    qos = status.get("qosClass") or qos_class(old_spec)
    if qos_class(spec) != qos:
        failures.append(invalid_value("spec", qos, "Pod QOS Class may not change as a result of resizing"))
    if not _node_resizes(status):
        failures.append(forbidden_field("spec", "Pod running on node without support for resize"))
    if not _same_containers(spec, old_spec, failures):
        return failures
    for group in _GROUPS:
        for index, container in enumerate(spec.get(group) or ()):
            _nothing_removed(container, old_spec[group][index], f"spec.{group}[{index}].resources", failures)
    _nothing_removed(spec, old_spec, "spec.resources", failures)
    _only_resources(spec, old_spec, failures)
    return failures


def _is_static(pod: Object) -> bool:
    return MIRROR in (pod["metadata"].get("annotations") or {})


def _node_resizes(status: Object) -> bool:
    """Whether whoever runs the pod says what its containers have; nothing is known before one runs."""
    for container in status.get("containerStatuses") or ():
        if (container.get("state") or {}).get("running") is not None:
            return container.get("resources") is not None
    return True


def _same_containers(spec: Object, old: Object, failures: Failures) -> bool:
    for group in _GROUPS:
        now, before = ([c.get("name") for c in part.get(group) or ()] for part in (spec, old))
        if len(now) != len(before):
            failures.append(forbidden_field(f"spec.{group}", "pod updates may not add or remove containers"))
            return False
        if now != before:
            detail = "containers may not be renamed or reordered on resize"
            failures.append(forbidden_field(f"spec.{group}", detail))
            return False
    return True


def _nothing_removed(new: Object, old: Object, path: str, failures: Failures) -> None:
    for side in ("requests", "limits"):
        now, before = ((part.get("resources") or {}).get(side) or {} for part in (new, old))
        if before.keys() - now.keys():
            failures.append(forbidden_field(f"{path}.{side}", f"resource {side} cannot be removed"))


def _only_resources(spec: Object, old: Object, failures: Failures) -> None:
    before = len(failures)
    for container, was in zip(spec.get("containers") or (), old.get("containers") or (), strict=True):
        if _fixed(container, was) != was:
            failures.append(forbidden_field("spec", "only cpu and memory resources are mutable"))
    for container, was in zip(spec.get("initContainers") or (), old.get("initContainers") or (), strict=True):
        if was.get("restartPolicy") != "Always":
            if container != was:
                detail = "resources for non-sidecar init containers are immutable"
                failures.append(forbidden_field("spec", detail))
        elif _fixed(container, was) != was:
            detail = "only cpu and memory resources for sidecar containers are mutable"
            failures.append(forbidden_field("spec", detail))
    if len(failures) == before and _rest(spec, old) != _rest(old, old):
        failures.append(forbidden_field("spec", "only cpu and memory resources are mutable"))


def _fixed(part: Object, old: Object) -> Object:
    """A container, or a pod's spec, with its CPU and memory as they were."""
    resources, was = dict(part.get("resources") or {}), old.get("resources") or {}
    for side in ("requests", "limits"):
        amounts = {name: amount for name, amount in (resources.get(side) or {}).items() if name not in _MUTABLE}
        amounts |= {name: amount for name, amount in (was.get(side) or {}).items() if name in _MUTABLE}
        if amounts or side in was:
            resources[side] = amounts
        else:
            resources.pop(side, None)
    fixed = {**part, "resources": resources}
    if not resources and "resources" not in old:
        del fixed["resources"]
    return fixed


def _rest(spec: Object, old: Object) -> Object:
    return {field: value for field, value in _fixed(spec, old).items() if field not in _GROUPS}
