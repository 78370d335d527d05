"""What conformance asks of admission webhooks besides: custom resources, definitions, conditions, silence."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from admission_server import AdmissionServer, add, allow, configuration, deny, patch, webhook

from picluster.apiserver.audit.setup import AuditConfig

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
MUTATING = f"{REGISTRATION}/mutatingwebhookconfigurations"
VALIDATING = f"{REGISTRATION}/validatingwebhookconfigurations"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
THINGS = "/apis/stable.example.com/v1/namespaces/default/things"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
async def hook() -> AsyncIterator[AdmissionServer]:
    async with AdmissionServer() as hook:
        yield hook


def definition(*versions: str, plural: str = "things", **more: Any) -> dict[str, Any]:
    data = {"type": "object", "additionalProperties": {"type": "string"}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"data": data}}}
    served = [
        {"name": name, "served": True, "storage": number == 0, "schema": schema}
        for number, name in enumerate(versions or ("v1",))
    ]
    names = {"plural": plural, "kind": "Thing", "singular": "thing", "listKind": "ThingList"}
    spec = {"group": "stable.example.com", "scope": "Namespaced", "names": names, "versions": served}
    return {"metadata": {"name": f"{plural}.stable.example.com", **more}, "spec": spec}


@pytest.fixture
async def things(admin: Any, eventually: Any) -> None:
    assert (await admin.create(DEFINITIONS, definition("v1", "v2"))).code == 201

    async def served() -> bool:
        return bool((await admin.get(THINGS)).code == 200)

    await eventually(served)


def thing(name: str, version: str = "v1", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": f"stable.example.com/{version}", "kind": "Thing", "metadata": {"name": name}, "data": data,
    }  # fmt: skip


async def register(admin: Any, kind: str, hook: dict[str, Any], name: str = "test") -> None:
    answer = await admin.create(MUTATING if kind == "Mutating" else VALIDATING, configuration(kind, name, hook))
    assert answer.code == 201, answer.body


async def test_custom_resources_are_denied(admin: Any, hook: AdmissionServer, things: None) -> None:
    """ "should be able to deny custom resource creation, update and deletion"."""

    def decide(request: dict[str, Any]) -> dict[str, Any]:
        data = (request["oldObject"] if request["operation"] == "DELETE" else request["object"])["data"]
        if data.get("webhook-e2e-test") == "webhook-disallow" and request["operation"] != "DELETE":
            return deny("the custom resource contains unwanted data")
        if data.get("webhook-nondeletable") == "webhook-disallow" and request["operation"] == "DELETE":
            return deny("the custom resource cannot be deleted because it contains unwanted key and value")
        return allow()

    hook.on("/custom", decide)
    rules = webhook(hook, "/custom", "deny.example.com", ["things"], groups=["stable.example.com"], versions=["*"])
    await register(admin, "Validating", rules)
    unwanted = "the custom resource contains unwanted data"
    answer = await admin.create(THINGS, thing("a", **{"webhook-e2e-test": "webhook-disallow"}))
    assert (answer.code, unwanted in answer.body["message"]) == (400, True)
    assert (await admin.create(THINGS, thing("a", **{"webhook-nondeletable": "webhook-disallow"}))).code == 201
    answer = await admin.patch(f"{THINGS}/a", {"data": {"webhook-e2e-test": "webhook-disallow"}})
    assert (answer.code, unwanted in answer.body["message"]) == (400, True)
    answer = await admin.delete(f"{THINGS}/a")
    assert answer.body["message"].endswith("cannot be deleted because it contains unwanted key and value")
    assert (await admin.patch(f"{THINGS}/a", {"data": {"webhook-nondeletable": "webhook-allow"}})).code == 200
    assert (await admin.delete(f"{THINGS}/a")).code == 200


async def test_custom_resources_are_mutated_and_pruned(admin: Any, hook: AdmissionServer, things: None) -> None:
    """ "should mutate custom resource", "… with pruning" and "… with different stored version"."""
    operations = (add("/data/mutation-stage-1", "yes"), add("/unknown", "x"))
    hook.on("/mutate", lambda request: patch(*operations))
    rules = webhook(hook, "/mutate", "mutate.example.com", ["things"], groups=["stable.example.com"], versions=["v2"])
    await register(admin, "Mutating", rules)
    answer = await admin.create(THINGS, thing("a", start="yes"))
    assert answer.code == 201, answer.body
    assert (answer.body["apiVersion"], answer.body["data"]) == (
        "stable.example.com/v1", {"start": "yes", "mutation-stage-1": "yes"},
    )  # fmt: skip
    assert "unknown" not in answer.body
    (asked,) = hook.of("/mutate")
    assert (asked["kind"]["version"], asked["requestKind"]["version"]) == ("v2", "v1")
    assert asked["object"]["apiVersion"] == "stable.example.com/v2"


async def test_definitions_are_denied(admin: Any, hook: AdmissionServer) -> None:
    """ "should deny crd creation"."""
    hook.on("/crd", lambda request: deny("the crd contains unwanted label"))
    rules = webhook(hook, "/crd", "deny-crd.example.com", ["*"], groups=["apiextensions.k8s.io"], operations=["CREATE"])
    selector = {"matchLabels": {"webhook-e2e-test": "webhook-disallow"}}
    await register(admin, "Validating", {**rules, "objectSelector": selector})
    answer = await admin.create(DEFINITIONS, definition(labels={"webhook-e2e-test": "webhook-disallow"}))
    assert "the crd contains unwanted label" in answer.body["message"]
    assert (await admin.create(DEFINITIONS, definition())).code == 201


async def test_silence_that_fails_closed_refuses_everything(admin: Any, hook: AdmissionServer) -> None:
    """ "should unconditionally reject operations on fail closed webhook"."""
    await admin.create("/api/v1/namespaces", {"metadata": {"name": "closed", "labels": {"fail": "closed"}}})
    rules = webhook(hook, "/none", "fail-closed.example.com", ["configmaps"], operations=["CREATE"])
    nowhere = {"service": {"namespace": "default", "name": "e2e-test-webhook", "path": "/configmaps", "port": 8443}}
    bundle = base64.b64encode(b"bad ca").decode()
    selector = {"matchLabels": {"fail": "closed"}}
    config = {"clientConfig": {**nowhere, "caBundle": bundle}, "namespaceSelector": selector}
    await register(admin, "Validating", {**rules, **config, "failurePolicy": "Fail"})
    answer = await admin.create("/api/v1/namespaces/closed/configmaps", {"metadata": {"name": "foo"}})
    assert (answer.code, answer.body["reason"]) == (500, "InternalError")
    assert (await admin.create(CONFIGMAPS, {"metadata": {"name": "foo"}})).code == 201


async def test_conditions_say_who_is_asked(admin: Any, hook: AdmissionServer) -> None:
    """ "should be able to create and update validating webhook configurations with match conditions"."""
    hook.on("/no", lambda request: deny())
    rules = webhook(hook, "/no", "conditional.example.com", ["configmaps"])
    condition = {"name": "skip", "expression": "object.metadata.name != 'skip-me'"}
    await register(admin, "Validating", {**rules, "matchConditions": [condition]})
    assert (await admin.create(CONFIGMAPS, {"metadata": {"name": "skip-me"}})).code == 201
    assert (await admin.create(CONFIGMAPS, {"metadata": {"name": "a"}})).code == 400
    mine = {"name": "mine", "expression": "request.userInfo.username == 'ann'"}
    operations = [{"op": "replace", "path": "/webhooks/0/matchConditions", "value": [condition, mine]}]
    answer = await admin.patch(f"{VALIDATING}/test", operations, "json")
    assert [each["name"] for each in answer.body["webhooks"][0]["matchConditions"]] == ["skip", "mine"]
    assert (await admin.create(CONFIGMAPS, {"metadata": {"name": "a"}})).code == 201


async def test_a_condition_that_fails_counts_as_the_policy_says(admin: Any, hook: AdmissionServer) -> None:
    hook.on("/no", lambda request: deny())
    condition = {"name": "broken", "expression": "object.data.none == 'x'"}
    rules = webhook(hook, "/no", "broken.example.com", ["configmaps"], matchConditions=[condition])
    await register(admin, "Validating", rules)
    answer = await admin.create(CONFIGMAPS, {"metadata": {"name": "a"}})
    assert (answer.code, answer.body["reason"]) == (403, "Forbidden")
    assert "no such key" in answer.body["message"]
    operations = [{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]
    await admin.patch(f"{VALIDATING}/test", operations, "json")
    assert (await admin.create(CONFIGMAPS, {"metadata": {"name": "a"}})).code == 201
    assert hook.asked == []


@pytest.mark.parametrize("kind", ["Validating", "Mutating"])
async def test_conditions_that_do_not_compile_are_refused(admin: Any, hook: AdmissionServer, kind: str) -> None:
    """ "should reject … webhook configurations with invalid match conditions"."""
    condition = {"name": "invalid", "expression": "... [] bad expression"}
    rules = webhook(hook, "/no", "invalid.example.com", ["configmaps"], matchConditions=[condition])
    answer = await admin.create(MUTATING if kind == "Mutating" else VALIDATING, configuration(kind, "test", rules))
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert answer.body["details"]["causes"][0]["field"] == "webhooks[0].matchConditions[0].expression"
    assert "compilation failed" in answer.body["message"]


async def test_what_webhooks_did_is_in_the_audit_log(
    start: Any, caller: Any, hook: AdmissionServer, tmp_path: Path, eventually: Any
) -> None:
    admin = await caller(await start(audit=AuditConfig(tmp_path / "audit.log")))
    hook.on("/mark", lambda request: {**patch(add("/data", {"a": "b"})), "auditAnnotations": {"who": "me"}})
    await register(admin, "Mutating", webhook(hook, "/mark", "mark.example.com", ["configmaps"]))
    silent = webhook(hook, "/x", "silent.example.com", ["configmaps"], failurePolicy="Ignore")
    nowhere = {"service": {"namespace": "default", "name": "none"}}
    await register(admin, "Validating", {**silent, "clientConfig": nowhere})
    assert (await admin.create(CONFIGMAPS, {"metadata": {"name": "audited"}})).code == 201

    async def logged() -> Any:
        lines = (tmp_path / "audit.log").read_text().splitlines() if (tmp_path / "audit.log").exists() else []
        events = [json.loads(line) for line in lines]
        return [event for event in events if event["objectRef"].get("name") == "audited" and "responseStatus" in event]

    (event,) = await eventually(logged)
    annotations = event["annotations"]
    assert annotations["mark.example.com/who"] == "me"
    assert json.loads(annotations["mutation.webhook.admission.k8s.io/round_0_index_0"]) == {
        "configuration": "test", "webhook": "mark.example.com", "mutated": True,
    }  # fmt: skip
    assert annotations["failed-open.validating.webhook.admission.k8s.io/round_0_index_0"] == "silent.example.com"
