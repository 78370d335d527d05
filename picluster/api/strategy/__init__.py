"""What a create, an update, a status update may change, and what the server sets itself.

One function per verb; what is special about a kind is in the file of its name here, with any of ``create(obj, now)``,
``update(new, old)``, ``changed(new, old)`` (whether ``metadata.generation`` rises; kinds without it have none) and
``update_status(new, old)``, ``update_<subresource>`` for another one, ``stamp(new, old, now)`` and
``begin_deletion(obj, now)``. Sources: ``registry/rest`` of
``k8s.io/apiserver`` (``BeforeCreate``, ``BeforeUpdate``) and the strategies in ``pkg/registry`` of Kubernetes 1.36.
Times come in as text (``meta.now_rfc3339``). Objects that come from a cache (``old``) are never changed; a result may
share parts with them.
"""

from __future__ import annotations

from picluster.api import errors, meta
from picluster.api.kindfiles import function
from picluster.api.resources import NAMESPACES, PODS, REPLICATION_CONTROLLERS, Resource
from picluster.api.selectors import from_map, from_object
from picluster.api.types import Object


def prepare_create(resource: Resource, obj: Object, now: str) -> Object:
    """``obj``, changed in place: named if only ``generateName`` is given, stamped, its status as a new one has it.

    The namespace is the caller's to set. 400 if a ``resourceVersion`` is set.
    """
    metadata = obj.setdefault("metadata", {})
    if metadata.pop("resourceVersion", "") not in ("", "0"):
        raise errors.bad_request("resourceVersion should not be set on objects to be created")
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"):
        metadata.pop(field, None)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = meta.generate_name(metadata["generateName"])
    metadata["uid"] = meta.new_uid()
    metadata["creationTimestamp"] = now
    if function(__name__, resource, "changed") is not None:
        metadata["generation"] = 1
    if (special := function(__name__, resource, "create")) is not None:
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
        keep(new, old, ("spec",) if "spec" in old or "spec" in new else ())
        if (special := function(__name__, resource, "update_status")) is not None:
            special(new, old)
    elif subresource and (special := function(__name__, resource, f"update_{subresource}")) is not None:
        special(new, old)
    elif resource.has_status:
        keep(new, old, ("status",))
        if resource is NAMESPACES and subresource != "finalize":
            keep(new, old, ("spec",))
    changed = function(__name__, resource, "changed")
    if changed is not None and changed(new, old):
        metadata["generation"] = old_metadata.get("generation", 0) + 1
    if (special := function(__name__, resource, "update")) is not None:
        special(new, old)
    return new


def stamps(resource: Resource) -> bool:
    """Whether an update of the kind sets times itself."""
    return function(__name__, resource, "stamp") is not None


def stamp(resource: Resource, new: Object, old: Object, now: str) -> None:
    """Set the times that tell when something about ``new`` became so, in place, after ``prepare_update``."""
    if (special := function(__name__, resource, "stamp")) is not None:
        special(new, old, now)


def begin_deletion(resource: Resource, obj: Object, now: str) -> None:
    """What the first deletion of an object changes in it, in place, before its finalizers are looked at."""
    if (special := function(__name__, resource, "begin_deletion")) is not None:
        special(obj, now)


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
    status = {field: value for field, value in (pod.get("status") or {}).items() if field != "nominatedNodeName"}
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
    added = binding.get("metadata") or {}
    if added.get("annotations"):
        bound["metadata"]["annotations"] = {**(metadata.get("annotations") or {}), **added["annotations"]}
    if added.get("labels"):  # the pod's own win
        bound["metadata"]["labels"] = {**added["labels"], **(metadata.get("labels") or {})}
    return bound


def get_scale(obj: Object) -> Object:
    """The ``autoscaling/v1`` Scale of whatever has replicas; a ReplicationController's selector is a plain map."""
    metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    select = from_map if obj.get("kind") == REPLICATION_CONTROLLERS.kind else from_object
    copied = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: metadata[field] for field in copied if field in metadata},
        "spec": {"replicas": spec.get("replicas", 1)},
        "status": {"replicas": status.get("replicas", 0), "selector": str(select(spec.get("selector")))},
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
    if not metadata.get("uid"):
        metadata["uid"] = old["uid"]
    keep(metadata, old, ("creationTimestamp", "generation", "deletionTimestamp"))
    if metadata.get("deletionGracePeriodSeconds") is None:
        keep(metadata, old, ("deletionGracePeriodSeconds",))


def keep(new: Object, old: Object, fields: tuple[str, ...]) -> None:
    """Make ``fields`` of ``new`` as they are in ``old``."""
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
