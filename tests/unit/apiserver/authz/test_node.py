"""What a node may do, by what its pods refer to."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api import serialize
from picluster.api.resources import BY_KIND
from picluster.apiserver.authn import User
from picluster.apiserver.authz.attributes import Attributes, Requirement
from picluster.apiserver.authz.chain import Decision
from picluster.apiserver.authz.graph import NodeGraph
from picluster.apiserver.authz.node import NodeAuthorizer
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.storage.backend import Event

NODE = User("system:node:pi-1", frozenset({"system:nodes", "system:authenticated"}))
OTHER = User("system:node:pi-2", frozenset({"system:nodes", "system:authenticated"}))
STORAGE, RESOURCE = "storage.k8s.io", "resource.k8s.io"

POD = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a"},
    "spec": {
        "nodeName": "pi-1", "serviceAccountName": "bot", "imagePullSecrets": [{"name": "pull"}],
        "containers": [{
            "name": "c",
            "env": [{"name": "x", "valueFrom": {"secretKeyRef": {"name": "env", "key": "k"}}}],
            "envFrom": [{"configMapRef": {"name": "settings"}}],
        }],
        "ephemeralContainers": [{"name": "d", "envFrom": [{"secretRef": {"name": "debug"}}]}],
        "volumes": [
            {"name": "s", "secret": {"secretName": "volume"}},
            {"name": "j", "projected": {"sources": [{"configMap": {"name": "part"}}]}},
            {"name": "claimed", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}},
            {"name": "inline", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "published"}}},
            {"name": "share", "azureFile": {"secretName": "share", "shareName": "x"}},
        ],
        "resourceClaims": [
            {"name": "gpu", "resourceClaimName": "gpu-1"}, {"name": "made", "resourceClaimTemplateName": "t"},
        ],
    },
    "status": {"resourceClaimStatuses": [{"name": "made", "resourceClaimName": "p-made-x"}]},
}  # fmt: skip
MIRROR = {
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"name": "m", "namespace": "a", "annotations": {"kubernetes.io/config.mirror": "x"}},
    "spec": {"nodeName": "pi-1", "containers": [], "volumes": [{"name": "s", "secret": {"secretName": "mirrored"}}]},
}  # fmt: skip
VOLUME = {
    "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"},
    "spec": {
        "claimRef": {"namespace": "a", "name": "data"},
        "csi": {"driver": "d", "nodeStageSecretRef": {"name": "stage", "namespace": "elsewhere"}},
    },
}  # fmt: skip
ATTACHMENT = {
    "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {"name": "va"},
    "spec": {"attacher": "d", "nodeName": "pi-1", "source": {}},
}  # fmt: skip
SLICE = {
    "apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": "sl"},
    "spec": {"driver": "d", "nodeName": "pi-1", "pool": {}},
}  # fmt: skip


@pytest.fixture
def node() -> NodeAuthorizer:
    cache = WatchCache()
    for obj in (POD, MIRROR, VOLUME, ATTACHMENT, SLICE):
        metadata: dict[str, Any] = obj["metadata"]  # type: ignore[assignment]
        resource = BY_KIND[str(obj["apiVersion"]), str(obj["kind"])]
        key = f"{resource.stored_as}/{metadata.get('namespace', '')}/{metadata['name']}"
        cache.apply([Event(cache.revision + 1, key, serialize.encode(obj))])
    return NodeAuthorizer(NodeGraph(cache))


def ask(verb: str, resource: str, name: str = "", namespace: str = "a", group: str = "", **more: Any) -> Attributes:
    return Attributes(NODE, verb, namespace, group, "v1", resource, name=name, **more)


@pytest.mark.parametrize(
    "asked",
    [
        *(ask("get", "secrets", name) for name in ("pull", "env", "debug", "volume", "published", "share")),
        ask("watch", "secrets", "env"),
        ask("get", "secrets", "stage", namespace="elsewhere"),
        *(ask("get", "configmaps", name) for name in ("settings", "part")),
        *(ask("get", "persistentvolumeclaims", name) for name in ("data", "p-scratch")),
        ask("update", "persistentvolumeclaims", "data", subresource="status"),
        ask("get", "persistentvolumes", "pv", ""),
        *(ask("get", "resourceclaims", name, group=RESOURCE) for name in ("gpu-1", "p-made-x")),
        ask("get", "volumeattachments", "va", "", STORAGE),
        ask("create", "serviceaccounts", "bot", subresource="token"),
        ask("get", "serviceaccounts", "bot"),
        *(ask(verb, "leases", "pi-1", "kube-node-lease", "coordination.k8s.io") for verb in ("get", "patch", "delete")),
        *(ask(verb, "csinodes", "pi-1", "", STORAGE) for verb in ("get", "update")),
        ask("patch", "resourceslices", "sl", "", RESOURCE),
        ask("list", "resourceslices", "", "", RESOURCE, fields=(Requirement("spec.nodeName", "=", ("pi-1",)),)),
        ask("get", "nodes", "pi-1", ""),
        ask("patch", "nodes", "pi-1", "", subresource="status"),
        ask("get", "pods", "p"),
        ask("watch", "pods", "", "", fields=(Requirement("spec.nodeName", "=", ("pi-1",)),)),
        ask("create", "events"),
        ask("watch", "services", "", ""),
        ask("create", "certificatesigningrequests", "", "", "certificates.k8s.io"),
        ask("create", "tokenreviews", "", "", "authentication.k8s.io"),
    ],
)
def test_a_node_reaches_what_it_runs(node: NodeAuthorizer, asked: Attributes) -> None:
    assert node.decide(asked).allowed, asked


UNRELATED = "no relationship found between node 'pi-1' and this object"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (ask("get", "secrets", "other"), UNRELATED),
        (ask("get", "secrets", "env", namespace="b"), UNRELATED),
        (ask("get", "secrets", "mirrored"), UNRELATED),
        (ask("list", "secrets"), "No Object name found"),
        (ask("update", "secrets", "env"), "can only read resources of this type"),
        (ask("list", "secrets", "env", namespace=""), "can only read namespaced object of this type"),
        (ask("list", "persistentvolumes", "", ""), "can only get individual resources of this type"),
        (ask("update", "persistentvolumeclaims", "data"), "can only get individual resources of this type"),
        (ask("create", "serviceaccounts"), "can only create tokens for individual service accounts"),
        (ask("create", "serviceaccounts", "root", subresource="token"), UNRELATED),
        (ask("get", "leases", "pi-2", "kube-node-lease", "coordination.k8s.io"),
         "can only access node lease with the same name as the requesting node"),
        (ask("get", "leases", "pi-1", "a", "coordination.k8s.io"),
         'can only access leases in the "kube-node-lease" system namespace'),
        (ask("list", "csinodes", "", "", STORAGE), "can only get, create, update, patch, or delete a CSINode"),
        (ask("list", "resourceslices", "", "", RESOURCE),
         "can only list/watch/deletecollection resourceslices with nodeName field selector"),
        (ask("list", "nodes", "", ""), "node 'pi-1' cannot read all nodes, only its own Node object"),
        (ask("get", "nodes", "pi-2", ""), "node 'pi-1' cannot read 'pi-2', only its own Node object"),
        (ask("list", "pods"), "can only list/watch pods with spec.nodeName field selector"),
        (ask("get", "pods", "nowhere"), UNRELATED),
        (ask("patch", "pods", "p"), ""),
        (ask("create", "pods", "p", subresource="exec"), ""),
        (ask("delete", "nodes", "pi-1", ""), ""),
        (ask("get", "deployments", "d", group="apps"), ""),
    ],
)  # fmt: skip
def test_and_nothing_else(node: NodeAuthorizer, asked: Attributes, reason: str) -> None:
    assert node.decide(asked) == Decision(False, reason)


def test_what_one_node_runs_is_nothing_to_another(node: NodeAuthorizer) -> None:
    for asked in (ask("get", "secrets", "env"), ask("get", "persistentvolumes", "pv", ""), ask("get", "pods", "p")):
        assert not node.decide(asked._replace(user=OTHER)).allowed
    assert node.decide(ask("get", "secrets", "env")._replace(user=User("ann", frozenset()))) == Decision(False)
    assert node.held(NODE, "a").error == "node authorizer does not support user rule resolution"
