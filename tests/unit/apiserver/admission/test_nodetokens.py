"""Which tokens a node may ask for."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api import serialize
from picluster.api.errors import ApiError
from picluster.api.resources import BY_KIND, SERVICE_ACCOUNTS
from picluster.apiserver.admission.chain import CREATE, Attributes
from picluster.apiserver.admission.nodetokens import NodeTokens
from picluster.apiserver.authn import User
from picluster.apiserver.authz import attributes as asked
from picluster.apiserver.authz.chain import ALLOWED, NO_OPINION, Chain, Decision, Held
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.storage.backend import Event

NODE = User("system:node:pi-1", frozenset({"system:nodes"}))
TOKEN = {"serviceAccountToken": {"audience": "vault", "path": "t"}}
OBJECTS: list[dict[str, Any]] = [
    {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a", "uid": "1"},
        "spec": {"nodeName": "pi-1", "containers": [], "volumes": [
            {"name": "t", "projected": {"sources": [TOKEN, {"serviceAccountToken": {"path": "own"}}]}},
            {"name": "c", "csi": {"driver": "inline"}},
            {"name": "d", "persistentVolumeClaim": {"claimName": "data"}},
        ]},
    },
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "far", "namespace": "a", "uid": "2"},
     "spec": {"nodeName": "pi-2", "containers": []}},
    {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "a"},
     "spec": {"volumeName": "pv"}},
    {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"},
     "spec": {"csi": {"driver": "claimed"}}},
    *({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": name},
       "spec": {"tokenRequests": [{"audience": f"of-{name}"}]}} for name in ("inline", "claimed")),
]  # fmt: skip


class Grants:
    """Allows one audience."""

    def decide(self, attributes: asked.Attributes) -> Decision:
        wanted = ("request-serviceaccounts-token-audience", "granted", "a", "bot")
        question = (attributes.verb, attributes.resource, attributes.namespace, attributes.name)
        return ALLOWED if question == wanted else NO_OPINION

    def held(self, user: User, namespace: str) -> Held:
        return Held([])


@pytest.fixture
def tokens() -> NodeTokens:
    cache = WatchCache()
    for obj in OBJECTS:
        resource = BY_KIND[obj["apiVersion"], obj["kind"]]
        key = f"{resource.stored_as}/{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
        cache.apply([Event(cache.revision + 1, key, serialize.encode(obj))])
    return NodeTokens(cache, Chain([Grants()]))


def request(pod: str = "p", uid: str = "1", *audiences: str, kind: str = "Pod") -> Attributes:
    reference = {"apiVersion": "v1", "kind": kind, "name": pod, "uid": uid}
    spec = {"boundObjectRef": reference, "audiences": list(audiences)}
    return Attributes(NODE, CREATE, SERVICE_ACCOUNTS, "token", "a", "bot", {"spec": spec}, None)


@pytest.mark.parametrize("audiences", [(), ("vault",), ("of-inline",), ("of-claimed",), ("granted",)])
def test_for_its_own_pods_and_their_audiences(tokens: NodeTokens, audiences: tuple[str, ...]) -> None:
    tokens.check("pi-1", request("p", "1", *audiences))


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        (request(kind="Secret"), "node requested token not bound to a pod"),
        (request(uid=""), "node requested token with a pod binding without a uid"),
        (request("gone"), 'pods "gone" not found'),
        (request(uid="9"), "the UID in the bound object reference (9) does not match the UID in record"),
        (request("far", "2"), "node requested token bound to a pod scheduled on a different node"),
        (request("p", "1", "a", "b"), "node may only request 0 or 1 audiences"),
        (request("p", "1", "other"), 'audience "other" not found in pod spec volume'),
    ],
)
def test_and_no_others(tokens: NodeTokens, attributes: Attributes, why: str) -> None:
    with pytest.raises(ApiError) as refused:
        tokens.check("pi-1", attributes)
    assert why in refused.value.message
