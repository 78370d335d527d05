"""What a create, an update, a status update may change, and what the server sets itself.

One function per verb; what is special about a kind stands in the tables at the end. Sources: ``registry/rest`` of
``k8s.io/apiserver`` (``BeforeCreate``, ``BeforeUpdate``) and the strategies in ``pkg/registry`` of Kubernetes 1.36.
Times come in as text (``meta.now_rfc3339``). Objects that come from a cache (``old``) are never changed; a result may
share parts with them.
"""

from __future__ import annotations

from collections.abc import Callable

from picluster.api import errors, meta
from picluster.api.defaults import namespace as namespace_defaults
from picluster.api.podresources import qos_class
from picluster.api.resources import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SERVICES,
    Resource,
)
from picluster.api.selectors import from_object
from picluster.api.types import Object

NAMESPACE_FINALIZER = "kubernetes"


def prepare_create(resource: Resource, obj: Object, now: str) -> Object:
    """``obj``, changed in place: named if only ``generateName`` is given, stamped, its status as a new one has it.

    The namespace is the caller's to set. 400 if a ``resourceVersion`` is set.
    """
    metadata = obj.setdefault("metadata", {})
    if metadata.pop("resourceVersion", "") not in ("", "0"):
        raise errors.bad_request("resourceVersion should not be set on objects to be created")
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields", "generation"):
        metadata.pop(field, None)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = meta.generate_name(metadata["generateName"])
    metadata["uid"] = meta.new_uid()
    metadata["creationTimestamp"] = now
    if resource.id in _GENERATIONS:
        metadata["generation"] = 1
    if (special := _CREATE.get(resource.id)) is not None:
        special(obj, now)
    return obj


def prepare_update(resource: Resource, new: Object, old: Object, subresource: str | None = None) -> Object:
    """``new``, changed in place: what ``subresource`` may not change is as in ``old``, ``generation`` counts the spec.

    ``subresource`` is ``None`` for the object itself, ``status``, or ``finalize`` for namespaces. The
    ``resourceVersion`` of ``new`` stays as the client sent it.
    """
    metadata, old_metadata = new.setdefault("metadata", {}), old["metadata"]
    _keep_metadata(metadata, old_metadata)
    if subresource == "status":
        _keep(new, old, ("spec",) if "spec" in old or "spec" in new else ())
        for field in _STATUS_KEEPS.get(resource.id, ()):
            _keep(metadata, old_metadata, (field,))
    elif resource.has_status:
        _keep(new, old, ("status",))
        if resource is NAMESPACES and subresource != "finalize":
            _keep(new, old, ("spec",))
    changed = _GENERATIONS.get(resource.id)
    if changed is not None and changed(new, old):
        metadata["generation"] = old_metadata.get("generation", 0) + 1
    if (special := _UPDATE.get(resource.id)) is not None:
        special(new, old)
    return new


def delete_grace_period_s(resource: Resource, obj: Object, requested_s: int | None) -> int:
    """How long a deletion waits for somebody to stop what ``obj`` runs; 0 deletes at once. Only pods take time."""
    if resource is not PODS:
        return 0
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    period_s: int = requested_s if requested_s is not None else spec.get("terminationGracePeriodSeconds") or 0
    return period_s if period_s >= 0 else 1


def bind(pod: Object, binding: Object, now: str) -> Object:
    """A copy of ``pod`` on the node that ``binding`` names; 409 if it cannot go there, 422 for a bad target."""
    metadata, spec = pod["metadata"], pod["spec"]
    name = metadata["name"]
    _check_target(binding, name)
    wanted_uid = (binding.get("metadata") or {}).get("uid")
    if wanted_uid and wanted_uid != metadata.get("uid"):
        raise _cannot_bind(
            name, f"Precondition failed: UID in precondition: {wanted_uid}, UID in object meta: {metadata.get('uid')}"
        )
    if metadata.get("deletionTimestamp"):
        raise _cannot_bind(name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _cannot_bind(name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _cannot_bind(name, f"pod {name} has non-empty .spec.schedulingGates")
    status = dict(pod.get("status") or {})
    status["conditions"] = list(status.get("conditions") or ())
    scheduled: Object = {"type": "PodScheduled", "status": "True"}
    if metadata.get("generation"):
        scheduled["observedGeneration"] = metadata["generation"]
    meta.set_condition(status["conditions"], scheduled, now)
    bound = {
        **pod,
        "metadata": dict(metadata),
        "spec": {**spec, "nodeName": binding["target"]["name"]},
        "status": status,
    }
    for field in ("annotations", "labels"):
        added = (binding.get("metadata") or {}).get(field)
        if added:
            bound["metadata"][field] = {**(metadata.get(field) or {}), **added}
    return bound


def get_scale(obj: Object) -> Object:
    """The ``autoscaling/v1`` Scale of a Deployment or ReplicaSet."""
    metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    copied = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: metadata[field] for field in copied if field in metadata},
        "spec": {"replicas": spec.get("replicas", 1)},
        "status": {"replicas": status.get("replicas", 0), "selector": str(from_object(spec.get("selector")))},
    }


