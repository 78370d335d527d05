"""Webhooks of admission: what they are asked, what they may change and refuse, what their silence means.

The behaviours are those of the AdmissionWebhook conformance tests, and more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from admission_server import AdmissionServer, add, allow, configuration, deny, patch, webhook

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
MUTATING = f"{REGISTRATION}/mutatingwebhookconfigurations"
VALIDATING = f"{REGISTRATION}/validatingwebhookconfigurations"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"

Register = Callable[..., Awaitable[Any]]


@pytest.fixture
async def hook() -> AsyncIterator[AdmissionServer]:
    async with AdmissionServer() as hook:
        yield hook


@pytest.fixture
async def register(admin: Any, hook: AdmissionServer) -> Register:
    """``await register(kind, name, path, resources, **fields of the webhook)`` makes a configuration of one webhook."""

    async def register(kind: str, name: str, path: str, resources: list[str], **more: Any) -> Any:
        hooks = [webhook(hook, path, f"{name}.example.com", resources, **more)]
        answer = await admin.create(MUTATING if kind == "Mutating" else VALIDATING, configuration(kind, name, *hooks))
        assert answer.code == 201, answer.body
        return answer.body

    return register


def config_map(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **more.pop("metadata", {})}, **more}


async def test_a_refusal_says_who_and_why(admin: Any, hook: AdmissionServer, register: Register) -> None:
    await register("Validating", "no", "/no", ["configmaps"])
    cases: list[tuple[dict[str, Any], int, str, str]] = [
        (deny("not today"), 400, "", "denied the request: not today"),
        (deny(), 400, "", "denied the request without explanation"),
        (deny(reason="Conflict"), 400, "Conflict", "denied the request: Conflict"),
        (deny("no", code=403, reason="Forbidden"), 403, "Forbidden", "denied the request: no"),
        ({"allowed": False, "status": None}, 400, "", "denied the request without explanation"),
        (deny("fine", code=200, status="Success"), 400, "", "denied the request: fine"),
        (deny("odd", code=1403), 400, "", "denied the request: odd"),
    ]
    for response, code, reason, message in cases:
        hook.on("/no", lambda request, response=response: response)  # type: ignore[misc]
        answer = await admin.create(CONFIGMAPS, config_map())
        assert (answer.code, answer.body.get("reason", "")) == (code, reason)
        assert answer.body["status"] == "Failure"
        assert answer.body["message"] == f'admission webhook "no.example.com" {message}'


async def test_what_a_webhook_is_asked(admin: Any, hook: AdmissionServer, register: Register) -> None:
    hook.on("/look", lambda request: allow())
    await register("Validating", "look", "/look", ["configmaps"])
    created = (await admin.create(f"{CONFIGMAPS}?fieldManager=me", config_map(data={"a": "1"}))).body
    await admin.put(f"{CONFIGMAPS}/a", config_map(data={"a": "2"}))
    await admin.patch(f"{CONFIGMAPS}/a", {"data": {"a": "3"}})
    await admin.delete(f"{CONFIGMAPS}/a", {"gracePeriodSeconds": 0})
    create, update, patched, delete = hook.of("/look")
    resource = {"group": "", "version": "v1", "resource": "configmaps"}
    kind = {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert create["kind"] == create["requestKind"] == kind
    assert create["resource"] == create["requestResource"] == resource
    assert (create["operation"], create["name"], create["namespace"]) == ("CREATE", "a", "default")
    assert create["userInfo"]["username"] == "kubernetes-admin"
    assert "system:masters" in create["userInfo"]["groups"]
    assert create["dryRun"] is False
    assert create["oldObject"] is None
    assert create["object"]["metadata"]["uid"] == created["metadata"]["uid"]
    assert (create["object"]["kind"], create["object"]["apiVersion"]) == ("ConfigMap", "v1")
    assert create["options"] == {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "me"}
    assert (update["operation"], update["object"]["data"], update["oldObject"]["data"]) == (
        "UPDATE", {"a": "2"}, {"a": "1"},
    )  # fmt: skip
    assert update["options"]["kind"] == patched["options"]["kind"] == "UpdateOptions"
    assert (patched["object"]["data"], patched["oldObject"]["data"]) == ({"a": "3"}, {"a": "2"})
    assert (delete["operation"], delete["object"], delete["oldObject"]["data"]) == ("DELETE", None, {"a": "3"})
    assert delete["options"] == {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", "gracePeriodSeconds": 0}


async def test_mutations_follow_each_other_by_the_configurations_names(
    admin: Any, hook: AdmissionServer, register: Register
) -> None:
    def step(number: str, before: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def decide(request: dict[str, Any]) -> dict[str, Any]:
            data = request["object"].get("data", {})
            return patch(add(f"/data/{number}", "yes")) if before in data else allow()

        return decide

    hook.on("/2", step("mutation-stage-2", "mutation-stage-1"))
    hook.on("/1", step("mutation-stage-1", "mutation-start"))
    await register("Mutating", "b", "/2", ["configmaps"])
    await register("Mutating", "a", "/1", ["configmaps"])
    answer = await admin.create(CONFIGMAPS, config_map(data={"mutation-start": "yes"}))
    assert answer.body["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}


async def test_a_mutated_object_is_pruned_and_defaulted(
    admin: Any, hook: AdmissionServer, register: Register, pod_of: Any
) -> None:
    container = {"name": "added", "image": "busybox:1", "madeUp": True, "ports": [{"containerPort": 80}]}
    hook.on("/pod", lambda request: patch(add("/spec/initContainers", [container])))
    await register("Mutating", "pod", "/pod", ["pods"], operations=["CREATE"])
    answer = await admin.create(PODS, pod_of("a"))
    assert answer.code == 201, answer.body
    (added,) = answer.body["spec"]["initContainers"]
    assert "madeUp" not in added
    assert added["terminationMessagePolicy"] == "File"
    assert added["ports"] == [{"containerPort": 80, "protocol": "TCP"}]


async def test_a_mutation_cannot_move_an_object_or_rename_a_live_one(
    admin: Any, hook: AdmissionServer, register: Register
) -> None:
    await admin.create("/api/v1/namespaces", {"metadata": {"name": "other"}})
    await admin.create(CONFIGMAPS, config_map("live"))
    hook.on("/move", lambda request: patch(add("/metadata/namespace", "other")))
    await register("Mutating", "move", "/move", ["configmaps"], operations=["CREATE", "UPDATE"])
    answer = await admin.create(CONFIGMAPS, config_map())
    assert (answer.code, answer.body["reason"]) == (400, "BadRequest")
    assert (await admin.get("/api/v1/namespaces/other/configmaps/a")).code == 404
    answer = await admin.patch(f"{CONFIGMAPS}/live", {"data": {"a": "b"}})
    assert (answer.code, answer.body["details"]["causes"][0]["field"]) == (422, "metadata.namespace")
    hook.on("/move", lambda request: patch({"op": "remove", "path": "/metadata"}))
    answer = await admin.create(CONFIGMAPS, config_map())
    assert answer.code == 422, answer.body


async def test_what_a_mutation_may_not_be(admin: Any, hook: AdmissionServer, register: Register) -> None:
    await register("Mutating", "bad", "/bad", ["configmaps"])
    cases: list[tuple[dict[str, Any], str]] = [
        (
            allow(patch="W10="),
            "received invalid webhook response: webhook returned response.patch but not response.patchType",
        ),
        (
            allow(patchType="JSONPatch"),
            "received invalid webhook response: webhook returned response.patchType but not response.patch",
        ),
        (allow(uid="another"), 'received invalid webhook response: expected response.uid="'),
    ]
    for response, why in cases:
        hook.on("/bad", lambda request, response=response: response)  # type: ignore[misc]
        answer = await admin.create(CONFIGMAPS, config_map())
        assert answer.code == 500
        assert answer.body["reason"] == "InternalError"
        assert f'Internal error occurred: failed calling webhook "bad.example.com": {why}' in answer.body["message"]
    hook.on("/bad", lambda request: patch({"op": "remove", "path": "/data/none"}))
    assert (await admin.create(CONFIGMAPS, config_map())).code == 500
    hook.on("/bad", lambda request: patch(add("/data", 7)))
    assert (await admin.create(CONFIGMAPS, config_map())).code == 500
    hook.on("/bad", lambda request: patch(add("/data", {})))
    answer = await admin.delete(f"{CONFIGMAPS}/none")
    assert answer.code == 404


async def test_a_deletion_cannot_be_changed(admin: Any, hook: AdmissionServer, register: Register) -> None:
    hook.on("/change", lambda request: patch(add("/data", {})))
    await admin.create(CONFIGMAPS, config_map())
    await register("Mutating", "change", "/change", ["configmaps"], operations=["DELETE"])
    answer = await admin.delete(f"{CONFIGMAPS}/a")
    assert answer.code == 500
    assert "attempted to modify the object, which is not supported for this operation" in answer.body["message"]


async def test_failing_closed_and_open(admin: Any, hook: AdmissionServer, register: Register) -> None:
    closed = {"clientConfig": {"service": {"namespace": "default", "name": "none", "path": "/x"}}}
    await register("Validating", "closed", "/x", ["configmaps"], **closed)
    answer = await admin.create(CONFIGMAPS, config_map())
    assert (answer.code, answer.body["reason"]) == (500, "InternalError")
    message = (
        'failed calling webhook "closed.example.com": failed to call webhook:'
        ' Post "https://none.default.svc:443/x?timeout=5s": service "none" not found'
    )
    assert answer.body["message"] == f"Internal error occurred: {message}"
    assert answer.body["details"]["causes"] == [{"message": message}]
    await admin.patch(
        f"{VALIDATING}/closed", [{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}], "json"
    )
    assert (await admin.create(CONFIGMAPS, config_map())).code == 201


async def test_a_silent_webhook_costs_its_timeout(admin: Any, hook: AdmissionServer, register: Register) -> None:
    await register("Validating", "silent", "/always-silent", ["configmaps"], timeoutSeconds=1)
    answer = await admin.create(CONFIGMAPS, config_map())
    assert answer.code == 500
    assert answer.body["message"].endswith('/always-silent?timeout=1s": context deadline exceeded')


async def test_rules_and_selectors_say_what_concerns_a_webhook(
    admin: Any, hook: AdmissionServer, register: Register
) -> None:
    hook.on("/no", lambda request: deny("no"))
    marked = {"matchLabels": {"hooked": "yes"}}
    await register("Validating", "object", "/no", ["configmaps"], objectSelector=marked)
    await register("Validating", "namespace", "/no", ["secrets"], namespaceSelector=marked)
    await register("Validating", "verb", "/no", ["services"], operations=["DELETE"])
    assert (await admin.create(CONFIGMAPS, config_map())).code == 201
    assert (await admin.create(CONFIGMAPS, config_map("b", metadata={"labels": {"hooked": "yes"}}))).code == 400
    assert (await admin.patch(f"{CONFIGMAPS}/a", {"metadata": {"labels": {"hooked": "yes"}}})).code == 400
    await admin.create("/api/v1/namespaces", {"metadata": {"name": "marked", "labels": {"hooked": "yes"}}})
    assert (await admin.create("/api/v1/namespaces/default/secrets", config_map())).code == 201
    assert (await admin.create("/api/v1/namespaces/marked/secrets", config_map())).code == 400
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    assert (await admin.create("/api/v1/namespaces/default/services", service)).code == 201
    assert (await admin.delete("/api/v1/namespaces/default/services/s")).code == 400


async def test_another_version_is_shown_as_the_rule_names_it(
    admin: Any, hook: AdmissionServer, register: Register
) -> None:
    hook.on("/events", lambda request: patch(add("/note", "changed")))
    await register("Mutating", "events", "/events", ["events"], groups=["events.k8s.io"], operations=["CREATE"])
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "message": "as it was",
        "reason": "Test",
        "type": "Normal",
    }
    answer = await admin.create("/api/v1/namespaces/default/events", event)
    assert answer.code == 201, answer.body
    (asked,) = hook.of("/events")
    assert asked["kind"] == {"group": "events.k8s.io", "version": "v1", "kind": "Event"}
    assert asked["requestKind"] == {"group": "", "version": "v1", "kind": "Event"}
    assert asked["object"]["apiVersion"] == "events.k8s.io/v1"
    assert asked["object"]["regarding"]["name"] == "p"
    assert (answer.body["apiVersion"], answer.body["message"]) == ("v1", "changed")


async def test_an_exact_match_policy_sees_its_own_version_only(
    admin: Any, hook: AdmissionServer, register: Register
) -> None:
    hook.on("/no", lambda request: deny())
    exact = {"matchPolicy": "Exact", "groups": ["events.k8s.io"]}
    await register("Validating", "exact", "/no", ["events"], **exact)
    event = {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}, "type": "Normal", "reason": "x"}
    assert (await admin.create("/api/v1/namespaces/default/events", event)).code == 201


async def test_a_dry_run_asks_only_who_has_no_side_effects(
    admin: Any, hook: AdmissionServer, register: Register
) -> None:
    hook.on("/look", lambda request: allow())
    await register("Validating", "clean", "/look", ["configmaps"], sideEffects="NoneOnDryRun")
    assert (await admin.create(f"{CONFIGMAPS}?dryRun=All", config_map())).code == 201
    (asked,) = hook.of("/look")
    assert asked["dryRun"] is True
    assert asked["options"]["dryRun"] == ["All"]
    await register("Validating", "dirty", "/look", ["secrets"], sideEffects="NoneOnDryRun")
    assert (await admin.delete(f"{CONFIGMAPS}/none?dryRun=All")).code == 404


async def test_warnings_reach_the_client(admin: Any, hook: AdmissionServer, register: Register) -> None:
    hook.on("/warn", lambda request: allow(warnings=["mind the gap"]))
    await register("Validating", "warn", "/warn", ["configmaps"])
    assert (await admin.create(CONFIGMAPS, config_map())).warnings == ['299 - "mind the gap"']
    assert (await admin.delete(f"{CONFIGMAPS}/a")).warnings == ['299 - "mind the gap"']


async def test_who_wants_it_is_asked_again_when_a_later_webhook_changed_something(
    admin: Any, hook: AdmissionServer, register: Register
) -> None:
    hook.on("/count", lambda request: allow())
    hook.on("/once", lambda request: allow())
    hook.on("/change", lambda request: patch(add("/data", {"changed": "yes"})))
    await register("Mutating", "a", "/count", ["configmaps"], reinvocationPolicy="IfNeeded")
    await register("Mutating", "b", "/once", ["configmaps"])
    await register("Mutating", "c", "/change", ["configmaps"], reinvocationPolicy="IfNeeded")
    assert (await admin.create(CONFIGMAPS, config_map())).body["data"] == {"changed": "yes"}
    assert [path for path, _ in hook.asked] == ["/count", "/once", "/change", "/count"]
    assert "data" not in hook.of("/count")[0]["object"]
    assert hook.of("/count")[1]["object"]["data"] == {"changed": "yes"}


async def test_configurations_themselves_are_out_of_reach(
    admin: Any, hook: AdmissionServer, register: Register
) -> None:
    """ "should not be able to mutate or prevent deletion of webhook configuration objects"."""
    hook.on("/no", lambda request: deny())
    hook.on("/mark", lambda request: patch(add("/metadata/labels", {"marked": "yes"})))
    await register("Validating", "no", "/no", ["*"], groups=["admissionregistration.k8s.io"])
    await register("Mutating", "mark", "/mark", ["*"], groups=["admissionregistration.k8s.io"])
    body = await register("Validating", "free", "/no", ["none"])
    assert "labels" not in body["metadata"]
    for path in (f"{VALIDATING}/free", f"{MUTATING}/mark", f"{VALIDATING}/no"):
        assert (await admin.delete(path)).code == 200
    assert hook.asked == []


async def test_subresources_are_shown_as_what_they_are(
    admin: Any, hook: AdmissionServer, register: Register, pod_of: Any
) -> None:
    hook.on("/look", lambda request: allow())
    subresources = ["pods/binding", "pods/eviction", "pods/status", "deployments/scale"]
    await register("Validating", "look", "/look", subresources)
    await admin.create(PODS, pod_of("a"))
    await admin.create("/api/v1/nodes", {"metadata": {"name": "pi-1"}})
    await admin.create(f"{PODS}/a/binding", {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "pi-1"}})
    await admin.patch(f"{PODS}/a/status", {"status": {"phase": "Running"}})
    await admin.create(f"{PODS}/a/eviction", {"metadata": {"name": "a"}})
    labels = {"app": "web"}
    spec = {"selector": {"matchLabels": labels}, "template": {**pod_of(""), "metadata": {"labels": labels}}}
    await admin.create(DEPLOYMENTS, {"metadata": {"name": "web"}, "spec": spec})
    await admin.patch(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 3}})
    binding, status, eviction, scale = hook.of("/look")
    assert (binding["subResource"], binding["operation"], binding["kind"]["kind"]) == ("binding", "CREATE", "Binding")
    assert (status["subResource"], status["operation"], status["kind"]["kind"]) == ("status", "UPDATE", "Pod")
    assert eviction["kind"] == {"group": "policy", "version": "v1", "kind": "Eviction"}
    assert scale["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert (scale["object"]["spec"], scale["oldObject"]["spec"]) == ({"replicas": 3}, {"replicas": 1})


async def test_a_mutated_scale_is_what_counts(
    admin: Any, hook: AdmissionServer, register: Register, pod_of: Any
) -> None:
    labels = {"app": "web"}
    spec = {"selector": {"matchLabels": labels}, "template": {**pod_of(""), "metadata": {"labels": labels}}}
    await admin.create(DEPLOYMENTS, {"metadata": {"name": "web"}, "spec": spec})
    hook.on("/cap", lambda request: patch({"op": "replace", "path": "/spec/replicas", "value": 5}))
    await register("Mutating", "cap", "/cap", ["deployments/scale"])
    answer = await admin.patch(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 100}})
    assert answer.body["spec"] == {"replicas": 5}
    assert (await admin.get(f"{DEPLOYMENTS}/web")).body["spec"]["replicas"] == 5


async def test_each_object_of_a_collection_may_be_kept(admin: Any, hook: AdmissionServer, register: Register) -> None:
    hook.on("/keep", lambda request: deny() if request["name"] == "keep" else allow())
    await admin.create(CONFIGMAPS, config_map("keep"))
    await admin.create(CONFIGMAPS, config_map("lose"))
    await register("Validating", "keep", "/keep", ["configmaps"], operations=["DELETE"])
    assert (await admin.delete(CONFIGMAPS)).code == 400
    assert sorted(request["name"] for request in hook.of("/keep")) == ["keep", "lose"]
    assert (await admin.get(f"{CONFIGMAPS}/keep")).code == 200


async def test_configurations_are_listed_and_removed_together(
    admin: Any, hook: AdmissionServer, register: Register
) -> None:
    """ "listing mutating webhooks should work", and the same of validating ones."""
    hook.on("/mark", lambda request: patch(add("/data", {"marked": "yes"})))
    hook.on("/no", lambda request: deny())
    for number in range(3):
        await register("Mutating", f"m{number}", "/mark", ["configmaps"])
        await register("Validating", f"v{number}", "/no", ["secrets"])
    assert len((await admin.get(MUTATING)).body["items"]) == len((await admin.get(VALIDATING)).body["items"]) == 3
    assert (await admin.create("/api/v1/namespaces/default/secrets", config_map())).code == 400
    assert (await admin.delete(MUTATING)).code == (await admin.delete(VALIDATING)).code == 200
    assert "data" not in (await admin.create(CONFIGMAPS, config_map())).body
    assert (await admin.create("/api/v1/namespaces/default/secrets", config_map())).code == 201


async def test_a_changed_configuration_counts_at_once(admin: Any, hook: AdmissionServer, register: Register) -> None:
    """ "patching/updating a mutating webhook should work"."""
    hook.on("/mark", lambda request: patch(add("/data", {"marked": "yes"})))
    body = await register("Mutating", "mark", "/mark", ["configmaps"], operations=["CREATE"])
    body["webhooks"][0]["rules"][0]["operations"] = ["DELETE"]
    assert (await admin.put(f"{MUTATING}/mark", body)).code == 200
    assert "data" not in (await admin.create(CONFIGMAPS, config_map("a"))).body
    operations = [{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}]
    assert (await admin.patch(f"{MUTATING}/mark", operations, "json")).code == 200
    assert (await admin.create(CONFIGMAPS, config_map("b"))).body["data"] == {"marked": "yes"}


async def test_the_resources_are_in_discovery(admin: Any) -> None:
    groups = (await admin.get("/apis")).body["groups"]
    (group,) = [group for group in groups if group["name"] == "admissionregistration.k8s.io"]
    assert group["preferredVersion"]["groupVersion"] == "admissionregistration.k8s.io/v1"
    resources = {entry["name"] for entry in (await admin.get(REGISTRATION)).body["resources"]}
    assert {"mutatingwebhookconfigurations", "validatingwebhookconfigurations"} <= resources


async def test_owners_that_a_webhook_breaks_are_brought_back(
    admin: Any, hook: AdmissionServer, register: Register
) -> None:
    """``NewManagedFieldsValidatingAdmissionController``: told of; no owners at all are the webhook's to want."""
    broken: list[tuple[dict[str, Any], str]] = [
        (add("/metadata/managedFields/0/operation", "Steal"), "operation must be `Apply` or `Update`"),
        (add("/metadata/managedFields/0/apiVersion", ""), "apiVersion must not be empty"),
        (add("/metadata/managedFields/0/fieldsType", ""), "missing fieldsType in managed fields entry 0"),
        (add("/metadata/managedFields/0/fieldsType", "V2"), 'invalid fieldsType \\"V2\\" in managed fields entry 0'),
    ]
    await register("Mutating", "owners", "/owners", ["configmaps"])
    for number, (operation, why) in enumerate(broken):
        hook.on("/owners", lambda request, operation=operation: patch(operation))  # type: ignore[misc]
        created = await admin.create(f"{CONFIGMAPS}?fieldManager=me", config_map(f"a{number}", data={"a": "1"}))
        (told,) = created.warnings
        assert told.startswith('299 - ".metadata.managedFields was in an invalid state after admission; this could be')
        assert told.endswith(f'please fix your requests: {why}"')
        changed = await admin.patch(f"{CONFIGMAPS}/a{number}", {"data": {"a": "2"}})
        assert len(changed.warnings) == 1
        for answer in (created, changed):
            owners = answer.body["metadata"]["managedFields"]
            assert owners[0]["fieldsType"] == "FieldsV1" and owners[0]["operation"] == "Update"
    hook.on("/owners", lambda request: patch({"op": "remove", "path": "/metadata/managedFields"}))
    emptied = await admin.create(CONFIGMAPS, config_map("b", data={"a": "1"}))
    assert (emptied.code, emptied.warnings) == (201, []), str(emptied.body)
    assert "managedFields" not in emptied.body["metadata"]
