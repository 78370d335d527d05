"""NodeRestriction: what a node may write into the objects that the node authorizer lets it reach.

``plugin/pkg/admission/noderestriction`` of Kubernetes 1.36, with its wording.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from picluster.api import errors
from picluster.api.resources import (
    CERTIFICATE_SIGNING_REQUESTS,
    CONFIGMAPS,
    CSI_NODES,
    LEASES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    RESOURCE_CLAIMS,
    RESOURCE_SLICES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Resource,
)
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, DELETE, UPDATE, Attributes, Basis
from picluster.apiserver.admission.nodetokens import NodeTokens
from picluster.apiserver.authz.chain import Chain
from picluster.apiserver.authz.node import NODE_LEASES
from picluster.apiserver.authz.references import MIRROR_ANNOTATION, named_by
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
NODE_SIGNERS = ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet")
CLAIM_STATUS = frozenset({
    "capacity", "conditions", "allocatedResources", "allocatedResourceStatuses", "modifyVolumeStatus",
    "currentVolumeAttributesClassName",
})  # fmt: skip
"""What a node reports of a claim."""
REFERRED = (
    (SERVICE_ACCOUNTS, "a service account"),
    (SECRETS, "secrets"),
    (CONFIGMAPS, "configmaps"),
    (PERSISTENT_VOLUME_CLAIMS, "persistentvolumeclaims"),
    (RESOURCE_CLAIMS, "resourceclaims"),
)


class NodeRestriction:
    name = "NodeRestriction"
    basis = Basis()

    def __init__(self, cache: WatchCache, chain: Chain) -> None:
        self._cache = cache
        self._tokens = NodeTokens(cache, chain)
        self._checks: dict[Resource, Callable[[str, Attributes], None]] = {
            PODS: self._pods,
            NODES: _nodes,
            PERSISTENT_VOLUME_CLAIMS: _claims,
            SERVICE_ACCOUNTS: self._tokens.check,
            LEASES: _leases,
            CSI_NODES: _csi_nodes,
            RESOURCE_SLICES: _resource_slices,
            CERTIFICATE_SIGNING_REQUESTS: _signing_requests,
        }

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource in self._checks

    async def admit(self, attributes: Attributes) -> None:
        node = attributes.user.node
        if node:
            self._checks[attributes.resource](node, attributes)

    def _pods(self, node: str, attributes: Attributes) -> None:
        subresource, operation = attributes.subresource, attributes.operation
        if subresource == "eviction":
            self._own_pod(node, attributes, f"node {node} can only evict pods with spec.nodeName set to itself")
        elif subresource == "status":
            _pod_status(node, attributes)
        elif subresource:
            why = f"unexpected pod subresource \"{subresource}\", only 'status' and 'eviction' are allowed"
            raise refusal(attributes, why)
        elif operation == CREATE:
            self._mirror_pod(node, attributes)
        elif operation == DELETE:
            self._own_pod(node, attributes, f'node "{node}" can only delete pods with spec.nodeName set to itself')
        else:
            why = f'unexpected operation "{operation}", node "{node}" can only create and delete mirror pods'
            raise refusal(attributes, why)

    def _own_pod(self, node: str, attributes: Attributes, why: str) -> None:
        pod = self._cache.get(PODS, attributes.namespace, attributes.name)
        if pod is None:
            raise errors.not_found("", "pods", attributes.name)
        if self._cache.collection(PODS).node_of(pod) != node:
            raise refusal(attributes, why)

    def _mirror_pod(self, node: str, attributes: Attributes) -> None:
        pod = attributes.obj or {}
        if MIRROR_ANNOTATION not in (pod["metadata"].get("annotations") or ()):
            why = f'pod does not have "{MIRROR_ANNOTATION}" annotation, node "{node}" can only create mirror pods'
            raise refusal(attributes, why)
        if pod["spec"].get("nodeName") != node:
            raise refusal(attributes, f'node "{node}" can only create pods with spec.nodeName set to itself')
        self._owned_by_node(node, attributes, pod["metadata"].get("ownerReferences") or [])
        referred = {resource for resource, name in named_by(orjson.dumps(pod)) if name}
        for resource, what in REFERRED:
            if resource in referred or (resource is RESOURCE_CLAIMS and pod["spec"].get("resourceClaims")):
                raise refusal(attributes, f'node "{node}" can not create pods that reference {what}')

    def _owned_by_node(self, node: str, attributes: Attributes, owners: list[Object]) -> None:
        can_only = f'node "{node}" can only create pods with'
        if len(owners) > 1:
            raise refusal(attributes, f"{can_only} a single owner reference set to itself")
        owner = owners[0] if owners else {}
        if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
            raise refusal(attributes, f"{can_only} an owner reference set to itself")
        if not owner.get("controller"):
            raise refusal(attributes, f"{can_only} a controller owner reference set to itself")
        if owner.get("blockOwnerDeletion"):
            raise refusal(attributes, f'node "{node}" must not set blockOwnerDeletion on an owner reference')
        entry = self._cache.get(NODES, "", node)
        if entry is None:
            raise errors.not_found("", "nodes", node)
        uid = orjson.loads(entry.wire)["metadata"]["uid"]
        if owner.get("uid") != uid:
            raise refusal(attributes, f"node {node} UID mismatch: expected {owner.get('uid', '')} got {uid}")


def _pod_status(node: str, attributes: Attributes) -> None:
    new, old = attributes.obj, attributes.old
    if new is None or old is None or attributes.operation != UPDATE:
        raise refusal(attributes, f'unexpected operation "{attributes.operation}"')
    if old["spec"].get("nodeName") != node:
        why = "can only update pod status for pods with spec.nodeName set to itself"
        raise refusal(attributes, f'node "{node}" {why}')
    if (new["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {}):
        raise refusal(attributes, f'node "{node}" cannot update labels through pod status')
    status, old_status = new.get("status") or {}, old.get("status") or {}
    for field, what in (
        ("resourceClaimStatuses", "resource claim statuses"),
        ("extendedResourceClaimStatus", "extended resource claim status"),
    ):
        if (status.get(field) or None) != (old_status.get(field) or None):
            raise refusal(attributes, f'node "{node}" cannot update {what}')


def _nodes(node: str, attributes: Attributes) -> None:
    new, old = attributes.obj or {"metadata": {}}, attributes.old or {"metadata": {}}
    if attributes.operation == CREATE:
        _labels(attributes, {"metadata": {}}, new, f'node "{node}" is not allowed to set the following labels')
    requested = attributes.name or new["metadata"].get("name", "")
    if requested != node:
        raise refusal(attributes, f'node "{node}" is not allowed to modify node "{requested}"')
    if attributes.operation == UPDATE:
        if ((new.get("spec") or {}).get("taints") or []) != ((old.get("spec") or {}).get("taints") or []):
            raise refusal(attributes, f'node "{node}" is not allowed to modify taints')
        _labels(attributes, old, new, "is not allowed to modify labels")
        if (new["metadata"].get("ownerReferences") or []) != (old["metadata"].get("ownerReferences") or []):
            raise refusal(attributes, f'node "{node}" is not allowed to modify ownerReferences')


def _labels(attributes: Attributes, old: Object, new: Object, wording: str) -> None:
    before, after = old["metadata"].get("labels") or {}, new["metadata"].get("labels") or {}
    changed = {label for label in before.keys() | after.keys() if before.get(label) != after.get(label)}
    forbidden = sorted(label for label in changed if not _may_set(label))
    if forbidden:
        raise refusal(attributes, f"{wording}: {', '.join(forbidden)}")


def _may_set(label: str) -> bool:
    """Labels outside Kubernetes' domains, and those that kubelets set themselves."""
    domain = label.rpartition("/")[0]
    if label in KUBELET_LABELS or _within(domain, KUBELET_LABEL_DOMAINS):
        return True
    return not _within(domain, ("kubernetes.io", "k8s.io", RESTRICTED_LABEL_SUFFIX))


