"""Requests whose bodies are protobuf, as typed Go clients send them, do what the same in JSON does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import protobuf_encode as wire
import pytest

from picluster.api.resources import (
    BINDING,
    CONFIGMAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    DELETE_OPTIONS,
    DEPLOYMENTS,
    EVICTION,
    LEASES,
    PODS,
    SCALE,
    SELF_SUBJECT_ACCESS_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
    TOKEN_REVIEWS,
    Resource,
)

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAPS = "/api/v1/namespaces/default/configmaps"
POD_LIST = "/api/v1/namespaces/default/pods"
DEPLOYMENT_LIST = "/apis/apps/v1/namespaces/default/deployments"
LEASE_LIST = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
CONTAINER = {"name": "web", "image": "web:1"}
DEPLOYMENT = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [CONTAINER]}},
    },
}


async def send(admin: Any, method: str, path: str, resource: Resource, obj: dict[str, Any]) -> Any:
    headers = {"Content_Type": MEDIA_TYPE, "Accept": f"{MEDIA_TYPE},application/json"}
    return await admin(method, path, wire.body(resource, obj), **headers)


async def test_an_object_is_created_and_replaced(admin: Any) -> None:
    answer = await send(admin, "POST", MAPS, CONFIGMAPS, {"metadata": {"name": "a"}, "data": {"colour": "red"}})
    assert answer.code == 201
    assert answer.headers["Content-Type"] == "application/json"
    live = {**answer.body, "data": {"colour": "blue"}}
    assert (await send(admin, "PUT", f"{MAPS}/a", CONFIGMAPS, live)).body["data"] == {"colour": "blue"}
    stale = await send(admin, "PUT", f"{MAPS}/a", CONFIGMAPS, live)
    assert (stale.code, stale.body["reason"]) == (409, "Conflict")


async def test_it_is_what_json_makes_of_it(admin: Any) -> None:
    made = (await send(admin, "POST", f"{DEPLOYMENT_LIST}?dryRun=All", DEPLOYMENTS, DEPLOYMENT)).body
    same = (await admin.create(f"{DEPLOYMENT_LIST}?dryRun=All", DEPLOYMENT)).body
    for obj in (made, same):
        obj["metadata"] = {k: v for k, v in obj["metadata"].items() if k not in ("uid", "creationTimestamp")}
        for entry in obj["metadata"]["managedFields"]:
            del entry["time"]
    assert made == same
    assert made["spec"]["replicas"] == 0


async def test_a_lease_keeps_its_microseconds(admin: Any) -> None:
    spec = {"holderIdentity": "me", "renewTime": "2026-01-31T12:00:00.123456Z"}
    answer = await send(admin, "POST", LEASE_LIST, LEASES, {"metadata": {"name": "a"}, "spec": spec})
    assert answer.body["spec"] == spec


async def test_options_of_a_deletion_count(admin: Any, pod_of: Callable[..., Any]) -> None:
    await admin.create(POD_LIST, pod_of("p", "pi-1"))
    wrong = await send(admin, "DELETE", f"{POD_LIST}/p", DELETE_OPTIONS, {"preconditions": {"uid": "other"}})
    assert wrong.code == 409
    marked = await send(admin, "DELETE", f"{POD_LIST}/p", DELETE_OPTIONS, {"gracePeriodSeconds": 5})
    assert marked.body["metadata"]["deletionGracePeriodSeconds"] == 5
    gone = await send(admin, "DELETE", POD_LIST, DELETE_OPTIONS, {"gracePeriodSeconds": 0})
    assert gone.code == 200
    assert (await admin.get(f"{POD_LIST}/p")).code == 404


async def test_subresources_read_it_too(admin: Any, pod_of: Callable[..., Any]) -> None:
    await admin.create(POD_LIST, pod_of("p"))
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "pi-1"}}
    assert (await send(admin, "POST", f"{POD_LIST}/p/binding", BINDING, binding)).code == 201
    pod = (await admin.get(f"{POD_LIST}/p")).body
    assert pod["spec"]["nodeName"] == "pi-1"
    status = {**pod, "status": {**pod["status"], "phase": "Running"}}
    assert (await send(admin, "PUT", f"{POD_LIST}/p/status", PODS, status)).body["status"]["phase"] == "Running"
    eviction = {"metadata": {"name": "p"}, "deleteOptions": {"gracePeriodSeconds": 0}}
    assert (await send(admin, "POST", f"{POD_LIST}/p/eviction", EVICTION, eviction)).code == 201
    assert (await admin.get(f"{POD_LIST}/p")).code == 404
    await admin.create(DEPLOYMENT_LIST, DEPLOYMENT)
    scale = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"replicas": 3}}
    assert (await send(admin, "PUT", f"{DEPLOYMENT_LIST}/web/scale", SCALE, scale)).body["spec"]["replicas"] == 3


async def test_reviews_read_it_too(admin: Any) -> None:
    spec = {
        "user": "ann",
        "groups": ["ops"],
        "extra": {"scopes": ["a", "b"]},
        "resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"},
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    answer = await send(admin, "POST", path, SUBJECT_ACCESS_REVIEWS, {"spec": spec})
    assert answer.code == 201, answer.body
    assert answer.body["spec"] == spec and answer.body["status"]["allowed"] is False
    asked = {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    own = await send(admin, "POST", path, SELF_SUBJECT_ACCESS_REVIEWS, {"spec": asked})
    assert own.code == 201 and own.body["status"]["allowed"] is True
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    token = await send(admin, "POST", path, TOKEN_REVIEWS, {"spec": {"token": "nonsense"}})
    assert token.code == 201 and token.body["spec"]["token"] == "nonsense"


async def test_a_custom_resource_definition_is_what_json_makes_of_it(admin: Any) -> None:
    schema = {"type": "object", "properties": {
        "size": {"type": "number", "minimum": 0.5, "maximum": 3, "default": 1, "enum": [1, 2]},
        "any": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}  # fmt: skip
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "things", "kind": "Thing"}
    definition = {
        "metadata": {"name": "things.example.com"},
        "spec": {"group": "example.com", "names": names, "scope": "Namespaced", "versions": [version]},
    }
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All"
    made = (await send(admin, "POST", path, CUSTOM_RESOURCE_DEFINITIONS, definition)).body
    same = (await admin.create(path, definition)).body
    assert made["spec"] == same["spec"]
    assert made["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == schema


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"k8s\0\x12\x05\n", 400, "the object provided is unrecognized (must be of type ConfigMap): unexpected EOF"),
        (b"{}", 400, "does not appear to be a protobuf message"),
        (wire.body(PODS, {}), 400, "the kind in the data (Pod) does not match the expected kind (ConfigMap)"),
        (wire.body(CONFIGMAPS, {"metadata": {"name": "NO"}}), 422, "metadata.name: Invalid value"),
    ],
)
async def test_what_is_wrong_is_said(admin: Any, body: bytes, code: int, message: str) -> None:
    answer = await admin.create(MAPS, body, Content_Type=MEDIA_TYPE)
    assert (answer.code, answer.body["kind"]) == (code, "Status")
    assert message in answer.body["message"]
