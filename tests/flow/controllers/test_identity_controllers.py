"""Tokens in Secrets, certificates for nodes, and what lets a board join."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import yaml
from control_plane import Cluster
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from picluster.api import bootstraptoken
from picluster.api.errors import ApiError
from picluster.api.meta import now_rfc3339
from picluster.api.resources import (
    CERTIFICATE_SIGNING_REQUESTS,
    CONFIGMAPS,
    SECRETS,
    SERVICE_ACCOUNTS,
    TOKEN_REVIEWS,
)
from picluster.client import Client
from picluster.pki.authority import new_key
from picluster.util.clock import SYSTEM_CLOCK

Eventually = Callable[..., Awaitable[Any]]
Json = dict[str, Any]
TOKEN = ("abcdef", "0123456789abcdef")
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"


@pytest.fixture(autouse=True)
def _running(controllers: None) -> None:
    """All controllers run."""


async def gone(client: Client, name: str, namespace: str) -> bool:
    try:
        await client.get(SECRETS, name, namespace=namespace)
    except ApiError as error:
        return error.code == 404
    return False


async def test_a_token_secret_is_filled_and_goes_with_its_account(client: Client, eventually: Eventually) -> None:
    account = await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot", "namespace": "default"}})
    annotations = {"kubernetes.io/service-account.name": "robot"}
    metadata = {"name": "robot-token", "namespace": "default", "annotations": annotations}
    kind = "kubernetes.io/service-account-token"
    await client.create(SECRETS, {"metadata": metadata, "type": kind})

    async def filled() -> Json:
        secret = await client.get(SECRETS, "robot-token", namespace="default")
        return secret if (secret.get("data") or {}).get("token") else {}

    secret = await eventually(filled)
    assert secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == account["metadata"]["uid"]
    assert base64.b64decode(secret["data"]["namespace"]) == b"default"
    assert b"BEGIN CERTIFICATE" in base64.b64decode(secret["data"]["ca.crt"])
    token = base64.b64decode(secret["data"]["token"]).decode()
    review = await client.create(TOKEN_REVIEWS, {"spec": {"token": token}})
    assert review["status"]["user"]["username"] == "system:serviceaccount:default:robot"
    await client.delete(SERVICE_ACCOUNTS, "robot", namespace="default")
    await eventually(lambda: gone(client, "robot-token", "default"))


def new_token(seconds: float = 3600, **changes: Any) -> Json:
    settings: Json = {
        "description": "",
        "expiration": now_rfc3339(SYSTEM_CLOCK.now() + seconds),
        "usages": ("authentication", "signing"),
        "extra_groups": (bootstraptoken.NODE_GROUP,),
    }
    return bootstraptoken.new_secret(TOKEN, **{**settings, **changes})


async def test_a_token_ends_at_its_time(client: Client, eventually: Eventually) -> None:
    await client.create(SECRETS, new_token(1))
    await eventually(lambda: gone(client, "bootstrap-token-abcdef", "kube-system"))


async def test_a_board_finds_and_verifies_the_cluster_with_nothing_but_a_token(
    cluster: Cluster, client: Client, eventually: Eventually
) -> None:
    url = f"https://127.0.0.1:{cluster.port}/api/v1/namespaces/kube-public/configmaps/cluster-info"
    await client.create(SECRETS, new_token())

    async def published() -> Json:
        async with aiohttp.ClientSession() as session, session.get(url, ssl=False) as response:
            data: Json = (await response.json()).get("data") or {}
            return data if response.status == 200 and "jws-kubeconfig-abcdef" in data else {}

    data = await eventually(published)
    assert bootstraptoken.is_signed(data["kubeconfig"], data["jws-kubeconfig-abcdef"], *TOKEN)
    assert not bootstraptoken.is_signed(data["kubeconfig"], data["jws-kubeconfig-abcdef"], TOKEN[0], "x" * 16)
    said = yaml.safe_load(data["kubeconfig"])
    assert said["clusters"][0]["cluster"]["server"] == "https://192.0.2.10:6443" and said["users"] is None
    await client.delete(SECRETS, "bootstrap-token-abcdef", namespace="kube-system")

    async def unsigned() -> bool:
        config_map = await client.get(CONFIGMAPS, "cluster-info", namespace="kube-public")
        return list(config_map["data"]) == ["kubeconfig"]

    await eventually(unsigned)


def request_of(common_name: str, group: str = "system:nodes", **spec: Any) -> Json:
    names = [
        x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, group),
        x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name),
    ]
    signed = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(new_key(), hashes.SHA256())
    pem = signed.public_bytes(Encoding.PEM)
    usages = ["digital signature", "client auth"]
    body = {"request": base64.b64encode(pem).decode(), "signerName": KUBELET_CLIENT, "usages": usages}
    return {"metadata": {"generateName": "csr-"}, "spec": {**body, **spec}}


async def answered(client: Client, name: str) -> Json:
    request = await client.get(CERTIFICATE_SIGNING_REQUESTS, name)
    status: Json = request["status"]
    failed = any(each["type"] == "Failed" for each in status.get("conditions") or ())
    return status if status.get("certificate") or failed else {}


async def test_a_board_with_a_token_gets_the_identity_of_a_node(
    cluster: Cluster, client: Client, eventually: Eventually
) -> None:
    await client.create(SECRETS, new_token())
    joining = replace(cluster.config, certificate=None, key=None, token=".".join(TOKEN))
    async with Client(joining) as board:
        made = await board.create(CERTIFICATE_SIGNING_REQUESTS, request_of("system:node:pi-9", expirationSeconds=7200))
        assert made["spec"]["username"] == "system:bootstrap:abcdef"
        status = await eventually(lambda: answered(board, made["metadata"]["name"]))
        with pytest.raises(ApiError) as refused:
            await board.get(SECRETS, "bootstrap-token-abcdef", namespace="kube-system")
        assert refused.value.code == 403
    certificate = x509.load_pem_x509_certificate(base64.b64decode(status["certificate"]))
    assert certificate.subject.rfc4514_string() == "CN=system:node:pi-9,O=system:nodes"
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert lifetime.total_seconds() == 7200 + 300
    reason = status["conditions"][0]["message"]
    assert re.match("Auto approving kubelet client certificate after SubjectAccessReview", reason)


async def test_nobody_is_approved_without_leave_and_bad_requests_fail(
    cluster: Cluster, client: Client, eventually: Eventually
) -> None:
    strange = await client.create(CERTIFICATE_SIGNING_REQUESTS, request_of("bob", "admins"))
    approved = {"type": "Approved", "status": "True", "reason": "ByHand", "message": "of the test"}
    strange["status"] = {"conditions": [approved]}
    await client.update(CERTIFICATE_SIGNING_REQUESTS, strange, subresource="approval")
    status = await eventually(lambda: answered(client, strange["metadata"]["name"]))
    failed = status["conditions"][-1]
    assert (failed["type"], failed["reason"]) == ("Failed", "SignerValidationFailure")
    assert failed["message"] == "subject organization is not system:nodes"
    serving = request_of("system:node:pi-9", signerName="kubernetes.io/kubelet-serving")
    made = await client.create(CERTIFICATE_SIGNING_REQUESTS, serving)
    assert "conditions" not in made["status"]
