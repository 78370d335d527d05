"""Pods: pending and classed at creation; the quality of service never changes."""

from __future__ import annotations

from picluster.api import meta
from picluster.api.podresources import qos_class
from picluster.api.strategy import keep
from picluster.api.types import Object


def create(pod: Object, now: str) -> None:
    spec = pod.setdefault("spec", {})
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
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
    keep(new["metadata"], old["metadata"], ("ownerReferences",))
