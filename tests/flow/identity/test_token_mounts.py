"""What the ServiceAccount plugin gives to pods and refuses, and which tokens a node may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from control_plane import Cluster

from picluster.api.errors import ApiError
from picluster.api.resources import NODES, PODS, SERVICE_ACCOUNTS
from picluster.client import Client
from picluster.pki import profiles
from picluster.pki.authority import certificate_pem, key_pem, new_key
from picluster.pki.bundle import load_authority
from picluster.util.clock import SYSTEM_CLOCK

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


async def account(client: Client, name: str = "robot", **more: Any) -> None:
    metadata = {"name": name, "namespace": "default", "annotations": more.pop("annotations", {})}
    await client.create(SERVICE_ACCOUNTS, {"metadata": metadata, **more})


async def pod(client: Client, name: str = "web", **spec: Any) -> dict[str, Any]:
    containers = spec.pop("containers", [{"name": "c", "image": "i"}])
    body = {"serviceAccountName": "robot", "containers": containers, **spec}
    return await client.create(PODS, {"metadata": {"name": name, "namespace": "default"}, "spec": body})


async def test_a_token_is_mounted_into_every_container(client: Client) -> None:
    await account(client, imagePullSecrets=[{"name": "registry"}])
    made = await pod(client, initContainers=[{"name": "i", "image": "i"}])
    volume = made["spec"]["volumes"][0]
    assert volume["name"].startswith("kube-api-access-") and len(volume["name"]) == len("kube-api-access-") + 5
    assert volume["projected"]["defaultMode"] == 0o644
    kinds = [next(iter(source)) for source in volume["projected"]["sources"]]
    assert kinds == ["serviceAccountToken", "configMap", "downwardAPI"]
    for container in (*made["spec"]["initContainers"], *made["spec"]["containers"]):
        assert container["volumeMounts"] == [{"name": volume["name"], "readOnly": True, "mountPath": MOUNT_PATH}]
    assert made["spec"]["imagePullSecrets"] == [{"name": "registry"}]


async def test_a_container_that_mounts_something_there_keeps_it(client: Client) -> None:
    await account(client)
    mount = {"name": "mine", "mountPath": MOUNT_PATH}
    containers = [{"name": "c", "image": "i", "volumeMounts": [mount]}]
    made = await pod(client, containers=containers, volumes=[{"name": "mine", "emptyDir": {}}])
    assert [each["name"] for each in made["spec"]["volumes"]] == ["mine"]


@pytest.mark.parametrize(
    ("of_account", "of_pod", "mounted"),
    [(None, None, True), (False, None, False), (False, True, True), (True, False, False)],
)
async def test_pod_and_account_say_whether_there_is_one(
    client: Client, of_account: bool | None, of_pod: bool | None, mounted: bool
) -> None:
    await account(client, **({} if of_account is None else {"automountServiceAccountToken": of_account}))
    made = await pod(client, **({} if of_pod is None else {"automountServiceAccountToken": of_pod}))
    assert bool(made["spec"].get("volumes")) is mounted


SECRET_ENV = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "hush", "key": "k"}}}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"volumes": [{"name": "v", "secret": {"secretName": "hush"}}]},
            'volume with secret.secretName="hush" is not allowed because service account robot does not reference',
        ),
        (
            {"containers": [{"name": "c", "image": "i", "env": [SECRET_ENV]}]},
            'container c with envVar PASSWORD referencing secret.secretName="hush" is not allowed',
        ),
        (
            {"containers": [{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "hush"}}]}]},
            'container c with envFrom referencing secret.secretName="hush" is not allowed',
        ),
        ({"imagePullSecrets": [{"name": "hush"}]}, 'imagePullSecrets[0].name="hush" is not allowed'),
    ],
)
async def test_an_account_may_limit_the_secrets_of_its_pods(client: Client, spec: dict[str, Any], message: str) -> None:
    await account(client, annotations={"kubernetes.io/enforce-mountable-secrets": "true"}, secrets=[{"name": "mine"}])
    with pytest.raises(ApiError) as refused:
        await pod(client, **spec)
    assert refused.value.code == 403 and message in refused.value.message
    await pod(client, volumes=[{"name": "v", "secret": {"secretName": "mine"}}])


@pytest.fixture
async def node(cluster: Cluster, client: Client) -> AsyncIterator[Client]:
    """The agent of pi-1."""
    key = new_key()
    authority = load_authority(cluster.pki.directory)
    certificate = authority.sign(profiles.node("pi-1", []), key.public_key(), SYSTEM_CLOCK.now())
    config = replace(cluster.config, certificate=certificate_pem(certificate), key=key_pem(key))
    await client.create(NODES, {"metadata": {"name": "pi-1"}})
    async with Client(config) as node:
        yield node


async def ask(node: Client, pod: dict[str, Any] | None, *audiences: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"audiences": list(audiences), "expirationSeconds": 3607}
    if pod is not None:
        metadata = pod["metadata"]
        spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
    return await node.create(SERVICE_ACCOUNTS, {"spec": spec}, namespace="default", name="robot", subresource="token")


async def test_a_node_asks_for_tokens_of_its_own_pods_only(client: Client, node: Client) -> None:
    await account(client)
    mine, others = await pod(client, nodeName="pi-1"), await pod(client, "other", nodeName="pi-2")
    assert (await ask(node, mine))["status"]["token"]
    for wanted, message in ((None, "not bound to a pod"), (others, "scheduled on a different node")):
        with pytest.raises(ApiError, match=message) as refused:
            await ask(node, wanted)
        assert refused.value.code == 403
    with pytest.raises(ApiError, match='audience "vault" not found in pod spec volume'):
        await ask(node, mine, "vault")
