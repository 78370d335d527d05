"""Admission policies, over the wire: what they refuse, warn of and change, with their parameters and bindings.

"Conformance" names titles of upstream's conformance tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from definitions import define, definition, version, widget

from picluster.apiserver.server import ApiServer
from tests.flow.api.conftest import Caller

GROUP = "/apis/admissionregistration.k8s.io/v1"
VALIDATING, VALIDATING_BINDINGS = f"{GROUP}/validatingadmissionpolicies", f"{GROUP}/validatingadmissionpolicybindings"
MUTATING, MUTATING_BINDINGS = f"{GROUP}/mutatingadmissionpolicies", f"{GROUP}/mutatingadmissionpolicybindings"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def rule(group: str, resource: str, *operations: str) -> dict[str, Any]:
    return {
        "apiGroups": [group], "apiVersions": ["v1"], "operations": list(operations) or ["CREATE", "UPDATE"],
        "resources": [resource],
    }  # fmt: skip


CONFIGMAP_RULE, DEPLOYMENT_RULE = rule("", "configmaps"), rule("apps", "deployments")


def validating(name: str, *validations: dict[str, Any], **spec: Any) -> dict[str, Any]:
    body = {"matchConstraints": {"resourceRules": [CONFIGMAP_RULE]}, "validations": list(validations), **spec}
    return {"metadata": {"name": name}, "spec": body}


def mutating(name: str, *mutations: dict[str, Any], **spec: Any) -> dict[str, Any]:
    body = {
        "matchConstraints": {"resourceRules": [CONFIGMAP_RULE]}, "mutations": list(mutations),
        "reinvocationPolicy": "Never", **spec,
    }  # fmt: skip
    return {"metadata": {"name": name}, "spec": body}


def binding(name: str, policy: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"policyName": policy, **spec}}


def applies(expression: str) -> dict[str, Any]:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patches(expression: str) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def configmap(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


def deployment(name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


async def enforce(admin: Caller, policy: dict[str, Any], actions: list[str] | None = None, **spec: Any) -> None:
    """Create a policy and bind it."""
    name = policy["metadata"]["name"]
    is_mutating = "mutations" in policy["spec"]
    answer = await admin.create(MUTATING if is_mutating else VALIDATING, policy)
    assert answer.code == 201, answer.body
    if not is_mutating:
        spec["validationActions"] = actions or ["Deny"]
    answer = await admin.create(MUTATING_BINDINGS if is_mutating else VALIDATING_BINDINGS, binding("b", name, **spec))
    assert answer.code == 201, answer.body


async def refusal(admin: Caller, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await admin.create(path, body)
    assert answer.code >= 400, answer.body
    status: dict[str, Any] = answer.body
    return status


async def test_should_validate_against_a_deployment(admin: Caller) -> None:
    """Conformance: ValidatingAdmissionPolicy should validate against a Deployment."""
    told = "'wants replicas > 1, got ' + string(object.spec.replicas)"
    policy = validating(
        "p",
        {"expression": "object.spec.replicas > 1", "messageExpression": told},
        {"expression": "namespaceObject.metadata.name == params.metadata.name", "message": "Another namespace"},
        matchConstraints={"resourceRules": [DEPLOYMENT_RULE]},
        paramKind={"apiVersion": "v1", "kind": "Namespace"},
    )
    param = {"name": "default", "parameterNotFoundAction": "Deny"}
    selected = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}
    await enforce(admin, policy, paramRef=param, matchResources=selected)
    status = await refusal(admin, DEPLOYMENTS, deployment("web", 1))
    assert status["code"] == 422
    assert status["reason"] == "Invalid"
    message = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: wants replicas > 1, got 1"
    assert status["message"] == f'deployments.apps "web" is forbidden: {message}'
    assert status["details"]["causes"] == [{"message": message}]
    assert (await admin.create(DEPLOYMENTS, deployment("web", 2))).code == 201


@pytest.mark.parametrize(
    ("collection", "body"),
    [
        (VALIDATING, validating("x", {"expression": "object.metadata.name != 'no'"})),
        (VALIDATING_BINDINGS, binding("x", "p", validationActions=["Deny"])),
        (MUTATING, mutating("x", applies("Object{}"))),
        (MUTATING_BINDINGS, binding("x", "p")),
    ],
    ids=["policy", "binding", "mutating policy", "mutating binding"],
)
async def test_api_operations(admin: Caller, collection: str, body: dict[str, Any]) -> None:
    """Conformance: should support … API operations, of all four kinds."""
    path = f"{collection}/x"
    watch = await admin.watch(collection)
    assert (await admin.create(collection, body)).code == 201
    assert (await watch.next())["type"] == "ADDED"
    assert (await admin.get(path)).body["spec"].get("failurePolicy", "Fail") == "Fail"
    assert [item["metadata"]["name"] for item in (await admin.get(collection)).body["items"]] == ["x"]
    patched = await admin.patch(path, {"metadata": {"labels": {"patched": "true"}}})
    assert patched.body["metadata"]["labels"] == {"patched": "true"}
    current = (await admin.get(path)).body
    current["metadata"]["annotations"] = {"updated": "true"}
    assert (await admin.put(path, current)).code == 200
    assert (await admin.delete(path)).code == 200
    assert (await admin.get(path)).code == 404
    assert (await admin.create(collection, body)).code == 201
    assert (await admin.delete(collection)).code == 200
    assert (await admin.get(collection)).body["items"] == []


async def test_nothing_happens_without_a_binding(admin: Caller) -> None:
    assert (await admin.create(VALIDATING, validating("p", {"expression": "false"}))).code == 201
    assert (await admin.create(CONFIGMAPS, configmap("a"))).code == 201


async def test_a_binding_narrows_down_and_can_be_taken_away(admin: Caller) -> None:
    match = {"objectSelector": {"matchLabels": {"watched": "yes"}}}
    await enforce(admin, validating("p", {"expression": "false"}), matchResources=match)
    assert (await admin.create(CONFIGMAPS, configmap("a"))).code == 201
    watched = configmap("b")
    watched["metadata"]["labels"] = {"watched": "yes"}
    status = await refusal(admin, CONFIGMAPS, watched)
    assert "'p' with binding 'b' denied request: failed expression: false" in status["message"]
    assert (await admin.delete(f"{VALIDATING_BINDINGS}/b")).code == 200
    assert (await admin.create(CONFIGMAPS, watched)).code == 201


async def test_reasons_become_codes(admin: Caller) -> None:
    await enforce(admin, validating("p", {"expression": "false", "message": "no", "reason": "Forbidden"}))
    status = await refusal(admin, CONFIGMAPS, configmap("a"))
    assert (status["code"], status["reason"]) == (403, "Forbidden")


async def test_warnings_instead_of_refusals(admin: Caller) -> None:
    await enforce(admin, validating("p", {"expression": "false", "message": "mind this"}), ["Warn", "Audit"])
    answer = await admin.create(CONFIGMAPS, configmap("a"))
    assert answer.code == 201
    told = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': mind this"
    assert answer.warnings == [f'299 - "{told}"']


async def test_conditions_variables_and_old_objects(admin: Caller) -> None:
    told = "'changed by ' + request.userInfo.username + ' in ' + request.operation"
    policy = validating(
        "p",
        {"expression": "variables.kept", "messageExpression": told},
        variables=[
            {"name": "old", "expression": "oldObject.data.key"},
            {"name": "kept", "expression": "variables.old == object.data.key"},
        ],
        matchConditions=[{"name": "updates", "expression": "request.operation == 'UPDATE' && has(oldObject.data)"}],
    )  # fmt: skip
    await enforce(admin, policy)
    assert (await admin.create(CONFIGMAPS, configmap("a", key="1"))).code == 201
    answer = await admin.put(f"{CONFIGMAPS}/a", configmap("a", key="2"))
    assert answer.code == 422
    assert answer.body["message"].endswith("denied request: changed by kubernetes-admin in UPDATE")
    assert (await admin.put(f"{CONFIGMAPS}/a", configmap("a", key="1", more="x"))).code == 200


async def test_deletions_have_an_old_object_only(admin: Caller) -> None:
    deletes = {"resourceRules": [rule("", "configmaps", "DELETE")]}
    check = {"expression": "object == null && oldObject.data.mayGo == 'yes'", "message": "stays"}
    await enforce(admin, validating("p", check, matchConstraints=deletes))
    for name, answer in (("a", "no"), ("b", "yes")):
        assert (await admin.create(CONFIGMAPS, configmap(name, mayGo=answer))).code == 201
    assert (await admin.delete(f"{CONFIGMAPS}/a")).code == 422
    assert (await admin.delete(f"{CONFIGMAPS}/b")).code == 200


async def test_failing_expressions_and_the_failure_policy(admin: Caller) -> None:
    await enforce(admin, validating("p", {"expression": "object.data.missing == 'x'"}))
    status = await refusal(admin, CONFIGMAPS, configmap("a", key="1"))
    why = "expression 'object.data.missing == 'x'' resulted in error: no such key: missing"
    assert status["message"].endswith(f"denied request: {why}")
    lenient = (await admin.get(f"{VALIDATING}/p")).body
    lenient["spec"]["failurePolicy"] = "Ignore"
    assert (await admin.put(f"{VALIDATING}/p", lenient)).code == 200
    assert (await admin.create(CONFIGMAPS, configmap("a", key="1"))).code == 201


async def test_parameters_by_selector_and_when_there_are_none(admin: Caller) -> None:
    policy = validating(
        "p",
        {"expression": "params == null || !(object.metadata.name in params.data)"},
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        matchConstraints={"resourceRules": [rule("", "secrets")]},
    )
    reference = {"selector": {"matchLabels": {"list": "no"}}, "parameterNotFoundAction": "Allow"}
    await enforce(admin, policy, paramRef=reference)
    secrets = "/api/v1/namespaces/default/secrets"
    assert (await admin.create(secrets, {"metadata": {"name": "a"}})).code == 201
    for number in ("1", "2"):
        listed = configmap(f"list-{number}", **{f"b{number}": ""})
        listed["metadata"]["labels"] = {"list": "no"}
        assert (await admin.create(CONFIGMAPS, listed)).code == 201
    assert (await admin.create(secrets, {"metadata": {"name": "b2"}})).code == 422
    assert (await admin.create(secrets, {"metadata": {"name": "b3"}})).code == 201


async def test_missing_parameters_deny(admin: Caller) -> None:
    policy = validating("p", {"expression": "true"}, paramKind={"apiVersion": "v1", "kind": "ConfigMap"})
    await enforce(admin, policy, paramRef={"name": "gone", "parameterNotFoundAction": "Deny"})
    status = await refusal(admin, CONFIGMAPS, configmap("a"))
    why = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
    assert status["message"].endswith(f"'p' with binding 'b' denied request: {why}")


async def test_an_unknown_parameter_kind_denies(admin: Caller) -> None:
    policy = validating("p", {"expression": "true"}, paramKind={"apiVersion": "example.com/v1", "kind": "Limit"})
    await enforce(admin, policy, paramRef={"name": "x", "parameterNotFoundAction": "Deny"})
    status = await refusal(admin, CONFIGMAPS, configmap("a"))
    why = "failed to configure policy: failed to find resource referenced by paramKind: 'example.com/v1, Kind=Limit'"
    assert status["message"].endswith(f"ValidatingAdmissionPolicy 'p' denied request: {why}")


async def test_the_authorizer_knows_what_the_caller_may_do(
    admin: Caller, server: ApiServer, caller: Callable[..., Awaitable[Caller]]
) -> None:
    check = "authorizer.group('').resource('configmaps').namespace('default').check('create').allowed()"
    who = "authorizer.serviceAccount('default', 'default').group('').resource('pods').check('list').allowed()"
    await enforce(admin, validating("p", {"expression": f"{check} && !{who}"}))
    assert (await admin.create(CONFIGMAPS, configmap("a"))).code == 201


async def test_policies_do_not_stand_in_their_own_way(admin: Caller) -> None:
    everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
    await enforce(admin, validating("p", {"expression": "false"}, matchConstraints={"resourceRules": [everything]}))
    assert (await admin.create(CONFIGMAPS, configmap("a"))).code == 422
    assert (await admin.delete(f"{VALIDATING_BINDINGS}/b")).code == 200
    assert (await admin.delete(f"{VALIDATING}/p")).code == 200
    assert (await admin.create(CONFIGMAPS, configmap("a"))).code == 201


async def test_should_mutate_a_deployment_with_annotations(admin: Caller) -> None:
    """Conformance: MutatingAdmissionPolicy should mutate a Deployment with annotations."""
    expression = "Object{metadata: Object.metadata{annotations: {'my-annotation': 'my-value'}}}"
    constraints = {"resourceRules": [DEPLOYMENT_RULE]}
    await enforce(admin, mutating("p", applies(expression), matchConstraints=constraints))
    answer = await admin.create(DEPLOYMENTS, deployment("web", 1))
    assert answer.code == 201
    assert answer.body["metadata"]["annotations"]["my-annotation"] == "my-value"


async def test_a_merged_container_is_found_by_its_name(admin: Caller, pod_of: Callable[..., dict[str, Any]]) -> None:
    expression = (
        "Object{spec: Object.spec{initContainers: [Object.spec.initContainers{name: 'mesh', image: 'mesh:1'}],"
        " containers: object.spec.containers.map(c, Object.spec.containers{name: c.name, imagePullPolicy: 'Always'})}}"
    )
    constraints = {"resourceRules": [rule("", "pods", "CREATE")]}
    await enforce(admin, mutating("p", applies(expression), matchConstraints=constraints))
    spec = (await admin.create("/api/v1/namespaces/default/pods", pod_of("a"))).body["spec"]
    assert [(each["name"], each["image"]) for each in spec["initContainers"]] == [("mesh", "mesh:1")]
    assert [(each["name"], each["imagePullPolicy"]) for each in spec["containers"]] == [("main", "Always")]


async def test_json_patches_with_parameters_and_variables(admin: Caller) -> None:
    expression = (
        "[JSONPatch{op: 'test', path: '/metadata/name', value: 'a'},"
        " JSONPatch{op: 'add', path: '/metadata/labels', value: {}},"
        " JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('example.com/env'),"
        "  value: variables.env}]"
    )
    policy = mutating(
        "p", patches(expression), variables=[{"name": "env", "expression": "object.data.env.lowerAscii()"}],
    )  # fmt: skip
    await enforce(admin, policy)
    answer = await admin.create(CONFIGMAPS, configmap("a", env="PROD"))
    assert answer.body["metadata"]["labels"] == {"example.com/env": "prod"}
    other = await admin.create(CONFIGMAPS, configmap("other", env="PROD"))
    assert (other.code, other.body["metadata"].get("labels")) == (201, None)


async def test_json_patches_that_do_not_fit_refuse(admin: Caller) -> None:
    await enforce(admin, mutating("p", patches("[JSONPatch{op: 'remove', path: '/data/gone'}]")))
    status = await refusal(admin, CONFIGMAPS, configmap("a", there="x"))
    assert status["message"].startswith("policy 'p' with binding 'b' denied request: JSONPatch: ")
    assert "gone" in status["message"]


async def test_mutations_that_cannot_be_made_refuse(admin: Caller) -> None:
    await enforce(admin, mutating("p", applies("Object{spec: Object.spec{nope: 1}}")))
    status = await refusal(admin, CONFIGMAPS, configmap("a"))
    assert status["code"] == 403
    assert status["message"].startswith("policy 'p' with binding 'b' denied request: error applying patch: ")
    assert status["details"]["causes"][0]["message"] == status["message"]


async def test_atomic_lists_are_not_replaced_by_accident(admin: Caller, pod_of: Callable[..., dict[str, Any]]) -> None:
    expression = "Object{spec: Object.spec{tolerations: [Object.spec.tolerations{key: 'x'}]}}"
    constraints = {"resourceRules": [rule("", "pods", "CREATE")]}
    await enforce(admin, mutating("p", applies(expression), matchConstraints=constraints))
    status = await refusal(admin, "/api/v1/namespaces/default/pods", pod_of("a"))
    assert "may not mutate atomic arrays, maps or structs: .spec.tolerations" in status["message"]


async def test_an_eligible_policy_runs_again_when_another_changed_the_object(admin: Caller) -> None:
    count = "int(object.?data.?runs.orValue('0')) + 1"
    first = mutating(
        "a", applies(f"Object{{data: {{'runs': string({count}), 'seen': object.?data.?late.orValue('none')}}}}"),
        reinvocationPolicy="IfNeeded",
    )  # fmt: skip
    await enforce(admin, first)
    late = mutating("z", applies("Object{data: {'late': 'yes'}}"))
    assert (await admin.create(MUTATING, late)).code == 201
    assert (await admin.create(MUTATING_BINDINGS, binding("z", "z"))).code == 201
    data = (await admin.create(CONFIGMAPS, configmap("a"))).body["data"]
    assert data == {"runs": "2", "seen": "yes", "late": "yes"}


@pytest.mark.parametrize(
    ("policy", "path", "message"),
    [
        (
            validating("p", {"expression": "object.a +"}),
            "spec.validations[0].expression",
            "compilation failed: ERROR: <input>:1:11: Syntax error: mismatched input '<EOF>' expecting",
        ),
        (
            validating("p", {"expression": "object.metadata.name"}),
            "spec.validations[0].expression",
            "must evaluate to bool but got dyn",
        ),
        (
            validating("p", {"expression": "true", "messageExpression": "params.x"}),
            "spec.validations[0].messageExpression",
            "compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in container '')",
        ),
        (
            validating("p", {"expression": "variables.b"}, variables=[{"name": "a", "expression": "1"}]),
            "spec.validations[0].expression",
            "compilation failed: ERROR: <input>:1:10: undefined field 'b'",
        ),
        (
            validating("p", {"expression": "true"}, variables=[{"name": "a", "expression": "1 + true"}]),
            "spec.variables[0].expression",
            "compilation failed: ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, bool)'",
        ),
        (
            validating("p", {"expression": "true"}, matchConditions=[{"name": "c", "expression": "request.nope"}]),
            "spec.matchConditions[0].expression",
            "compilation failed: ERROR: <input>:1:8: undefined field 'nope'",
        ),
        (
            validating("p", {"expression": "true"}, auditAnnotations=[{"key": "k", "valueExpression": "1"}]),
            "spec.auditAnnotations[0].valueExpression",
            "must evaluate to one of [string null_type] but got int",
        ),
        (
            mutating("p", applies("[JSONPatch{}]")),
            "spec.mutations[0].applyConfiguration.expression",
            "must evaluate to Object but got list(JSONPatch)",
        ),
        (
            mutating("p", patches("[JSONPatch{op: 1}]")),
            "spec.mutations[0].jsonPatch.expression",
            "ERROR: <input>:1:14: expected type of field 'op' is 'string' but provided type is 'int'",
        ),
    ],
)
async def test_expressions_are_checked_when_a_policy_is_written(
    admin: Caller, policy: dict[str, Any], path: str, message: str
) -> None:
    answer = await admin.create(MUTATING if "mutations" in policy["spec"] else VALIDATING, policy)
    assert answer.code == 422
    causes = answer.body["details"]["causes"]
    assert [cause["field"] for cause in causes] == [path]
    assert message in causes[0]["message"]


@pytest.mark.parametrize("kind", ["validating", "mutating"])
async def test_webhooks_with_invalid_match_conditions_are_rejected(admin: Caller, kind: str) -> None:
    """Conformance: AdmissionWebhook should reject … webhook configurations with invalid match conditions."""
    hook = {
        "name": "invalid.match.example.com",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "sideEffects": "None",
        "rules": [CONFIGMAP_RULE],
        "matchConditions": [{"name": "expression-1", "expression": "... [] bad expression"}],
    }
    answer = await admin.create(f"{GROUP}/{kind}webhookconfigurations", {"metadata": {"name": "w"}, "webhooks": [hook]})
    assert answer.code == 422
    assert "compilation failed" in answer.body["message"]


async def checked(admin: Caller, name: str, generation: int) -> dict[str, Any]:
    """The status of a policy once it is that of ``generation``."""
    for _ in range(500):
        status: dict[str, Any] = (await admin.get(f"{VALIDATING}/{name}")).body.get("status") or {}
        if status.get("observedGeneration") == generation:
            return status
        await asyncio.sleep(0.01)
    raise AssertionError(f"the policy has not been checked: {status}")


async def test_the_status_warns_of_fields_that_are_not_there(admin: Caller) -> None:
    policy = validating(
        "p",
        {"expression": "object.spec.replcas > 1", "messageExpression": "'at least ' + variables.least"},
        {"expression": "object.spec.replicas > int(params.data.max) && variables.least > 0"},
        variables=[{"name": "least", "expression": "object.spec.replicas"}],
        matchConstraints={"resourceRules": [DEPLOYMENT_RULE, rule("*", "pods")]},
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
    )
    assert (await admin.create(VALIDATING, policy)).code == 201
    found = (await checked(admin, "p", 1))["typeChecking"]["expressionWarnings"]
    assert found == [
        {
            "fieldRef": "spec.validations[0].expression",
            "warning": "apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'replcas'\n"
            " | object.spec.replcas > 1\n | ...........^\n",
        },
        {
            "fieldRef": "spec.validations[0].messageExpression",
            "warning": "apps/v1, Kind=Deployment: ERROR: <input>:1:13: found no matching overload for '_+_' applied to"
            " '(string, int)'\n | 'at least ' + variables.least\n | ............^\n",
        },
    ]
    repaired = (await admin.get(f"{VALIDATING}/p")).body
    del repaired["spec"]["validations"][0]
    assert (await admin.put(f"{VALIDATING}/p", repaired)).body["metadata"]["generation"] == 2
    assert (await checked(admin, "p", 2))["typeChecking"] == {}


WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
WIDGET_RULE = {**rule("", "widgets"), "apiGroups": ["example.com"]}
SIZED = {"spec": {"type": "object", "properties": {"size": {"type": "integer"}, "tags": {
    "type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set",
}}}}  # fmt: skip


async def test_custom_resources_are_judged_by_custom_parameters(admin: Caller) -> None:
    """Conformance: the policy tells by the schema of a custom resource what may be wrong, and runs nevertheless."""
    await define(admin, definition(version(schema=SIZED)))
    limits = {"spec": {"type": "object", "properties": {"max": {"type": "integer"}}}}
    await define(admin, definition(version(schema=limits), kind="Limit"))
    policy = validating(
        "p",
        {"expression": "object.spec.size <= params.spec.max", "messageExpression": "'at most ' + params.spec.maxx"},
        matchConstraints={"resourceRules": [WIDGET_RULE]},
        paramKind={"apiVersion": "example.com/v1", "kind": "Limit"},
    )
    await enforce(admin, policy, paramRef={"name": "small", "parameterNotFoundAction": "Deny"})
    found = (await checked(admin, "p", 1))["typeChecking"]["expressionWarnings"]
    assert [warning["fieldRef"] for warning in found] == ["spec.validations[0].messageExpression"]
    assert "example.com/v1, Kind=Widget: ERROR: <input>:1:25: undefined field 'maxx'" in found[0]["warning"]
    limit = {"apiVersion": "example.com/v1", "kind": "Limit", "metadata": {"name": "small"}, "spec": {"max": 2}}
    assert (await admin.create("/apis/example.com/v1/namespaces/default/limits", limit)).code == 201
    status = await refusal(admin, WIDGETS, {**widget(), "spec": {"size": 3}})
    assert status["message"].endswith("denied request: failed expression: object.spec.size <= params.spec.max")
    assert (await admin.create(WIDGETS, {**widget(), "spec": {"size": 2}})).code == 201


async def test_custom_resources_are_mutated_by_their_schema(admin: Caller) -> None:
    await define(admin, definition(version(schema=SIZED)))
    constraints = {"resourceRules": [WIDGET_RULE]}
    applied = applies("Object{spec: Object.spec{tags: ['policy'], nope: 1}}")
    refused = mutating("p", applied, matchConstraints=constraints)
    await enforce(admin, refused)
    status = await refusal(admin, WIDGETS, {**widget(), "spec": {"tags": ["mine"]}})
    assert ".spec.nope: field not declared in schema" in status["message"]
    policy = (await admin.get(f"{MUTATING}/p")).body
    policy["spec"]["mutations"] = [
        applies("Object{spec: Object.spec{tags: ['policy']}}"),
        patches("[JSONPatch{op: 'add', path: '/spec/size', value: object.spec.tags.size()}]"),
    ]
    assert (await admin.put(f"{MUTATING}/p", policy)).code == 200
    created = await admin.create(WIDGETS, {**widget(), "spec": {"tags": ["mine"]}})
    assert created.body["spec"] == {"tags": ["mine", "policy"], "size": 2}


async def test_scaling_is_seen_as_a_scale(admin: Caller) -> None:
    scales = {"resourceRules": [rule("apps", "deployments/scale", "UPDATE")]}
    seen = (
        "request.kind.kind == 'Scale' && request.subResource == 'scale' && request.resource.resource == 'deployments'"
    )
    policy = validating("p", {"expression": f"{seen} && object.spec.replicas < 5"}, matchConstraints=scales)
    await enforce(admin, policy)
    assert (await admin.create(DEPLOYMENTS, deployment("web", 1))).code == 201
    path = f"{DEPLOYMENTS}/web/scale"
    assert (await admin.patch(path, {"spec": {"replicas": 3}})).code == 200
    assert (await admin.patch(path, {"spec": {"replicas": 5}})).code == 422


async def test_namespaces_are_judged_without_a_namespace(admin: Caller) -> None:
    named = {"resourceRules": [rule("", "namespaces", "CREATE")]}
    check = "namespaceObject == null && request.name.startsWith('team-')"
    await enforce(admin, validating("p", {"expression": check, "message": "call it team-…"}, matchConstraints=named))
    assert (await admin.create("/api/v1/namespaces", {"metadata": {"name": "team-a"}})).code == 201
    assert (await admin.create("/api/v1/namespaces", {"metadata": {"name": "other"}})).code == 422


POLICY_WRITER = [
    {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["*"], "verbs": ["create", "update", "patch", "get"]},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
]


@pytest.mark.parametrize(("resource", "bindings"), [(VALIDATING, VALIDATING_BINDINGS), (MUTATING, MUTATING_BINDINGS)])
async def test_who_may_not_read_parameters_may_not_have_them_read(admin: Caller, resource: str, bindings: str) -> None:
    roles = "/apis/rbac.authorization.k8s.io/v1"
    await admin.create(f"{roles}/clusterroles", {"metadata": {"name": "writer"}, "rules": POLICY_WRITER})
    bound = {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "writer"},
             "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann"}]}  # fmt: skip
    await admin.create(f"{roles}/clusterrolebindings", {"metadata": {"name": "writer"}, **bound})
    make = validating if resource == VALIDATING else mutating
    part = {"expression": "true"} if resource == VALIDATING else applies("Object{}")

    def reading(kind: str) -> dict[str, Any]:
        return make("p", part, paramKind={"apiVersion": "v1", "kind": kind})

    ann = {"Impersonate_User": "ann"}
    refused = await admin.create(resource, reading("Secret"), **ann)
    assert (refused.code, [cause["field"] for cause in refused.body["details"]["causes"]]) == (422, ["spec.paramKind"])
    assert refused.body["details"]["causes"][0]["message"] == (
        'Forbidden: user &{ann  [system:authenticated] map[]} must have "get" permission on all objects of the'
        " referenced paramKind (kind=Secret, apiVersion=v1)"
    )
    assert (await admin.create(resource, reading("ConfigMap"), **ann)).code == 201
    patched = await admin("PATCH", f"{resource}/p", {"spec": {"paramKind": {"apiVersion": "v1", "kind": "Secret"}}},
                          Content_Type="application/merge-patch+json", **ann)  # fmt: skip
    assert patched.code == 422
    spec: dict[str, Any] = {"validationActions": ["Deny"]} if resource == VALIDATING else {}
    reference = {"name": "a", "namespace": "default", "parameterNotFoundAction": "Deny"}
    assert (await admin.create(bindings, binding("b", "p", paramRef=reference, **spec), **ann)).code == 201
    refused = await admin.create(bindings, binding("c", "unknown", paramRef=reference, **spec), **ann)
    assert refused.body["details"]["causes"][0]["message"] == (
        'Forbidden: user &{ann  [system:authenticated] map[]} does not have "get" permission on the object referenced'
        " by paramRef"
    )
