"""Pods: pending and classed at creation; the quality of service never changes."""

from __future__ import annotations

from picluster.api import meta
from picluster.api.podresources import qos_class
from picluster.api.strategy import keep, labelkeys
from picluster.api.types import Object


def create(pod: Object, now: str) -> None:
    spec = pod.setdefault("spec", {})
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    if spec.get("affinity") or spec.get("topologySpreadConstraints"):
        labelkeys.merge(spec, pod["metadata"].get("labels") or {})
    pod["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
    if spec.get("schedulingGates"):
        gated: Object = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }
        pod["status"]["conditions"] = []
        meta.set_condition(pod["status"]["conditions"], gated, now)


def update(new: Object, old: Object) -> None:
    status, old_status = new.get("status"), old.get("status") or {}
    if status is not None and not status.get("qosClass") and old_status.get("qosClass"):
        status["qosClass"] = old_status["qosClass"]


def changed(new: Object, old: Object) -> bool:
    return new.get("spec") != old.get("spec")


def update_status(new: Object, old: Object) -> None:
    """What older agents leave out stays: the quality of service, and which generation they have seen (KEP-5067)."""
    keep(new["metadata"], old["metadata"], ("ownerReferences",))
    status, old_status = new.setdefault("status", {}), old.get("status") or {}
    if not status.get("observedGeneration"):
        keep(status, old_status, ("observedGeneration",))
    for condition in status.get("conditions") or ():
        before = meta.get_condition(old, condition.get("type", ""))
        if before is not None and not condition.get("observedGeneration"):
            keep(condition, before, ("observedGeneration",))


def update_ephemeralcontainers(new: Object, old: Object) -> None:
    """Of what was sent, only the ephemeral containers count."""
    added = (new.get("spec") or {}).get("ephemeralContainers")
    _as_it_was(new, old)
    new["spec"] = {field: value for field, value in old["spec"].items() if field != "ephemeralContainers"}
    if added:
        new["spec"]["ephemeralContainers"] = added


def update_resize(new: Object, old: Object) -> None:
    """Of what was sent, only resources and resize policies count; other containers are left to be refused."""
    spec = new.get("spec") or {}
    groups = {group: spec.get(group) or [] for group in ("containers", "initContainers")}
    if any(len(found) != len(old["spec"].get(group) or ()) for group, found in groups.items()):
        return
    _as_it_was(new, old)
    new["spec"] = dict(old["spec"])
    keep(new["spec"], spec, ("resources",))
    for group, found in groups.items():
        if found:
            new["spec"][group] = _resized(found, old["spec"][group])


def _resized(containers: list[Object], old: list[Object]) -> list[Object]:
    if [container.get("name") for container in containers] != [container.get("name") for container in old]:
        return containers
    merged = [dict(container) for container in old]
    for container, sent in zip(merged, containers, strict=True):
        keep(container, sent, ("resources", "resizePolicy"))
    return merged


def _as_it_was(new: Object, old: Object) -> None:
    """What a subresource that shows the whole pod does not change of it (``ResetObjectMetaForStatus``)."""
    keep(new, old, ("status",))
    keep(new["metadata"], old["metadata"], ("labels", "annotations", "finalizers", "ownerReferences"))
