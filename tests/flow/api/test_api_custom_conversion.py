"""Versions of custom resources that a webhook converts, as conformance has it: v1 has hostPort, v2 host and port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from admission_server import AdmissionServer, configuration, patch, webhook
from aiohttp import web
from definitions import define, definition, version, widget
from https_server import HttpsServer

V1 = "/apis/example.com/v1/namespaces/default/widgets"
V2 = "/apis/example.com/v2/namespaces/default/widgets"
HOST_PORT = {"hostPort": {"type": "string"}}
HOST_AND_PORT = {"host": {"type": "string"}, "port": {"type": "string"}, "mood": {"type": "string", "default": "good"}}


class Converter(HttpsServer):
    """Converts between the two; ``reviews`` are the requests, ``broken`` what it says instead."""

    def __init__(self) -> None:
        super().__init__(self._serve)
        self.reviews: list[Any] = []
        self.broken: Any = None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        review = await request.json()
        self.reviews.append(review["request"])
        wanted = review["request"]["desiredAPIVersion"]
        response = self.broken or {
            "uid": review["request"]["uid"],
            "result": {"status": "Success"},
            "convertedObjects": [_converted(obj, wanted) for obj in review["request"]["objects"]],
        }
        return web.json_response({"kind": review["kind"], "apiVersion": review["apiVersion"], "response": response})


def _converted(obj: Any, wanted: str) -> Any:
    if wanted == "example.com/v2":
        host, _, port = obj.pop("hostPort", ":").partition(":")
        obj |= {"host": host, "port": port}
    else:
        obj["hostPort"] = f"{obj.pop('host', '')}:{obj.pop('port', '')}"
    metadata = {**obj["metadata"], "labels": {**obj["metadata"].get("labels", {}), "seen": "yes"}, "generation": 99}
    return {**obj, "apiVersion": wanted, "metadata": metadata}


@pytest.fixture
async def converter(admin: Any) -> AsyncIterator[Converter]:
    async with Converter() as converter:
        config = {"url": f"{converter.url}/convert", "caBundle": converter.ca_bundle}
        webhook = {"clientConfig": config, "conversionReviewVersions": ["v1", "v1beta1"]}
        selectable = {"selectableFields": [{"jsonPath": ".host"}]}
        versions = [version("v1", HOST_PORT), version("v2", HOST_AND_PORT, storage=False, **selectable)]
        await define(admin, definition(*versions, conversion={"strategy": "Webhook", "webhook": webhook}))
        yield converter


async def test_objects_are_read_and_written_in_both_versions(admin: Any, converter: Converter) -> None:
    created = await admin.create(V1, widget(hostPort="localhost:8080"))
    assert converter.reviews == []
    shown = (await admin.get(f"{V2}/a")).body
    assert (shown["apiVersion"], shown["host"], shown["port"]) == ("example.com/v2", "localhost", "8080")
    assert shown["metadata"]["labels"] == {"seen": "yes"}
    assert shown["metadata"]["generation"] == created.body["metadata"]["generation"]
    assert shown["metadata"]["resourceVersion"] == created.version
    assert converter.reviews[-1]["desiredAPIVersion"] == "example.com/v2"
    changed = await admin.put(f"{V2}/a", {**shown, "port": "9090"})
    assert (changed.code, changed.body["port"]) == (200, "9090")
    assert (await admin.get(f"{V1}/a")).body["hostPort"] == "localhost:9090"
    made = await admin.create(V2, widget("b", "example.com/v2", host="h", port="1"))
    assert (made.code, made.body["host"]) == (201, "h")


async def test_a_list_is_one_review(admin: Any, converter: Converter) -> None:
    for name in "abc":
        await admin.create(V1, widget(name, hostPort=f"{name}:1"))
    listed = (await admin.get(V2)).body
    assert [item["host"] for item in listed["items"]] == ["a", "b", "c"]
    assert [len(review["objects"]) for review in converter.reviews] == [3]


async def test_a_watch_shows_the_version_it_asks_for(admin: Any, converter: Converter) -> None:
    created = await admin.create(V1, widget(hostPort="a:1"))
    watch = await admin.watch(f"{V2}?allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan")
    first = await watch.next()
    assert (first["type"], first["object"]["apiVersion"], first["object"]["host"]) == ("ADDED", "example.com/v2", "a")
    bookmark = await watch.next()
    assert (bookmark["type"], bookmark["object"]["apiVersion"]) == ("BOOKMARK", "example.com/v2")
    await admin.patch(f"{V1}/a", {"hostPort": "b:2"})
    assert (await watch.next())["object"]["port"] == "2"
    await admin.delete(f"{V1}/a")
    last = await watch.next()
    assert (last["type"], last["object"]["host"]) == ("DELETED", "b")
    resumed = await admin.watch(f"{V2}?resourceVersion={created.version}")
    assert [(await resumed.next())["type"] for _ in range(2)] == ["MODIFIED", "DELETED"]


async def test_fields_are_selected_by_once_they_are_converted(admin: Any, converter: Converter) -> None:
    for name, host in (("a", "red"), ("b", "blue")):
        assert (await admin.create(V1, widget(name, hostPort=f"{host}:1"))).code == 201
    red = f"{V2}?fieldSelector=host%3Dred"
    assert [item["metadata"]["name"] for item in (await admin.get(red)).body["items"]] == ["a"]
    assert (await admin.get(f"{red}&labelSelector=a%3Db")).body["items"] == []
    refused = await admin.get(f"{V2}?fieldSelector=hostPort%3Dx")
    assert (refused.code, "field label not supported: hostPort" in refused.body["message"]) == (400, True)
    watch = await admin.watch(red)
    events = [await watch.next()]
    for name, host in (("b", "red"), ("a", "red"), ("b", "blue"), ("b", "green"), ("a", "blue"), ("b", "red")):
        await admin.patch(f"{V1}/{name}", {"hostPort": f"{host}:2"})
    await admin.delete(f"{V1}/b")
    events += [await watch.next() for _ in range(6)]
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [
        ("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b"), ("DELETED", "a"), ("ADDED", "b"),
        ("DELETED", "b"),
    ]  # fmt: skip


async def test_a_collection_is_deleted_by_what_it_is_converted_to(admin: Any, converter: Converter) -> None:
    for name, host in (("a", "red"), ("b", "blue")):
        assert (await admin.create(V1, widget(name, hostPort=f"{host}:1"))).code == 201
    deleted = await admin.delete(f"{V2}?fieldSelector=host%3Dred")
    assert [item["host"] for item in deleted.body["items"]] == ["red"]
    assert [item["metadata"]["name"] for item in (await admin.get(V1)).body["items"]] == ["b"]


async def test_webhooks_and_policies_see_the_version_that_their_rules_name(admin: Any, converter: Converter) -> None:
    """``matchPolicy: Equivalent``; what a webhook makes of ``v2`` is stored as ``v1``."""
    registration = "/apis/admissionregistration.k8s.io/v1"
    rule = {"operations": ["*"], "apiGroups": ["example.com"], "apiVersions": ["v2"], "resources": ["widgets"]}
    async with AdmissionServer() as hook:
        hook.on("/see", lambda request: patch({"op": "replace", "path": "/port", "value": "9"}))
        made = webhook(hook, "/see", "see.example.com", ["widgets"], groups=["example.com"], versions=["v2"])
        mutating = configuration("Mutating", "see", made)
        assert (await admin.create(f"{registration}/mutatingwebhookconfigurations", mutating)).code == 201
        check = {"expression": "object.host != 'no'", "messageExpression": "request.kind.version + ' ' + object.host"}
        spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [check], "failurePolicy": "Fail"}
        policies = f"{registration}/validatingadmissionpolicies"
        assert (await admin.create(policies, {"metadata": {"name": "p"}, "spec": spec})).code == 201
        bound = {"metadata": {"name": "p"}, "spec": {"policyName": "p", "validationActions": ["Deny"]}}
        bindings = policies.replace("policies", "policybindings")
        assert (await admin.create(bindings, bound)).code == 201
        created = await admin.create(V1, widget(hostPort="yes:1"))
        assert (created.code, created.body["hostPort"]) == (201, "yes:9")
        [asked] = hook.of("/see")
        assert (asked["object"]["apiVersion"], asked["object"]["host"]) == ("example.com/v2", "yes")
        versions = {name: asked[name]["version"] for name in ("kind", "resource", "requestKind", "requestResource")}
        assert versions == {"kind": "v2", "resource": "v2", "requestKind": "v1", "requestResource": "v1"}
        refused = await admin.patch(f"{V1}/a", {"hostPort": "no:1"})
        assert refused.code == 422 and refused.body["message"].endswith("denied request: v2 no")
        old = hook.of("/see")[-1]["oldObject"]
        assert (old["apiVersion"], old["port"]) == ("example.com/v2", "9")


async def test_a_failed_conversion_is_told(admin: Any, converter: Converter) -> None:
    await admin.create(V1, widget(hostPort="a:1"))
    converter.broken = {"uid": "", "result": {"status": "Failure", "message": "no idea"}}
    refused = await admin.get(f"{V2}/a")
    assert refused.code == 500
    assert (
        "conversion webhook for example.com/v1, Kind=Widget failed: expected response.uid=" in refused.body["message"]
    )
    watch = await admin.watch(V2)
    assert (await watch.next())["type"] == "ERROR"
    assert (await admin.get(f"{V1}/a")).code == 200
    assert (await admin.delete(f"{V1}/a")).code == 200
    metrics = (await admin.get("/metrics")).body
    failure = 'failure_type="conversion_webhook_malformed_response_failure",result="failure"'
    assert f"apiserver_conversion_webhook_request_total{{{failure}}} 2.0" in metrics
    versions = 'crd_name="widgets.example.com",from_version="v1",succeeded="false",to_version="v2"'
    assert f"apiserver_crd_conversion_webhook_duration_seconds_count{{{versions}}} 2.0" in metrics
