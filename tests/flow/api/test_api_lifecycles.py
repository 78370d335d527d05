"""The life of an object of each kind, as conformance's "should support … API operations" lead it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

NETWORKING = "/apis/networking.k8s.io/v1"
STORAGE = "/apis/storage.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
RULE = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}
SELECTED = {"resourceRules": [{**RULE, "resourceNames": ["web"]}], "matchPolicy": "Equivalent",
            "namespaceSelector": {}, "objectSelector": {}}  # fmt: skip
WEBHOOK = {
    "name": "a.example.com",
    "clientConfig": {"service": {"name": "hook", "namespace": "default", "path": "/admit"}},
    "rules": [RULE],
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "objectSelector": {"matchLabels": {"only": "this"}},
}
READY = {"type": "Ready", "status": "True", "reason": "Tested", "message": "said the test",
         "lastTransitionTime": "2026-01-01T00:00:00Z"}  # fmt: skip
EVENTS_MAX = 10
CONDITIONAL = {
    "csidrivers", "csinodes", "csistoragecapacities", "volumeattachments", "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings",
    "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
}  # fmt: skip
SHOWN = {"storageclasses", "volumeattributesclasses", "volumeattachments", "csidrivers", "csinodes"}
NO_VERSION = {"reason": "FieldValueInvalid", "field": "metadata.resourceVersion",
              "message": "Invalid value: 0: must be specified for an update"}  # fmt: skip
LIMITED = {"type": "Limited", "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}}

NAMESPACED: dict[str, tuple[str, dict[str, Any]]] = {
    "ingresses": (NETWORKING, {"spec": {"rules": [{"host": "a.example.com", "http": {"paths": [
        {"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}]}}),
    "networkpolicies": (NETWORKING, {"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}}),
    "csistoragecapacities": (STORAGE, {"storageClassName": "fast", "capacity": "1024Mi"}),
    "roles": (RBAC, {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
    "rolebindings": (RBAC, {"roleRef": {"kind": "ClusterRole", "name": "view"},
                            "subjects": [{"kind": "User", "name": "ann"}]}),
}  # fmt: skip
CLUSTER: dict[str, tuple[str, dict[str, Any]]] = {
    "ingressclasses": (NETWORKING, {"spec": {"controller": "example.com/ingress"}}),
    "servicecidrs": (NETWORKING, {"spec": {"cidrs": ["10.99.0.0/24"]}}),
    "storageclasses": (STORAGE, {"provisioner": "example.com/disk"}),
    "volumeattributesclasses": (STORAGE, {"driverName": "example.com", "parameters": {"iops": "100"}}),
    "volumeattachments": (STORAGE, {"spec": {"attacher": "example.com", "nodeName": "pi-1",
                                             "source": {"persistentVolumeName": "pv"}}}),
    "csidrivers": (STORAGE, {"spec": {"podInfoOnMount": True}}),
    "csinodes": (STORAGE, {"spec": {"drivers": [{"name": "example.com", "nodeID": "n1"}]}}),
    "flowschemas": (FLOW, {"spec": {"priorityLevelConfiguration": {"name": "global-default"}, "rules": [
        {"subjects": [{"kind": "User", "user": {"name": "ann"}}],
         "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz/*"]}]}]}}),
    "prioritylevelconfigurations": (FLOW, {"spec": LIMITED}),
    "clusterroles": (RBAC, {"rules": [{"nonResourceURLs": ["/version"], "verbs": ["get"]}]}),
    "clusterrolebindings": (RBAC, {"roleRef": {"kind": "ClusterRole", "name": "view"},
                                   "subjects": [{"kind": "Group", "name": "ops"}]}),
    "mutatingwebhookconfigurations": (ADMISSION, {"webhooks": [WEBHOOK]}),
    "validatingwebhookconfigurations": (ADMISSION, {"webhooks": [WEBHOOK]}),
    "validatingadmissionpolicies": (ADMISSION, {"spec": {
        "matchConstraints": SELECTED, "validations": [{"expression": "object.spec.replicas <= 100"}]}}),
    "validatingadmissionpolicybindings": (ADMISSION, {"spec": {
        "policyName": "p", "validationActions": ["Deny"], "matchResources": SELECTED}}),
    "mutatingadmissionpolicies": (ADMISSION, {"spec": {
        "matchConstraints": SELECTED, "reinvocationPolicy": "Never", "mutations": [
            {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}]}}),
    "mutatingadmissionpolicybindings": (ADMISSION, {"spec": {"policyName": "p"}}),
}  # fmt: skip
WITH_STATUS = {
    "ingresses": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    "servicecidrs": {"conditions": [READY]},
    "volumeattachments": {"attached": True},
    "prioritylevelconfigurations": {"conditions": [READY]},
}


def collection(plural: str) -> str:
    group, _ = (NAMESPACED if plural in NAMESPACED else CLUSTER)[plural]
    return f"{group}/namespaces/default/{plural}" if plural in NAMESPACED else f"{group}/{plural}"


def named(plural: str, name: str) -> dict[str, Any]:
    _, body = (NAMESPACED if plural in NAMESPACED else CLUSTER)[plural]
    return {"metadata": {"name": name, "labels": {"test": "life"}}, **body}


async def told(watch: Any, kind: str, **annotations: str) -> None:
    """Read on until the watch tells of that; others may write a status in between."""
    for _ in range(EVENTS_MAX):
        event = await watch.next()
        if event["type"] == kind and event["object"]["metadata"].get("annotations", {}) == annotations:
            return
        assert event["type"] == "MODIFIED", event
    raise AssertionError(f"no {kind} with {annotations}")


async def unprotected(admin: Any, path: str) -> None:
    """Take the finalizers off what is to go, as controllers do."""
    if ((await admin.get(path)).body.get("metadata") or {}).get("finalizers"):
        assert (await admin.patch(path, {"metadata": {"finalizers": None}})).code == 200


@pytest.mark.parametrize("plural", [*NAMESPACED, *CLUSTER])
async def test_a_life(admin: Any, plural: str) -> None:
    path = collection(plural)
    watch = await admin.watch(f"{path}?labelSelector=test=life")
    created = await admin.create(path, named(plural, "one"))
    assert created.code == 201, created.body
    await told(watch, "ADDED")
    assert (await admin.create(path, named(plural, "one"))).body["reason"] == "AlreadyExists"
    assert (await admin.get(f"{path}/one")).body["metadata"]["uid"] == created.body["metadata"]["uid"]
    everywhere = path.replace("/namespaces/default", "")
    for listed in (path, everywhere):
        assert (await admin.get(f"{listed}?labelSelector=test=life")).body["items"][0]["metadata"]["name"] == "one"

    patched = await admin.patch(f"{path}/one", {"metadata": {"annotations": {"patched": "true"}}})
    assert patched.code == 200, patched.body
    assert patched.body["metadata"]["annotations"] == {"patched": "true"}
    await told(watch, "MODIFIED", patched="true")
    updated = patched.body
    updated["metadata"]["annotations"]["updated"] = "true"
    version = updated["metadata"].pop("resourceVersion")
    if plural in CONDITIONAL:
        blind = await admin.put(f"{path}/one", updated)
        assert blind.code == 422 and blind.body["details"]["causes"] == [NO_VERSION], blind.body
        updated["metadata"]["resourceVersion"] = version
    answer = await admin.put(f"{path}/one", updated)
    assert answer.code == 200, answer.body
    await told(watch, "MODIFIED", patched="true", updated="true")
    assert answer.body["metadata"].get("generation") == created.body["metadata"].get("generation")

    deleted = await admin.delete(f"{path}/one")
    assert deleted.code == 200, deleted.body
    if plural in SHOWN:
        assert deleted.body["metadata"]["uid"] == created.body["metadata"]["uid"]
    else:
        assert deleted.body["status"] == "Success"
    await unprotected(admin, f"{path}/one")
    await told(watch, "DELETED", patched="true", updated="true")
    assert (await admin.get(f"{path}/one")).code == 404
    for name in ("two", "three"):
        assert (await admin.create(path, named(plural, name))).code == 201
    assert (await admin.delete(f"{path}?labelSelector=test=life")).code == 200
    for name in ("two", "three"):
        await unprotected(admin, f"{path}/{name}")
    assert (await admin.get(f"{path}?labelSelector=test=life")).body["items"] == []


@pytest.mark.parametrize("plural", WITH_STATUS)
async def test_a_status(admin: Any, plural: str) -> None:
    path, status = collection(plural), WITH_STATUS[plural]
    body = {**named(plural, "one"), "status": status}
    created = (await admin.create(path, body)).body
    assert created["status"] in ({}, {"loadBalancer": {}}, {"attached": False})
    patched = await admin.patch(f"{path}/one/status", {"status": status})
    assert patched.code == 200, patched.body
    assert patched.body["status"] == status
    assert patched.body["metadata"].get("generation") == created["metadata"].get("generation")
    put = await admin.put(f"{path}/one/status", {**patched.body, "status": {}, "spec": None})
    assert put.code == 200, put.body
    least = {"attached": False} if plural == "volumeattachments" else {}
    assert put.body["spec"] == created["spec"] and put.body.get("status", {}) == least
    ignored = await admin.patch(f"{path}/one", {"status": status})
    assert ignored.code == 200 and ignored.body.get("status", {}) == least
    assert (await admin.get(f"{path}/one/status")).body["metadata"]["uid"] == created["metadata"]["uid"]


@pytest.mark.parametrize("plural", ["ingresses", "ingressclasses", "networkpolicies", "flowschemas"])
async def test_a_generation(admin: Any, plural: str) -> None:
    path = collection(plural)
    assert (await admin.create(path, named(plural, "one"))).body["metadata"]["generation"] == 1
    changes: dict[str, Any] = {
        "ingresses": {"ingressClassName": "other"},
        "ingressclasses": {"parameters": {"kind": "K", "name": "n"}},
        "networkpolicies": {"policyTypes": ["Ingress", "Egress"]},
        "flowschemas": {"matchingPrecedence": 9999},
    }
    changed = await admin.patch(f"{path}/one", {"spec": changes[plural]})
    assert changed.code == 200, changed.body
    assert changed.body["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("plural", "patch", "message"),
    [
        ("ingressclasses", {"spec": {"controller": "example.com/b"}},
         'spec.controller: Invalid value: "example.com/b": field is immutable'),
        ("servicecidrs", {"spec": {"cidrs": ["10.98.0.0/24"]}},
         'spec.cidrs[0]: Invalid value: "10.98.0.0/24": field is immutable'),
        ("storageclasses", {"provisioner": "example.com/x"},
         "provisioner: Forbidden: updates to provisioner are forbidden."),
        ("volumeattributesclasses", {"driverName": "other"}, 'driverName: Invalid value: "other": field is immutable'),
        ("volumeattachments", {"spec": {"nodeName": "pi-2"}}, "field is immutable"),
        ("csidrivers", {"spec": {"attachRequired": False}},
         "spec.attachedRequired: Invalid value: false: field is immutable"),
        ("csinodes", {"spec": {"drivers": [{"name": "example.com", "nodeID": "n2"}]}}, "field is immutable"),
        ("csistoragecapacities", {"storageClassName": "slow"},
         'storageClassName: Invalid value: "slow": field is immutable'),
        ("rolebindings", {"roleRef": {"name": "edit"}}, "cannot change roleRef"),
        ("clusterrolebindings", {"roleRef": {"name": "edit"}}, "cannot change roleRef"),
    ],
)  # fmt: skip
async def test_what_never_changes(admin: Any, plural: str, patch: Any, message: str) -> None:
    path = collection(plural)
    assert (await admin.create(path, named(plural, "one"))).code == 201
    answer = await admin.patch(f"{path}/one", patch)
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert message in answer.body["message"]


@pytest.mark.parametrize("plural", ["validatingadmissionpolicies", "flowschemas"])
async def test_a_status_that_the_server_writes_too(admin: Any, plural: str) -> None:
    path = collection(plural)
    assert (await admin.create(path, named(plural, "one"))).code == 201
    patch = {"metadata": {"annotations": {"not": "this"}}, "status": {"conditions": [READY]}}
    patched = await admin.patch(f"{path}/one/status", patch)
    assert patched.code == 200, patched.body
    assert patched.body["status"]["conditions"] == [READY] and "annotations" not in patched.body["metadata"]
    assert READY in (await admin.get(f"{path}/one/status")).body["status"]["conditions"]


async def test_an_ingress_gets_the_default_class(admin: Any) -> None:
    classes, ingresses = collection("ingressclasses"), collection("ingresses")
    default = {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    for name, more in (("b", default), ("a", default), ("other", {})):
        body = named("ingressclasses", name)
        body["metadata"] |= more
        assert (await admin.create(classes, body)).code == 201
    answer = await admin.create(ingresses, named("ingresses", "one"))
    assert answer.code == 201, answer.body
    assert answer.body["spec"]["ingressClassName"] == "a"
    chosen = named("ingresses", "two")
    chosen["spec"] = {**chosen["spec"], "ingressClassName": "other"}
    assert (await admin.create(ingresses, chosen)).body["spec"]["ingressClassName"] == "other"
    annotated = named("ingresses", "three")
    annotated["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "other"}
    assert "ingressClassName" not in (await admin.create(ingresses, annotated)).body["spec"]


async def test_a_pod_has_a_volume_of_a_csi_driver(admin: Any, pod_of: Callable[..., Any]) -> None:
    pods, pod = "/api/v1/namespaces/default/pods", pod_of("csi")
    source = {"driver": "inline.example.com", "readOnly": True, "volumeAttributes": {"size": "1"}}
    pod["spec"]["volumes"] = [{"name": "data", "csi": source}]
    created = await admin.create(pods, pod)
    assert created.code == 201, created.body
    volumes = {volume["name"]: volume for volume in created.body["spec"]["volumes"]}
    assert volumes["data"]["csi"] == source
    patched = await admin.patch(f"{pods}/csi", {"metadata": {"labels": {"patched": "true"}}})
    assert patched.code == 200, patched.body
    assert (await admin.delete(f"{pods}/csi")).code == 200