def apply_scale(obj: Object, scale: Object) -> Object:
    """A copy of ``obj`` with the replicas of ``scale``, its generation counted; validate the Scale before."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    metadata = dict(obj["metadata"])
    if obj["spec"].get("replicas") != replicas:
        metadata["generation"] = metadata.get("generation", 0) + 1
    return {**obj, "metadata": metadata, "spec": {**obj["spec"], "replicas": replicas}}


def _keep_metadata(metadata: Object, old: Object) -> None:
    metadata.pop("selfLink", None)
    metadata.pop("managedFields", None)
    if not metadata.get("uid"):
        metadata["uid"] = old["uid"]
    _keep(metadata, old, ("creationTimestamp", "generation", "deletionTimestamp"))
    if metadata.get("deletionGracePeriodSeconds") is None:
        _keep(metadata, old, ("deletionGracePeriodSeconds",))


def _keep(new: Object, old: Object, fields: tuple[str, ...]) -> None:
    for field in fields:
        if field in old:
            new[field] = old[field]
        else:
            new.pop(field, None)


def _check_target(binding: Object, name: str) -> None:
    target = binding.get("target") or {}
    failures = []
    if target.get("kind") not in (None, "", "Node"):
        failures.append(errors.not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        failures.append(errors.required("target.name"))
    if failures:
        raise errors.invalid("", "Binding", name, failures)


def _cannot_bind(name: str, why: str) -> errors.ApiError:
    return errors.conflict("", "pods/binding", name, why)


def _new_pod(pod: Object, now: str) -> None:
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


def _new_namespace(namespace: Object, now: str) -> None:
    finalizers = namespace.setdefault("spec", {}).setdefault("finalizers", [])
    if NAMESPACE_FINALIZER not in finalizers:
        finalizers.append(NAMESPACE_FINALIZER)
    namespace["status"] = {"phase": "Active"}
    metadata = namespace["metadata"]
    metadata.setdefault("labels", {})[namespace_defaults.NAME_LABEL] = metadata.get("name", "")


def _new_service(service: Object, now: str) -> None:
    service["status"] = {"loadBalancer": {}}


def _no_status(obj: Object, now: str) -> None:
    obj["status"] = {}


def _updated_pod(new: Object, old: Object) -> None:
    """The quality of service is decided at creation."""
    status, old_status = new.get("status"), old.get("status") or {}
    if status is not None and not status.get("qosClass") and old_status.get("qosClass"):
        status["qosClass"] = old_status["qosClass"]


def _spec_changed(new: Object, old: Object) -> bool:
    return new.get("spec") != old.get("spec")


def _deployment_changed(new: Object, old: Object) -> bool:
    """Annotations count too: controllers copy them to replica sets."""
    return _spec_changed(new, old) or (
        (new["metadata"].get("annotations") or {}) != (old["metadata"].get("annotations") or {})
    )


def _slice_changed(new: Object, old: Object) -> bool:
    return any(new.get(field) != old.get(field) for field in ("addressType", "endpoints", "ports")) or (
        (new["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {})
    )


_CREATE: dict[str, Callable[[Object, str], None]] = {
    PODS.id: _new_pod,
    NAMESPACES.id: _new_namespace,
    SERVICES.id: _new_service,
    DEPLOYMENTS.id: _no_status,
    REPLICASETS.id: _no_status,
}
"""Nodes keep the status they register with."""

_UPDATE: dict[str, Callable[[Object, Object], None]] = {PODS.id: _updated_pod}

_GENERATIONS: dict[str, Callable[[Object, Object], bool]] = {
    PODS.id: _spec_changed,
    DEPLOYMENTS.id: _deployment_changed,
    REPLICASETS.id: _spec_changed,
    ENDPOINT_SLICES.id: _slice_changed,
}
"""Which kinds have a ``metadata.generation``, and when it rises."""

_STATUS_KEEPS: dict[str, tuple[str, ...]] = {
    PODS.id: ("ownerReferences",),
    DEPLOYMENTS.id: ("labels",),
    REPLICASETS.id: ("labels",),
    NODES.id: (),
}
"""Metadata that a status update may not change."""
