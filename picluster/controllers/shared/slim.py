"""What the controllers keep of a pod: less than half of it, because there are many.

Nobody here writes a pod back whole; changes to pods are patches. A controller that needs more adds it here.
"""

from __future__ import annotations

from picluster.api.types import Object

SPEC = ("nodeName", "tolerations", "hostname", "subdomain", "hostNetwork", "priority")
STATUS = ("phase", "reason", "podIP", "podIPs", "startTime")
CONDITIONS = ("Ready", "DisruptionTarget")
CLAIMING = frozenset({"persistentVolumeClaim", "ephemeral"})


def slim_pod(pod: Object) -> Object:
    """Its metadata, where it runs, what it tolerates, its ports and claims, and how it is."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    kept_spec = {name: spec[name] for name in SPEC if name in spec}
    for name in ("containers", "initContainers"):
        if containers := [_slim_container(container) for container in spec.get(name) or ()]:
            kept_spec[name] = containers
    if claiming := [_slim_volume(volume) for volume in spec.get("volumes") or () if not CLAIMING.isdisjoint(volume)]:
        kept_spec["volumes"] = claiming
    kept_status = {name: status[name] for name in STATUS if name in status}
    conditions = [one for one in status.get("conditions") or () if one.get("type") in CONDITIONS]
    if conditions:
        kept_status["conditions"] = conditions
    if restarted := [{"restartCount": one["restartCount"]} for one in _restarted(status)]:
        kept_status["containerStatuses"] = restarted
    metadata = pod["metadata"]
    metadata.pop("managedFields", None)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": kept_spec, "status": kept_status}


def _slim_container(container: Object) -> Object:
    return {name: container[name] for name in ("ports", "restartPolicy") if container.get(name)}


def _slim_volume(volume: Object) -> Object:
    """What says which claim it is; the claim of an ephemeral volume is named after the volume."""
    claim = volume.get("persistentVolumeClaim")
    return {"name": volume["name"], **({"persistentVolumeClaim": claim} if claim is not None else {"ephemeral": {}})}


def _restarted(status: Object) -> list[Object]:
    return [one for one in status.get("containerStatuses") or () if one.get("restartCount")]
