"""Service account tokens in pods: when they are renewed, what is asked for, and who may read them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from picluster.api.errors import ApiError, unavailable
from picluster.api.meta import now_rfc3339
from picluster.util.clock import VirtualClock
from picluster_agent.podman.env import ConfigError, NodeFacts, Sources
from picluster_agent.sync import tokens
from picluster_agent.sync.context import PodContext, PodPaths, Runtime
from picluster_agent.sync.tokenlife import HeldToken
from picluster_agent.volumes import payload

NODE = NodeFacts("pi-1", "10.0.0.1", {"cpu": "4"})
VOLUME: dict[str, Any] = {
    "name": "kube-api-access-x2x4x",
    "projected": {
        "defaultMode": 0o644,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"serviceAccountToken": {"expirationSeconds": 600, "path": "vault", "audience": "vault"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ],
    },
}
SOURCES = Sources(
    {"kube-root-ca.crt": {"data": {"ca.crt": "PEM"}}}, tokens={("", 3607): "t-api", ("vault", 600): "t-vault"}
)


def pod_of(**spec: Any) -> dict[str, Any]:
    containers = [{"name": "c"}]
    return {
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-1"},
        "spec": {"containers": containers, "serviceAccountName": "robot", "volumes": [VOLUME], **spec},
    }


def test_a_pod_sees_token_authority_and_namespace() -> None:
    """[sig-auth] ServiceAccounts should mount an API token into pods."""
    files = payload.volume_payload(VOLUME, pod_of(), SOURCES, NODE, "")
    assert {path: file.data for path, file in files.items()} == {
        "token": b"t-api",
        "vault": b"t-vault",
        "ca.crt": b"PEM",
        "namespace": b"shop",
    }
    assert {file.mode for file in files.values()} == {0o644}
    assert payload.wanted_tokens(VOLUME) == {("", 3607), ("vault", 600)}


@pytest.mark.parametrize(
    ("spec", "mode", "uid"),
    [
        ({}, 0o644, -1),
        ({"securityContext": {"runAsUser": 1000}}, 0o600, 1000),
        ({"securityContext": {"fsGroup": 2000}}, 0o600, -1),
        ({"containers": [{"name": "a", "securityContext": {"runAsUser": 7}}]}, 0o600, 7),
        ({"containers": [{"name": "a", "securityContext": {"runAsUser": 7}}, {"name": "b"}]}, 0o644, -1),
    ],
)
def test_only_whom_the_pod_names_reads_its_token(spec: dict[str, Any], mode: int, uid: int) -> None:
    file = payload.volume_payload(VOLUME, pod_of(**spec), SOURCES, NODE, "")["token"]
    assert (file.mode, file.uid) == (mode, uid)


@pytest.mark.parametrize(
    ("life_s", "age_s", "due"),
    [(3600, 2879, False), (3600, 2881, True), (365 * 86400, 86399, False), (365 * 86400, 86401, True)],
)
def test_a_token_is_renewed_at_80_percent_of_its_life_or_after_a_day(life_s: float, age_s: float, due: bool) -> None:
    assert HeldToken("t", 1000, 1000 + life_s).is_due(1000 + age_s, 0) is due


class Issuer:
    """The API server's side of ``serviceaccounts/token``."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.asked: list[dict[str, Any]] = []
        self.refusal: ApiError | None = None

    async def create(self, resource: Any, body: dict[str, Any], **where: Any) -> dict[str, Any]:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append({**body["spec"], **where})
        expires = now_rfc3339(self.clock.now() + body["spec"]["expirationSeconds"])
        return {"status": {"token": f"t{len(self.asked)}", "expirationTimestamp": expires}}


async def test_tokens_are_asked_for_bound_to_the_pod_renewed_and_outlive_an_absent_server(tmp_path: Path) -> None:
    clock = VirtualClock()
    issuer = Issuer(clock)
    runtime = cast(Runtime, SimpleNamespace(client=issuer, clock=clock))
    context = PodContext("u-1", pod_of(), PodPaths(tmp_path, tmp_path))
    key = ("", 600)
    assert await tokens.held(runtime, context, {key}) == {key: "t1"}
    assert await tokens.held(runtime, context, {key}) == {key: "t1"}
    asked = issuer.asked[0]
    assert asked["boundObjectRef"] == {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "u-1"}
    assert (asked["namespace"], asked["name"], asked["audiences"]) == ("shop", "robot", [])
    await clock.advance(481)
    assert await tokens.held(runtime, context, {key}) == {key: "t2"}
    issuer.refusal = unavailable("away")
    await clock.advance(500)
    assert await tokens.held(runtime, context, {key}) == {key: "t2"}
    await clock.advance(101)
    with pytest.raises(ConfigError, match="failed to fetch token: away"):
        await tokens.held(runtime, context, {key})
