"""The node authorizer: what a node may do (``plugin/pkg/auth/authorizer/node``).

A node reads what its pods refer to, and nothing else of that kind; it owns its Node, its Lease and its CSINode. The
rest is the fixed role ``system:node``. What it may write *into* these objects is ``admission.noderestriction``'s
business. What an agent needs besides, as the proxy of Services, it has through a binding (``policy.defaults``).
"""

from __future__ import annotations

from picluster.api.resources import (
    CONFIGMAPS,
    CSI_NODES,
    LEASES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    RESOURCE_CLAIMS,
    RESOURCE_SLICES,
    SECRETS,
    SERVICE_ACCOUNTS,
    VOLUME_ATTACHMENTS,
    Resource,
)
from picluster.apiserver.authn import NODES_GROUP, User
from picluster.apiserver.authz.attributes import Attributes, Requirement
from picluster.apiserver.authz.chain import ALLOWED, NO_OPINION, Decision, Held
from picluster.apiserver.authz.graph import NodeGraph
from picluster.apiserver.authz.policy.clusterroles import NODE
from picluster.apiserver.authz.policy.notation import read as read_rules
from picluster.apiserver.authz.rules import Rule, allows, read

NODE_LEASES = "kube-node-lease"
READ = frozenset({"get", "list", "watch"})
OWN_VERBS = frozenset({"get", "create", "update", "patch", "delete"})
RESOURCE_SLICE_VERBS = "get, watch, list, create, update, patch, delete, deletecollection"
SUBDIVIDED: dict[tuple[str, str], Resource] = {
    (resource.group, resource.plural): resource
    for resource in (
        SECRETS, CONFIGMAPS, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, RESOURCE_CLAIMS, VOLUME_ATTACHMENTS,
        SERVICE_ACCOUNTS, LEASES, CSI_NODES, RESOURCE_SLICES, NODES, PODS,
    )
}  # fmt: skip


