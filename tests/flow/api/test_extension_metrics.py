"""What webhooks, policies and flow control do is counted, under Kubernetes' names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from admission_server import AdmissionServer, add, allow, configuration, deny, patch, webhook

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
WEBHOOK, CONDITION = "apiserver_admission_webhook_", "apiserver_admission_match_condition_"


@pytest.fixture
async def hook() -> AsyncIterator[AdmissionServer]:
    async with AdmissionServer() as hook:
        yield hook


async def figures(admin: Any) -> dict[str, float]:
    """Every sample, by name and labels."""
    lines = (await admin.get("/metrics")).body.splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {sample: float(value) for sample, _, value in samples}


async def configure(admin: Any, kind: str, name: str, hook: AdmissionServer, path: str, **more: Any) -> None:
    hooks = [webhook(hook, path, f"{name}.example.com", ["configmaps"], **more)]
    kinds = f"{REGISTRATION}/{kind.lower()}webhookconfigurations"
    assert (await admin.create(kinds, configuration(kind, name, *hooks))).code == 201


def labels(name: str, type_: str, **more: str) -> str:
    parts = {"name": f"{name}.example.com", "operation": "CREATE", "type": type_, **more}
    return "{" + ",".join(f'{key}="{value}"' for key, value in sorted(parts.items())) + "}"


async def test_webhooks(admin: Any, hook: AdmissionServer) -> None:
    quiet = [{"name": "not-quiet", "expression": "object.metadata.name != 'quiet'"}]
    broken = [{"name": "broken", "expression": "object.data.none == 'x'"}]
    await configure(admin, "Mutating", "change", hook, "/change")
    await configure(admin, "Mutating", "bad", hook, "/bad", failurePolicy="Fail")
    await configure(admin, "Mutating", "some", hook, "/ok", matchConditions=quiet)
    await configure(admin, "Mutating", "fragile", hook, "/ok", matchConditions=broken, failurePolicy="Ignore")
    await configure(admin, "Validating", "no", hook, "/no")
    await configure(admin, "Validating", "open", hook, "/broken", failurePolicy="Ignore")
    hook.on("/change", lambda request: patch(add("/data", {"a": "b"})))
    hook.on("/bad", lambda request: allow())
    hook.on("/ok", lambda request: allow())
    hook.on("/no", lambda request: deny("no", code=999))
    hook.on("/broken", lambda request: {"uid": "somebody else's"})
    assert (await admin.create(CONFIGMAPS, {"metadata": {"name": "quiet"}})).code >= 400
    hook.on("/bad", lambda request: patch({"op": "remove", "path": "/none/there"}))
    assert (await admin.create(CONFIGMAPS, {"metadata": {"name": "quiet"}})).code == 500
    found = await figures(admin)
    rejected = f"{WEBHOOK}rejection_count"
    expected = {
        f"{WEBHOOK}request_total{labels('change', 'admit', code='200', rejected='false')}": 1.0,
        f"{WEBHOOK}admission_duration_seconds_count{labels('change', 'admit', rejected='false')}": 1.0,
        f"{WEBHOOK}request_total{labels('bad', 'admit', code='0', rejected='true')}": 1.0,
        f"{rejected}{labels('bad', 'admit', error_type='apiserver_internal_error', rejection_code='0')}": 1,
        f"{WEBHOOK}request_total{labels('no', 'validating', code='600', rejected='true')}": 1.0,
        f"{rejected}{labels('no', 'validating', error_type='no_error', rejection_code='600')}": 1.0,
        f"{WEBHOOK}request_total{labels('open', 'validating', code='503', rejected='false')}": 1.0,
        f'{WEBHOOK}fail_open_count{{name="open.example.com",type="validating"}}': 1.0,
        f"{CONDITION}exclusions_total{labels('some', 'admit', kind='webhook')}": 1.0,
        f"{CONDITION}evaluation_seconds_count{labels('some', 'admit', kind='webhook')}": 1.0,
        f"{CONDITION}evaluation_errors_total{labels('fragile', 'admit', kind='webhook')}": 1.0,
    }
    assert {sample: found.get(sample) for sample in expected} == expected


def policy(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}
    constraints = {"matchConstraints": {"resourceRules": [rule]}}
    return {"kind": f"{kind}AdmissionPolicy", "metadata": {"name": name}, "spec": {**constraints, **spec}}


async def bind(admin: Any, kind: str, made: dict[str, Any], **spec: Any) -> None:
    name = made["metadata"]["name"]
    policies = f"{REGISTRATION}/{kind.lower()}admissionpolicies"
    answer = await admin.create(policies, made)
    assert answer.code == 201, answer.body
    bound = {"metadata": {"name": "b"}, "spec": {"policyName": name, **spec}}
    answer = await admin.create(policies.replace("policies", "policybindings"), bound)
    assert answer.code == 201, answer.body


async def test_policies(admin: Any) -> None:
    spec: dict[str, Any] = {
        "validations": [{"expression": "object.metadata.name != 'b'"}, {"expression": "object.data.x == ''"}]
    }
    await bind(
        admin, "Validating", policy("Validating", "v", failurePolicy="Ignore", **spec), validationActions=["Deny"]
    )
    change = "Object{metadata: Object.metadata{labels: {'a': object.metadata.name == 'c' ? object.data.x : 'd'}}}"
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": change}}
    spec = {"mutations": [mutation], "reinvocationPolicy": "Never", "failurePolicy": "Ignore"}
    await bind(admin, "Mutating", policy("Mutating", "m", **spec))
    codes = [(await admin.create(CONFIGMAPS, {"metadata": {"name": name}})).code for name in "abc"]
    assert codes == [201, 422, 201]
    found = await figures(admin)
    checks, names = "apiserver_validating_admission_policy_check_", 'policy="v",policy_binding="b"'
    mutated, mutations = 'policy="m",policy_binding="b"', "apiserver_mutating_admission_policy_check_"
    expected = {
        f'{checks}total{{enforcement_action="allow",error_type="invalid_error",{names}}}': 3.0,
        f'{checks}total{{enforcement_action="deny",error_type="invalid_error",{names}}}': 1.0,
        f'{checks}duration_seconds_count{{enforcement_action="deny",error_type="invalid_error",{names}}}': 1.0,
        f'{mutations}total{{error_type="no_error",{mutated}}}': 2.0,
        f'{mutations}total{{error_type="invalid_error",{mutated}}}': 1.0,
    }
    assert {sample: found.get(sample) for sample in expected} == expected
