"""NodeRestriction: what a node may write into the objects that the node authorizer lets it reach."""

from __future__ import annotations

import orjson

from picluster.api import errors
from picluster.api.resources import LEASES, NODES, PODS, SERVICE_ACCOUNTS, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, DELETE, UPDATE, Attributes
from picluster.apiserver.admission.serviceaccount import MIRROR_ANNOTATION
from picluster.apiserver.authz.node import NODE_LEASES
from picluster.apiserver.authz.references import named_by
from picluster.apiserver.cache.watchcache import WatchCache

RESTRICTED_LABEL_SUFFIX = "node-restriction.kubernetes.io"
KUBELET_LABEL_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
KUBELET_LABELS = frozenset({
    "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch",
    "beta.kubernetes.io/os", "beta.kubernetes.io/arch",
    "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
    "node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type",
})  # fmt: skip


class NodeRestriction:
    name = "NodeRestriction"

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource in (PODS, NODES, LEASES) or (resource is SERVICE_ACCOUNTS and subresource == "token")

    async def admit(self, attributes: Attributes) -> None:
        node = attributes.user.node
        if not node:
            return
        if attributes.resource is PODS:
            self._pods(node, attributes)
        elif attributes.resource is NODES:
            _nodes(node, attributes)
        elif attributes.resource is LEASES:
            _leases(node, attributes)
        elif attributes.resource is SERVICE_ACCOUNTS:
            self._token(node, attributes)

    def _token(self, node: str, attributes: Attributes) -> None:
        """A node asks for tokens in the name of its pods only, and for audiences they name (KEP-1205, KEP-4412)."""
        spec = (attributes.obj or {}).get("spec") or {}
        reference = spec.get("boundObjectRef") or {}
        if (reference.get("apiVersion"), reference.get("kind")) != ("v1", "Pod") or not reference.get("name"):
            raise _refusal(attributes, "node requested token not bound to a pod")
        if not reference.get("uid"):
            raise _refusal(attributes, "node requested token with a pod binding without a uid")
        entry = self._cache.get(PODS, attributes.namespace, reference["name"])
        if entry is None:
            raise errors.not_found("", "pods", reference["name"])
        pod = orjson.loads(entry.wire)
        if pod["metadata"]["uid"] != reference["uid"]:
            why = (
                f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
            raise _refusal(attributes, why)
        if pod["spec"].get("nodeName") != node:
            raise _refusal(attributes, "node requested token bound to a pod scheduled on a different node")
        _check_audiences(attributes, spec.get("audiences") or [], pod)

    def _pods(self, node: str, attributes: Attributes) -> None:
        if attributes.subresource == "eviction":
            self._own_pod(node, attributes, "evict")
        elif attributes.subresource == "status":
            self._own_pod(node, attributes, "update status for")
        elif attributes.operation == CREATE:
            _mirror_pod(node, attributes)
        elif attributes.operation == DELETE:
            self._own_pod(node, attributes, "delete")
        else:
            raise _refusal(attributes, f"unexpected operation {attributes.operation}")

    def _own_pod(self, node: str, attributes: Attributes, action: str) -> None:
        pod = self._cache.get(PODS, attributes.namespace, attributes.name)
        if pod is not None and self._cache.collection(PODS).node_of(pod) != node:
            raise _refusal(attributes, f'node "{node}" can only {action} pods with spec.nodeName set to itself')


def _check_audiences(attributes: Attributes, audiences: list[str], pod: Object) -> None:
    if len(audiences) > 1:
        raise _refusal(attributes, "node may only request 0 or 1 audiences")
    volumes = pod["spec"].get("volumes") or ()
    sources = [source for volume in volumes for source in (volume.get("projected") or {}).get("sources") or ()]
    named = {
        source["serviceAccountToken"].get("audience") or "" for source in sources if "serviceAccountToken" in source
    }
    wanted = audiences[0] if audiences else ""
    if wanted not in named:
        raise _refusal(attributes, f'audience "{wanted}" not found in pod spec volume')


def _mirror_pod(node: str, attributes: Attributes) -> None:
    pod = attributes.obj or {}
    spec = pod["spec"]
    if MIRROR_ANNOTATION not in (pod["metadata"].get("annotations") or ()):
        raise _refusal(attributes, f'pod does not have "{MIRROR_ANNOTATION}" annotation, node "{node}" can only create'
                       " mirror pods")  # fmt: skip
    if spec.get("nodeName") != node:
        raise _refusal(attributes, f'node "{node}" can only create pods with spec.nodeName set to itself')
    for resource, name in named_by(orjson.dumps(pod)):
        if name:
            raise _refusal(attributes, f'node "{node}" can not create pods that reference {resource.plural}')


def _nodes(node: str, attributes: Attributes) -> None:
    if attributes.name != node and (attributes.obj or {}).get("metadata", {}).get("name") != node:
        raise _refusal(attributes, f'node "{node}" is not allowed to modify node "{attributes.name}"')
    new, old = attributes.obj or {"metadata": {}}, attributes.old or {"metadata": {}}
    if attributes.operation == CREATE:
        _labels(
            attributes, _changed_labels({"metadata": {}}, new), f'node "{node}" is not allowed to set the following'
        )
    elif attributes.operation == UPDATE:
        if (new.get("spec") or {}).get("taints", []) != (old.get("spec") or {}).get("taints", []):
            raise _refusal(attributes, f'node "{node}" is not allowed to modify taints')
        if new["metadata"].get("ownerReferences") != old["metadata"].get("ownerReferences"):
            raise _refusal(attributes, f'node "{node}" is not allowed to modify ownerReferences')
        _labels(attributes, _changed_labels(old, new), "is not allowed to modify")


def _labels(attributes: Attributes, changed: set[str], wording: str) -> None:
    forbidden = sorted(label for label in changed if not _may_set(label))
    if forbidden:
        raise _refusal(attributes, f"{wording} labels: {', '.join(forbidden)}")


def _changed_labels(old: Object, new: Object) -> set[str]:
    before, after = old["metadata"].get("labels") or {}, new["metadata"].get("labels") or {}
    return {label for label in before.keys() | after.keys() if before.get(label) != after.get(label)}


def _may_set(label: str) -> bool:
    """Labels outside Kubernetes' domains, and those that kubelets set themselves."""
    domain = label.rpartition("/")[0]
    if label in KUBELET_LABELS or _within(domain, KUBELET_LABEL_DOMAINS):
        return True
    return not _within(domain, ("kubernetes.io", "k8s.io", RESTRICTED_LABEL_SUFFIX))


def _within(domain: str, parents: tuple[str, ...]) -> bool:
    return any(domain == parent or domain.endswith("." + parent) for parent in parents)


def _leases(node: str, attributes: Attributes) -> None:
    if attributes.namespace != NODE_LEASES:
        raise _refusal(attributes, f'can only access leases in the "{NODE_LEASES}" system namespace')
    name = attributes.name or (attributes.obj or {}).get("metadata", {}).get("name", "")
    if name != node:
        raise _refusal(
            attributes, f'node "{node}" can only access node lease with the same name as the requesting node'
        )


def _refusal(attributes: Attributes, why: str) -> errors.ApiError:
    return errors.forbidden(attributes.resource.group, attributes.resource.plural, attributes.name, why)