class NodeAuthorizer:
    def __init__(self, graph: NodeGraph) -> None:
        self._graph = graph
        self._rules: tuple[Rule, ...] = ()

    def decide(self, attributes: Attributes) -> Decision:
        user = attributes.user
        if NODES_GROUP not in user.groups or not (node := user.node):
            return NO_OPINION
        resource = SUBDIVIDED.get((attributes.group, attributes.resource)) if attributes.is_resource else None
        if resource is None:
            return self._by_rules(attributes)
        if resource in (SECRETS, CONFIGMAPS):
            return self._read(node, resource, attributes)
        if resource is PERSISTENT_VOLUME_CLAIMS and attributes.subresource == "status":
            return self._update_status(node, resource, attributes)
        if resource in (PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, RESOURCE_CLAIMS, VOLUME_ATTACHMENTS):
            return self._get(node, resource, attributes)
        if resource is SERVICE_ACCOUNTS:
            return self._service_accounts(node, attributes)
        if resource is LEASES:
            return _leases(node, attributes)
        if resource is CSI_NODES:
            return _csi_nodes(node, attributes)
        if resource is RESOURCE_SLICES:
            return self._resource_slices(node, attributes)
        return _nodes(node, attributes) if resource is NODES else self._pods(node, attributes)

    def held(self, user: User, namespace: str) -> Held:
        return Held([], "node authorizer does not support user rule resolution" if user.node else "")

    def _by_rules(self, attributes: Attributes) -> Decision:
        if not self._rules:
            self._rules = read(read_rules(NODE)["system:node"])
        return ALLOWED if any(allows(rule, attributes) for rule in self._rules) else NO_OPINION

    def _related(self, node: str, resource: Resource, attributes: Attributes) -> Decision:
        if not attributes.name:
            return Decision(False, "No Object name found")
        if self._graph.reaches(node, resource, attributes.namespace, attributes.name):
            return ALLOWED
        return Decision(False, f"no relationship found between node '{node}' and this object")

    def _read(self, node: str, resource: Resource, attributes: Attributes) -> Decision:
        if attributes.verb not in READ:
            return Decision(False, "can only read resources of this type")
        if attributes.subresource:
            return Decision(False, "cannot read subresource")
        if not attributes.namespace:
            return Decision(False, "can only read namespaced object of this type")
        return self._related(node, resource, attributes)

    def _get(self, node: str, resource: Resource, attributes: Attributes) -> Decision:
        if attributes.verb != "get":
            return Decision(False, "can only get individual resources of this type")
        if attributes.subresource:
            return Decision(False, "cannot get subresource")
        return self._related(node, resource, attributes)

    def _update_status(self, node: str, resource: Resource, attributes: Attributes) -> Decision:
        if attributes.verb not in ("get", "update", "patch"):
            return Decision(False, "can only get/update/patch this type")
        return self._related(node, resource, attributes)

    def _service_accounts(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb == "get" and not attributes.subresource:
            return self._related(node, SERVICE_ACCOUNTS, attributes)
        if attributes.verb != "create" or not attributes.name:
            return Decision(False, "can only create tokens for individual service accounts")
        if attributes.subresource != "token":
            return Decision(False, "can only create token subresource of serviceaccount")
        return self._related(node, SERVICE_ACCOUNTS, attributes)

    def _resource_slices(self, node: str, attributes: Attributes) -> Decision:
        verb = attributes.verb
        if attributes.subresource:
            return Decision(False, "cannot authorize ResourceSlice subresources")
        if verb == "create":
            return ALLOWED
        if verb in ("get", "update", "patch", "delete"):
            return self._related(node, RESOURCE_SLICES, attributes)
        if verb in ("list", "watch", "deletecollection"):
            if _selects(attributes, "spec.nodeName", node):
                return ALLOWED
            return Decision(False, "can only list/watch/deletecollection resourceslices with nodeName field selector")
        return Decision(False, f"only the following verbs are allowed for a ResourceSlice: {RESOURCE_SLICE_VERBS}")

    def _pods(self, node: str, attributes: Attributes) -> Decision:
        verb, subresource = attributes.verb, attributes.subresource
        if subresource == "status":
            return ALLOWED if verb in ("update", "patch") else NO_OPINION
        if subresource:
            return ALLOWED if subresource == "eviction" and verb == "create" else NO_OPINION
        if verb in ("create", "delete"):
            return ALLOWED
        if verb in ("list", "watch"):
            if _selects(attributes, "spec.nodeName", node):
                return ALLOWED
            if attributes.name:
                return self._related(node, PODS, attributes)
            return Decision(False, "can only list/watch pods with spec.nodeName field selector")
        return self._get(node, PODS, attributes) if verb == "get" else NO_OPINION


def _selects(attributes: Attributes, field: str, value: str) -> bool:
    return Requirement(field, "=", (value,)) in attributes.fields


def _nodes(node: str, attributes: Attributes) -> Decision:
    verb, name = attributes.verb, attributes.name
    if attributes.subresource == "status":
        return ALLOWED if verb in ("update", "patch") else NO_OPINION
    if attributes.subresource:
        return NO_OPINION
    if verb in ("create", "update", "patch"):
        return ALLOWED
    if verb not in READ:
        return NO_OPINION
    if name == node:
        return ALLOWED
    if not name:
        return Decision(False, f"node '{node}' cannot read all nodes, only its own Node object")
    return Decision(False, f"node '{node}' cannot read '{name}', only its own Node object")


def _leases(node: str, attributes: Attributes) -> Decision:
    if attributes.verb not in OWN_VERBS:
        return Decision(False, "can only get, create, update, patch, or delete a node lease")
    if attributes.namespace != NODE_LEASES:
        return Decision(False, f'can only access leases in the "{NODE_LEASES}" system namespace')
    if attributes.verb != "create" and attributes.name != node:
        return Decision(False, "can only access node lease with the same name as the requesting node")
    return ALLOWED


def _csi_nodes(node: str, attributes: Attributes) -> Decision:
    if attributes.verb not in OWN_VERBS:
        return Decision(False, "can only get, create, update, patch, or delete a CSINode")
    if attributes.subresource:
        return Decision(False, "cannot authorize CSINode subresources")
    if attributes.verb != "create" and attributes.name != node:
        return Decision(False, "can only access CSINode with the same name as the requesting node")
    return ALLOWED
