"""The audit log of a running server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from control_plane import Cluster, Pki

from picluster.api.errors import ApiError
from picluster.api.resources import (
    CONFIGMAPS,
    NAMESPACES,
    SECRETS,
    SERVICE_ACCOUNTS,
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
)
from picluster.apiserver.audit.setup import AuditConfig
from picluster.client import Client

POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitManagedFields": True,
    "rules": [{"level": "RequestResponse", "namespaces": ["default", ""]}, {"level": "None"}],
}


class Audited:
    def __init__(self, cluster: Cluster, client: Client, log: Path) -> None:
        self.cluster = cluster
        self.client = client
        self.log = log

    async def events(self, stage: str = "ResponseComplete") -> list[dict[str, Any]]:
        """Stops the server, so that all is written."""
        await self.client.close()
        await self.cluster.stop()
        found = [orjson.loads(line) for line in self.log.read_bytes().splitlines()]
        return [event for event in found if event["stage"] == stage]


@pytest.fixture
async def audited(pki: Pki, tmp_path: Path) -> AsyncIterator[Any]:
    """``await audited(policy)`` is a server that logs, by default as nobody told it."""
    stack: list[Audited] = []

    async def start(policy: dict[str, Any] | None = None) -> Audited:
        path = tmp_path / "policy.yaml"
        path.write_text(yaml.safe_dump(policy))
        log = tmp_path / "audit" / "audit.log"
        cluster = Cluster(pki, audit=AuditConfig(log, path if policy is not None else None))
        await cluster.start()
        client = await Client(cluster.config).__aenter__()
        stack.append(Audited(cluster, client, log))
        return stack[-1]

    yield start
    for each in stack:
        await each.client.close()
        await each.cluster.stop()


def config_map(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "data": {"k": "v"}}


async def test_by_default_a_change_by_a_person_is_one_line_without_its_content(audited: Any) -> None:
    running = await audited()
    await running.client.create(CONFIGMAPS, config_map("c"))
    await running.client.list(CONFIGMAPS, namespace="default")
    (event,) = await running.events()
    assert {key: event[key] for key in ("kind", "apiVersion", "level", "stage", "verb", "requestURI")} == {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "stage": "ResponseComplete",
        "verb": "create",
        "requestURI": "/api/v1/namespaces/default/configmaps",
    }
    assert event["user"]["username"] == "kubernetes-admin" and "system:masters" in event["user"]["groups"]
    assert event["objectRef"] == {
        "resource": "configmaps", "namespace": "default", "name": "c", "apiVersion": "v1"
    }  # fmt: skip
    assert event["responseStatus"] == {"metadata": {}, "code": 201}
    assert event["sourceIPs"] == ["127.0.0.1"] and event["userAgent"] == "picluster"
    assert event["annotations"]["authorization.k8s.io/decision"] == "allow"
    assert event["requestReceivedTimestamp"] <= event["stageTimestamp"]
    assert "requestObject" not in event and "responseObject" not in event


async def test_a_policy_may_want_what_was_asked_and_answered(audited: Any) -> None:
    running = await audited(POLICY)
    await running.client.create(CONFIGMAPS, config_map("c"))
    with pytest.raises(ApiError):
        await running.client.get(CONFIGMAPS, "gone", namespace="default")
    created, missed = await running.events()
    assert created["requestObject"]["data"] == {"k": "v"}
    assert created["responseObject"]["metadata"]["uid"] and "managedFields" not in created["responseObject"]["metadata"]
    assert missed["responseStatus"]["reason"] == "NotFound" and missed["responseStatus"]["code"] == 404
    assert missed["objectRef"]["name"] == "gone"


async def test_secrets_and_tokens_are_never_in_it(audited: Any) -> None:
    running = await audited(POLICY)
    secret = {"metadata": {"name": "s", "namespace": "default"}, "stringData": {"k": "hush-hush"}}
    await running.client.create(SECRETS, secret)
    await running.client.get(SECRETS, "s", namespace="default")
    await running.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "r", "namespace": "default"}})
    answer = await running.client.create(
        SERVICE_ACCOUNTS, {"spec": {}}, namespace="default", name="r", subresource="token"
    )
    events = await running.events()
    assert [event["level"] for event in events] == ["Metadata", "Metadata", "RequestResponse", "Metadata"]
    written = running.log.read_text()
    assert "hush-hush" not in written and "aHVzaC1odXNo" not in written
    assert answer["status"]["token"] not in written
    assert events[-1]["annotations"]["authentication.kubernetes.io/issued-credential-id"].startswith("JTI=")


async def test_a_watch_is_told_of_when_it_begins_and_ends(audited: Any) -> None:
    running = await audited({**POLICY, "omitStages": ["RequestReceived"]})
    async for _ in running.client.watch(NAMESPACES, resource_version="0", timeout_s=1):
        break
    started = await running.events("ResponseStarted")
    assert [(event["verb"], event["responseStatus"]["code"]) for event in started] == [("watch", 200)]


async def test_an_answer_carries_the_id_of_its_event(audited: Any) -> None:
    running = await audited(POLICY)
    async with running.client.raw("GET", "/api/v1/namespaces/default", headers={"Audit-ID": "mine-1"}) as response:
        assert response.headers["Audit-Id"] == "mine-1"
    async with running.client.raw("GET", "/version") as response:
        assert len(response.headers["Audit-Id"]) == 36
    ids = [event["auditID"] for event in await running.events()]
    assert ids == ["mine-1"]


async def test_a_token_that_is_not_good_leaves_a_trace(audited: Any) -> None:
    running = await audited(POLICY)
    config = replace(running.cluster.config, certificate=None, key=None, token="made-up")
    async with Client(config) as stranger:
        with pytest.raises(ApiError):
            await stranger.get(NAMESPACES, "default")
    (event,) = await running.events("ResponseStarted")
    assert event["user"] == {} and event["responseStatus"]["code"] == 401
    assert event["responseStatus"]["message"] == "Authentication failed, attempted: bearer"
    assert "made-up" not in running.log.read_text()


async def test_who_acts_as_somebody_else_is_named(audited: Any) -> None:
    running = await audited({**POLICY, "omitStages": ["RequestReceived"]})
    headers = {"Impersonate-User": "bob"}
    with pytest.raises(ApiError) as refused:
        async with running.client.raw("GET", "/api/v1/namespaces/default/configmaps", headers=headers):
            pass
    assert refused.value.code == 403
    (event,) = await running.events()
    assert event["user"]["username"] == "kubernetes-admin"
    assert event["impersonatedUser"]["username"] == "bob"
    assert event["authenticationMetadata"] == {"impersonationConstraint": "impersonate:user-info"}
    assert event["annotations"]["authorization.k8s.io/decision"] == "forbid"


async def test_policies_leave_annotations(audited: Any) -> None:
    """``auditAnnotations`` and the action ``Audit`` of ValidatingAdmissionPolicies."""
    audit = await audited(POLICY)
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]
    spec = {
        "matchConstraints": {"resourceRules": rules},
        "validations": [{"expression": "false", "message": "mind this"}],
        "auditAnnotations": [{"key": "who", "valueExpression": "'it is ' + object.metadata.name"}],
    }
    await audit.client.create(VALIDATING_ADMISSION_POLICIES, {"metadata": {"name": "p"}, "spec": spec})
    bound = {"policyName": "p", "validationActions": ["Audit"]}
    await audit.client.create(VALIDATING_ADMISSION_POLICY_BINDINGS, {"metadata": {"name": "b"}, "spec": bound})
    await audit.client.create(CONFIGMAPS, {"metadata": {"name": "a", "namespace": "default"}})
    event = next(event for event in await audit.events() if event["objectRef"]["resource"] == "configmaps")
    assert event["annotations"]["p/who"] == "it is a"
    failure = event["annotations"]["validation.policy.admission.k8s.io/validation_failure"]
    assert orjson.loads(failure) == [
        {"message": "mind this", "policy": "p", "binding": "b", "expressionIndex": 0, "validationActions": ["Audit"]}
    ]