def _within(domain: str, parents: tuple[str, ...]) -> bool:
    return any(domain == parent or domain.endswith("." + parent) for parent in parents)


def _claims(node: str, attributes: Attributes) -> None:
    if attributes.subresource != "status":
        raise refusal(attributes, "may only update PVC status")
    if attributes.operation != UPDATE:
        raise refusal(attributes, f'unexpected operation "{attributes.operation}"')
    if _unreported(attributes.obj or {}) != _unreported(attributes.old or {}):
        why = f'node "{node}" is not allowed to update fields other than status.capacity and status.conditions'
        raise refusal(attributes, why)


def _unreported(claim: Object) -> Object:
    metadata = {k: v for k, v in claim["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    status = {k: v for k, v in (claim.get("status") or {}).items() if k not in CLAIM_STATUS}
    return {**claim, "metadata": metadata, "status": status}


def _leases(node: str, attributes: Attributes) -> None:
    if attributes.namespace != NODE_LEASES:
        raise refusal(attributes, f'can only access leases in the "{NODE_LEASES}" system namespace')
    if _named(attributes) != node:
        raise refusal(attributes, "can only access node lease with the same name as the requesting node")


def _csi_nodes(node: str, attributes: Attributes) -> None:
    if _named(attributes) != node:
        raise refusal(attributes, "can only access CSINode with the same name as the requesting node")


def _named(attributes: Attributes) -> str:
    return attributes.name or str((attributes.obj or {"metadata": {}})["metadata"].get("name", ""))


def _resource_slices(node: str, attributes: Attributes) -> None:
    obj = {CREATE: attributes.obj, DELETE: attributes.old}.get(attributes.operation)
    if obj is not None and (obj.get("spec") or {}).get("nodeName") != node:
        verb = attributes.operation.lower()
        raise refusal(attributes, f"can only {verb} ResourceSlice with the same NodeName as the requesting node")


def _signing_requests(node: str, attributes: Attributes) -> None:
    """A certificate in a node's name is for that node to ask for."""
    spec = (attributes.obj or {}).get("spec") or {}
    if attributes.operation != CREATE or attributes.subresource or spec.get("signerName") not in NODE_SIGNERS:
        return
    from picluster.apiserver.admission.certificates import wished

    try:
        name = wished(spec).common_name
    except ValueError as error:
        raise refusal(attributes, f"unable to parse csr: {error}") from None
    if name != attributes.user.name:
        raise refusal(attributes, f"can only create a node CSR with CN={attributes.user.name}")


def refusal(attributes: Attributes, why: str) -> errors.ApiError:
    return errors.forbidden(attributes.resource.group, attributes.resource.plural, attributes.name, why)
