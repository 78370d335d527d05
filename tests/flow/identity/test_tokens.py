"""Service account tokens: asked for, used, reviewed, and ended with what they are bound to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import jwt
import orjson
import pytest
from control_plane import Cluster

from picluster.api.errors import ApiError
from picluster.api.resources import NODES, PODS, SECRETS, SERVICE_ACCOUNTS, TOKEN_REVIEWS
from picluster.client import Client

ISSUER = "https://kubernetes.default.svc.cluster.local"
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"


@pytest.fixture
async def account(client: Client) -> dict[str, Any]:
    return await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot", "namespace": "default"}})


async def request(client: Client, account: str = "robot", namespace: str = "default", **spec: Any) -> dict[str, Any]:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return await client.create(SERVICE_ACCOUNTS, body, namespace=namespace, name=account, subresource="token")


async def review(client: Client, token: str, *audiences: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"token": token}
    if audiences:
        spec["audiences"] = list(audiences)
    answer = await client.create(TOKEN_REVIEWS, {"metadata": {}, "spec": spec})
    status: dict[str, Any] = answer["status"]
    return status


@pytest.fixture
async def pod(client: Client, account: dict[str, Any]) -> dict[str, Any]:
    spec = {"serviceAccountName": "robot", "nodeName": "pi-1", "containers": [{"name": "c", "image": "i"}]}
    await client.create(NODES, {"metadata": {"name": "pi-1"}})
    return await client.create(PODS, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})


def bound(pod: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}


@pytest.fixture
async def as_token(cluster: Cluster) -> AsyncIterator[Any]:
    """``as_token(token)`` is a client that shows a token and no certificate."""
    clients: list[Client] = []

    async def connect(token: str) -> Client:
        config = replace(cluster.config, certificate=None, key=None, token=token)
        clients.append(await Client(config).__aenter__())
        return clients[-1]

    yield connect
    for each in clients:
        await each.close()


async def test_a_token_is_made_and_reviewed(client: Client, account: dict[str, Any]) -> None:
    """[sig-auth] ServiceAccounts should create a serviceAccountToken and ensure a successful TokenReview."""
    answer = await request(client)
    assert answer["spec"]["audiences"] == [ISSUER] and answer["spec"]["expirationSeconds"] == 3600
    assert answer["metadata"]["name"] == "robot" and answer["status"]["expirationTimestamp"]
    status = await review(client, answer["status"]["token"])
    claims = jwt.decode(answer["status"]["token"], options={"verify_signature": False})
    assert status["authenticated"] is True and status["audiences"] == [ISSUER]
    assert status["user"] == {
        "username": "system:serviceaccount:default:robot",
        "uid": account["metadata"]["uid"],
        "groups": ["system:authenticated", "system:serviceaccounts", "system:serviceaccounts:default"],
        "extra": {CREDENTIAL_ID: [f"JTI={claims['jti']}"]},
    }
    assert claims["iss"] == ISSUER and claims["exp"] - claims["iat"] == 3600


async def test_a_token_of_a_pod_names_pod_and_node_and_ends_with_the_pod(client: Client, pod: dict[str, Any]) -> None:
    token = (await request(client, boundObjectRef=bound(pod)))["status"]["token"]
    extra = (await review(client, token))["user"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["web"]
    assert extra["authentication.kubernetes.io/pod-uid"] == [pod["metadata"]["uid"]]
    assert extra["authentication.kubernetes.io/node-name"] == ["pi-1"]
    await client.delete(PODS, "web", namespace="default", grace_period_s=0)
    status = await review(client, token)
    assert status == {"user": {}, "error": "service account token has been invalidated"}


async def test_a_token_ends_with_its_account_also_when_that_is_made_again(client: Client, account: Any) -> None:
    token = (await request(client))["status"]["token"]
    await client.delete(SERVICE_ACCOUNTS, "robot", namespace="default")
    assert (await review(client, token))["error"] == 'serviceaccounts "robot" not found'
    again = await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot", "namespace": "default"}})
    assert (await review(client, token))["error"] == (
        f"service account UID ({again['metadata']['uid']}) does not match claim ({account['metadata']['uid']})"
    )


async def test_a_token_bound_to_a_node_ends_with_the_node(client: Client, pod: Any) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "name": "pi-1"}
    token = (await request(client, boundObjectRef=node))["status"]["token"]
    extra = (await review(client, token))["user"]["extra"]
    assert extra["authentication.kubernetes.io/node-name"] == ["pi-1"]
    await client.delete(NODES, "pi-1")
    assert "authenticated" not in await review(client, token)


async def test_an_audience_is_good_only_where_it_is_wanted(client: Client, account: Any, as_token: Any) -> None:
    token = (await request(client, audiences=["vault"]))["status"]["token"]
    assert (await review(client, token, "vault", "other"))["audiences"] == ["vault"]
    assert (await review(client, token))["error"] == (
        f'token audiences ["vault"] is invalid for the target audiences ["{ISSUER}"]'
    )
    with pytest.raises(ApiError) as refused:
        await (await as_token(token)).get(PODS, "web", namespace="default")
    assert refused.value.code == 401


async def test_the_lifetime_of_pods_tokens_is_extended_and_warns(client: Client, pod: Any) -> None:
    answer = await request(client, boundObjectRef=bound(pod), expirationSeconds=3607)
    claims = jwt.decode(answer["status"]["token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 365 * 24 * 3600
    assert claims["kubernetes.io"]["warnafter"] - claims["iat"] == 3607
    other = await request(client, boundObjectRef=bound(pod), expirationSeconds=3607, audiences=["vault"])
    claims = jwt.decode(other["status"]["token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 3607


@pytest.mark.parametrize(
    ("spec", "code", "message"),
    [
        ({"expirationSeconds": 599}, 422, "may not specify a duration less than 10 minutes"),
        ({"expirationSeconds": (1 << 32) + 1}, 422, "may not specify a duration larger than 2^32 seconds"),
        ({"boundObjectRef": {"kind": "ConfigMap", "apiVersion": "v1", "name": "x"}}, 400, "Kind=ConfigMap"),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "gone"}}, 404, 'pods "gone" not found'),
    ],
)
async def test_a_request_that_makes_no_sense(
    client: Client, account: Any, spec: dict[str, Any], code: int, message: str
) -> None:
    with pytest.raises(ApiError) as refused:
        await request(client, **spec)
    assert refused.value.code == code and message in refused.value.message


async def test_a_pod_of_another_account_or_another_life_is_refused(client: Client, pod: Any) -> None:
    await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "other", "namespace": "default"}})
    with pytest.raises(ApiError, match="running with different serviceaccount name"):
        await request(client, "other", boundObjectRef=bound(pod))
    with pytest.raises(ApiError, match="does not match the UID in record") as refused:
        await request(client, boundObjectRef={**bound(pod), "uid": "stale"})
    assert refused.value.code == 409
    with pytest.raises(ApiError) as refused:
        await request(client, "nobody")
    assert refused.value.code == 404


async def test_each_request_of_a_connection_is_asked_for_its_token(client: Client, account: Any, as_token: Any) -> None:
    robot = await as_token((await request(client))["status"]["token"])
    async with robot.raw("GET", "/api") as response:
        assert response.status == 200
    await client.delete(SERVICE_ACCOUNTS, "robot", namespace="default")
    with pytest.raises(ApiError) as refused:
        async with robot.raw("GET", "/api"):
            pass
    assert refused.value.code == 401 and refused.value.message == "Unauthorized"


@pytest.mark.parametrize("token", ["garbage", "a.b.c", "abcdef.0123456789abcdef"])
async def test_a_token_that_nobody_made_is_unauthorized_not_anonymous(as_token: Any, token: str) -> None:
    with pytest.raises(ApiError) as refused:
        async with (await as_token(token)).raw("GET", "/version"):
            pass
    assert refused.value.code == 401


async def test_a_legacy_token_lives_as_long_as_its_secret(
    cluster: Cluster, client: Client, account: Any, eventually: Any
) -> None:
    from picluster.pki.tokens import Signer

    prefix = "kubernetes.io/serviceaccount/"
    token = Signer.load(cluster.pki.directory / "sa.key").sign(
        {
            "iss": "kubernetes/serviceaccount",
            f"{prefix}namespace": "default",
            f"{prefix}secret.name": "robot-token",
            f"{prefix}service-account.name": "robot",
            f"{prefix}service-account.uid": account["metadata"]["uid"],
            "sub": "system:serviceaccount:default:robot",
        }
    )
    assert (await review(client, token))["error"] == "Token has been invalidated"
    metadata = {
        "name": "robot-token",
        "namespace": "default",
        "annotations": {"kubernetes.io/service-account.name": "robot"},
    }
    kind = "kubernetes.io/service-account-token"
    await client.create(SECRETS, {"metadata": metadata, "type": kind, "stringData": {"token": token}})
    status = await review(client, token)
    assert status["user"]["username"] == "system:serviceaccount:default:robot" and "extra" not in status["user"]

    async def labelled() -> bool:
        secret = await client.get(SECRETS, "robot-token", namespace="default")
        return "kubernetes.io/legacy-token-last-used" in (secret["metadata"].get("labels") or {})

    await eventually(labelled)


async def test_who_is_outside_finds_the_issuers_keys(cluster: Cluster, client: Client, account: Any) -> None:
    """[sig-auth] ServiceAccounts ServiceAccountIssuerDiscovery should support OIDC discovery."""
    token = (await request(client))["status"]["token"]
    async with client.raw("GET", "/.well-known/openid-configuration") as response:
        said = orjson.loads(await response.read())
    assert said["issuer"] == ISSUER and said["id_token_signing_alg_values_supported"] == ["ES256"]
    assert said["jwks_uri"].endswith(f":{cluster.port}/openid/v1/jwks")
    assert said["response_types_supported"] == ["id_token"] and said["subject_types_supported"] == ["public"]
    async with client.raw("GET", "/openid/v1/jwks") as response:
        assert response.headers["Content-Type"] == "application/jwk-set+json"
        keys = jwt.PyJWKSet.from_json((await response.read()).decode())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, algorithms=["ES256"], audience=ISSUER, issuer=ISSUER)["sub"].endswith(":robot")


async def test_a_review_without_a_token_is_refused(client: Client) -> None:
    with pytest.raises(ApiError, match="token is required for TokenReview in authentication") as refused:
        await client.create(TOKEN_REVIEWS, {"spec": {}})
    assert refused.value.code == 400
