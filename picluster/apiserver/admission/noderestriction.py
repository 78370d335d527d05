"""NodeRestriction: what a node may write into the objects that the node authorizer lets it reach."""

from __future__ import annotations

import orjson

from picluster.api import errors
from picluster.api.resources import LEASES, NODES, PODS, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, DELETE, UPDATE, Attributes
from picluster.apiserver.admission.serviceaccount import MIRROR_ANNOTATION
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.nodeauthz import NODE_LEASES, references

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
        return resource in (PODS, NODES, LEASES)

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


def _mirror_pod(node: str, attributes: Attributes) -> None:
    pod = attributes.obj or {}
    spec = pod["spec"]
    if MIRROR_ANNOTATION not in (pod["metadata"].get("annotations") or ()):
        raise _refusal(attributes, f'pod does not have "{MIRROR_ANNOTATION}" annotation, node "{node}" can only create'
                       " mirror pods")  # fmt: skip
    if spec.get("nodeName") != node:
        raise _refusal(attributes, f'node "{node}" can only create pods with spec.nodeName set to itself')
    for resource, name in references(orjson.dumps(pod)):
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
