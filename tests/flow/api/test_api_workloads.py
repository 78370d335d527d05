"""The life of workloads, policies, volumes and devices, as conformance's "lifecycle" and "API operations" lead it."""

from __future__ import annotations

from typing import Any

import pytest

CORE, APPS, BATCH = "/api/v1", "/apis/apps/v1", "/apis/batch/v1"
POLICY, AUTOSCALING = "/apis/policy/v1", "/apis/autoscaling/v2"
SCHEDULING, NODE, DEVICES = "/apis/scheduling.k8s.io/v1", "/apis/node.k8s.io/v1", "/apis/resource.k8s.io/v1"
CONTAINER = {"name": "c", "image": "i:1"}
TEMPLATE: dict[str, Any] = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [CONTAINER]}}
ONCE: dict[str, Any] = {"spec": {"containers": [CONTAINER], "restartPolicy": "Never"}}
SELECTED = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
READY = {"type": "Ready", "status": "True", "reason": "Tested", "message": "said the test",
         "lastTransitionTime": "2026-01-01T00:00:00Z"}  # fmt: skip
REQUEST = {"name": "gpu", "exactly": {"deviceClassName": "gpu"}}
DISK = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}

NAMESPACED: dict[str, tuple[str, dict[str, Any]]] = {
    "replicationcontrollers": (CORE, {"spec": {"replicas": 1, "template": TEMPLATE}}),
    "podtemplates": (CORE, {"template": TEMPLATE}),
    "limitranges": (CORE, {"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}}),
    "resourcequotas": (CORE, {"spec": {"hard": {"pods": "5", "requests.cpu": "1000m"}}}),
    "persistentvolumeclaims": (CORE, {"spec": DISK}),
    "statefulsets": (APPS, {"spec": {"serviceName": "web", **SELECTED}}),
    "daemonsets": (APPS, {"spec": SELECTED}),
    "controllerrevisions": (APPS, {"revision": 1, "data": {"spec": {"template": TEMPLATE}}}),
    "jobs": (BATCH, {"spec": {"template": ONCE}}),
    "cronjobs": (BATCH, {"spec": {"schedule": "*/5 * * * ?", "jobTemplate": {"spec": {"template": ONCE}}}}),
    "poddisruptionbudgets": (POLICY, {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}),
    "horizontalpodautoscalers": (AUTOSCALING, {
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}}),
    "resourceclaims": (DEVICES, {"spec": {"devices": {"requests": [REQUEST]}}}),
    "resourceclaimtemplates": (DEVICES, {"spec": {"spec": {"devices": {"requests": [REQUEST]}}}}),
}  # fmt: skip
CLUSTER: dict[str, tuple[str, dict[str, Any]]] = {
    "persistentvolumes": (CORE, {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                                          "hostPath": {"path": "/data"}}}),
    "priorityclasses": (SCHEDULING, {"value": 100}),
    "runtimeclasses": (NODE, {"handler": "runc"}),
    "deviceclasses": (DEVICES, {"spec": {"selectors": [{"cel": {"expression": "device.driver == 'x'"}}]}}),
    "resourceslices": (DEVICES, {"spec": {"driver": "gpu.example.com", "nodeName": "pi-1", "devices": [{"name": "a"}],
                                          "pool": {"name": "pi-1", "resourceSliceCount": 1}}}),
}  # fmt: skip
STATUSES: dict[str, dict[str, Any]] = {
    "replicationcontrollers": {"replicas": 1, "conditions": [READY]},
    "resourcequotas": {"hard": {"pods": "5"}, "used": {"pods": "1"}},
    "persistentvolumeclaims": {"phase": "Pending", "conditions": [READY]},
    "persistentvolumes": {"phase": "Pending", "message": "StatusPatched", "reason": "E2E"},
    "statefulsets": {"replicas": 1, "availableReplicas": 0, "conditions": [READY]},
    "daemonsets": {"currentNumberScheduled": 1, "desiredNumberScheduled": 1, "numberMisscheduled": 0,
                   "numberReady": 0, "conditions": [READY]},
    "jobs": {"startTime": "2026-01-01T00:00:00Z", "active": 1, "conditions": [READY]},
    "cronjobs": {"lastScheduleTime": "2026-01-01T00:00:00Z"},
    "poddisruptionbudgets": {"disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2,
                             "observedGeneration": 1, "conditions": [READY]},
    "horizontalpodautoscalers": {"currentReplicas": 1, "desiredReplicas": 2, "conditions": [READY]},
    "resourceclaims": {"allocation": {"devices": {"results": [
        {"request": "gpu", "driver": "gpu.example.com", "pool": "pi-1", "device": "a"}]}}},
}  # fmt: skip


def collection(plural: str) -> str:
    group, _ = (NAMESPACED if plural in NAMESPACED else CLUSTER)[plural]
    return f"{group}/namespaces/default/{plural}" if plural in NAMESPACED else f"{group}/{plural}"


def named(plural: str, name: str) -> dict[str, Any]:
    _, body = (NAMESPACED if plural in NAMESPACED else CLUSTER)[plural]
    return {"metadata": {"name": name, "labels": {"test": "life"}}, **body}


async def made(admin: Any, plural: str, name: str = "one", **changes: Any) -> dict[str, Any]:
    answer = await admin.create(collection(plural), {**named(plural, name), **changes})
    assert answer.code == 201, answer.body
    body: dict[str, Any] = answer.body
    return body


async def unprotected(admin: Any, path: str) -> bool:
    """Take finalizers off, as controllers do with what is to go; whether there were any."""
    if not (await admin.get(path)).body["metadata"].get("finalizers"):
        return False
    assert (await admin.patch(path, {"metadata": {"finalizers": None}})).code == 200
    return True


@pytest.mark.parametrize("plural", [*NAMESPACED, *CLUSTER])
async def test_a_life(admin: Any, plural: str) -> None:
    path = collection(plural)
    watch = await admin.watch(f"{path}?labelSelector=test=life")
    created = await made(admin, plural)
    assert (await watch.next())["type"] == "ADDED"
    assert (await admin.create(path, named(plural, "one"))).body["reason"] == "AlreadyExists"
    assert (await admin.get(f"{path}/one")).body == created
    for listed in (path, path.replace("/namespaces/default", "")):
        assert (await admin.get(f"{listed}?labelSelector=test=life")).body["items"][0]["metadata"]["name"] == "one"

    patched = await admin.patch(f"{path}/one", {"metadata": {"annotations": {"patched": "true"}}}, "strategic")
    assert patched.code == 200, patched.body
    assert patched.body["metadata"]["annotations"]["patched"] == "true"
    assert (await watch.next())["type"] == "MODIFIED"
    updated = patched.body
    updated["metadata"]["annotations"]["updated"] = "true"
    answer = await admin.put(f"{path}/one", updated)
    assert answer.code == 200, answer.body
    assert (await watch.next())["object"]["metadata"]["annotations"]["updated"] == "true"
    assert answer.body["metadata"].get("generation") == created["metadata"].get("generation")
    assert {**answer.body, "metadata": None} == {**created, "metadata": None}

    if await unprotected(admin, f"{path}/one"):
        assert (await watch.next())["type"] == "MODIFIED"
    deleted = await admin.delete(f"{path}/one?propagationPolicy=Background")
    assert deleted.code == 200, deleted.body
    assert (await watch.next())["type"] == "DELETED"
    assert (await admin.get(f"{path}/one")).code == 404
    for name in ("two", "three"):
        await made(admin, plural, name)
        await unprotected(admin, f"{path}/{name}")
    assert (await admin.delete(f"{path}?labelSelector=test=life&propagationPolicy=Background")).code == 200
    assert (await admin.get(f"{path}?labelSelector=test=life")).body["items"] == []


@pytest.mark.parametrize("plural", STATUSES)
async def test_a_status(admin: Any, plural: str) -> None:
    path, status = collection(plural), STATUSES[plural]
    created = await made(admin, plural, status=status)
    assert created.get("status", {}) != status
    patched = await admin.patch(f"{path}/one/status", {"status": status})
    assert patched.code == 200, patched.body
    assert patched.body["status"].items() >= status.items()
    assert patched.body["metadata"].get("generation") == created["metadata"].get("generation")
    put = await admin.put(f"{path}/one/status", {**patched.body, "spec": {}})
    assert put.code == 200, put.body
    assert put.body["spec"] == created["spec"]
    ignored = await admin.patch(f"{path}/one", {"status": None})
    assert ignored.code == 200 and ignored.body["status"] == patched.body["status"]
    assert (await admin.get(f"{path}/one/status")).body["metadata"]["uid"] == created["metadata"]["uid"]


@pytest.mark.parametrize("plural", [*NAMESPACED, *CLUSTER])
async def test_kubectl_can_show_it(admin: Any, plural: str) -> None:
    await made(admin, plural)
    table = (await admin.get(collection(plural), Accept="application/json;as=Table;v=v1;g=meta.k8s.io")).body
    ours = [row["cells"] for row in table["rows"] if row["object"]["metadata"]["name"] == "one"]
    assert len(ours) == 1 and len(ours[0]) == len(table["columnDefinitions"])


@pytest.mark.parametrize(
    ("plural", "patch", "generation"),
    [
        ("replicationcontrollers", {"spec": {"replicas": 2}}, 2),
        ("podtemplates", {"template": {"metadata": {"labels": {"a": "b"}}}}, 2),
        ("statefulsets", {"spec": {"replicas": 2}}, 2),
        ("daemonsets", {"spec": {"minReadySeconds": 2}}, 2),
        ("jobs", {"spec": {"suspend": True}}, 2),
        ("cronjobs", {"spec": {"suspend": True}}, 2),
        ("poddisruptionbudgets", {"spec": {"minAvailable": 2}}, 2),
        ("priorityclasses", {"description": "x"}, 1),
        ("deviceclasses", {"spec": {"selectors": []}}, 2),
        ("resourceslices", {"spec": {"devices": []}}, 2),
    ],
)
async def test_a_generation(admin: Any, plural: str, patch: Any, generation: int) -> None:
    assert (await made(admin, plural))["metadata"]["generation"] == 1
    changed = await admin.patch(f"{collection(plural)}/one", patch)
    assert changed.code == 200, changed.body
    assert changed.body["metadata"]["generation"] == generation


@pytest.mark.parametrize(
    ("plural", "patch", "message"),
    [
        ("statefulsets", {"spec": {"serviceName": "other"}}, "updates to statefulset spec for fields other than"),
        ("daemonsets", {"spec": {"selector": {"matchLabels": {"tier": "x"}}}}, "field is immutable"),
        ("controllerrevisions", {"data": {"x": "y"}}, "data: Invalid value"),
        ("jobs", {"spec": {"completions": 3}}, "spec.completions: Invalid value: 3: field is immutable"),
        ("priorityclasses", {"value": 5}, "value: Forbidden: may not be changed in an update."),
        ("runtimeclasses", {"handler": "other"}, 'handler: Invalid value: "other": field is immutable'),
        ("resourceclaims", {"spec": {"devices": {"requests": []}}}, "field is immutable"),
        ("resourceclaimtemplates", {"spec": {"metadata": {"labels": {"a": "b"}}}}, "field is immutable"),
        ("resourceslices", {"spec": {"driver": "other"}}, 'spec.driver: Invalid value: "other": field is immutable'),
        ("persistentvolumes", {"spec": {"hostPath": {"path": "/other"}}}, "immutable after creation"),
        ("persistentvolumeclaims", {"spec": {"accessModes": ["ReadWriteMany"]}}, "spec is immutable after creation"),
    ],
)
async def test_what_never_changes(admin: Any, plural: str, patch: Any, message: str) -> None:
    await made(admin, plural)
    refused = await admin.patch(f"{collection(plural)}/one", patch)
    assert refused.code == 422 and message in refused.body["message"], refused.body


@pytest.mark.parametrize("plural", ["poddisruptionbudgets", "runtimeclasses"])
async def test_what_is_updated_only_as_it_was_seen(admin: Any, plural: str) -> None:
    await made(admin, plural)
    refused = await admin.put(f"{collection(plural)}/one", named(plural, "one"))
    assert refused.code == 422 and "must be specified for an update" in refused.body["message"]


async def test_a_put_creates_a_limit_range(admin: Any) -> None:
    path = collection("limitranges")
    created = await admin.put(f"{path}/one", named("limitranges", "one"))
    assert created.code == 201, created.body
    assert created.body["spec"]["limits"][0]["defaultRequest"] == {"cpu": "1"}


@pytest.mark.parametrize(("plural", "selector"), [("replicationcontrollers", "app=web"), ("statefulsets", "app=web")])
async def test_a_scale(admin: Any, plural: str, selector: str) -> None:
    path = collection(plural)
    await made(admin, plural)
    scale = (await admin.get(f"{path}/one/scale")).body
    assert (scale["kind"], scale["spec"]["replicas"], scale["status"]["selector"]) == ("Scale", 1, selector)
    scale["spec"]["replicas"] = 2
    assert (await admin.put(f"{path}/one/scale", scale)).body["spec"]["replicas"] == 2
    assert (await admin.patch(f"{path}/one/scale", {"spec": {"replicas": 4}})).code == 200
    now = (await admin.get(f"{path}/one")).body
    assert (now["spec"]["replicas"], now["metadata"]["generation"]) == (4, 3)


@pytest.mark.parametrize("plural", ["jobs", "replicationcontrollers"])
async def test_pods_stay_when_nobody_says_otherwise(admin: Any, plural: str) -> None:
    path = collection(plural)
    await made(admin, plural)
    answer = await admin.delete(f"{path}/one")
    assert answer.body["metadata"]["finalizers"] == ["orphan"]
    warned = "child pods are preserved by default when jobs are deleted" in "".join(answer.warnings)
    assert warned == (plural == "jobs")
    await made(admin, plural, "two")
    assert (await admin.delete(f"{path}/two?propagationPolicy=Background")).body["status"] == "Success"


async def test_a_job_is_found_by_its_successes(admin: Any) -> None:
    path = collection("jobs")
    for name in ("one", "two"):
        await made(admin, "jobs", name)
    await admin.patch(f"{path}/one/status", {"status": {"succeeded": 1, "startTime": "2026-01-01T00:00:00Z"}})
    found = (await admin.get(f"{path}?fieldSelector=status.successful=1")).body["items"]
    assert [job["metadata"]["name"] for job in found] == ["one"]
    assert len((await admin.get(f"{path}?fieldSelector=status.successful=0")).body["items"]) == 1


async def test_an_autoscaler_in_both_versions(admin: Any) -> None:
    old, new = (
        "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers",
        collection("horizontalpodautoscalers"),
    )
    target = {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}
    spec = {"maxReplicas": 3, "scaleTargetRef": target, "targetCPUUtilizationPercentage": 70}
    created = await admin.create(old, {"metadata": {"name": "one"}, "spec": spec})
    assert created.code == 201, created.body
    assert created.body["spec"] == {**spec, "minReplicas": 1}
    shown = (await admin.get(f"{new}/one")).body
    assert shown["apiVersion"] == "autoscaling/v2"
    assert shown["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    memory = {"type": "Resource", "resource": {
        "name": "memory", "target": {"type": "AverageValue", "averageValue": "100Mi"}}}  # fmt: skip
    await admin.patch(f"{new}/one", {"spec": {"metrics": [memory]}, "metadata": {"annotations": {"a": "b"}}})
    converted = (await admin.get(f"{old}/one")).body
    assert "targetCPUUtilizationPercentage" not in converted["spec"]
    assert "autoscaling.alpha.kubernetes.io/metrics" in converted["metadata"]["annotations"]
    assert (await admin.put(f"{old}/one", converted)).code == 200
    again = (await admin.get(f"{new}/one")).body
    assert again["spec"]["metrics"] == [memory]
    assert again["metadata"]["annotations"] == {"a": "b"}
    status = {"currentReplicas": 2, "desiredReplicas": 3, "currentCPUUtilizationPercentage": 50}
    said = await admin.patch(f"{old}/one/status", {"status": status})
    assert said.code == 200 and said.body["status"].items() >= status.items(), said.body
    (seen,) = (await admin.get(f"{new}/one/status")).body["status"]["currentMetrics"]
    assert seen["resource"] == {"name": "cpu", "current": {"averageUtilization": 50}}
    refused = await admin.patch(f"{old}/one", {"spec": {"maxReplicas": 0}})
    assert refused.code == 422 and "spec.maxReplicas" in refused.body["message"]


async def test_component_statuses_are_the_servers_own_health(admin: Any) -> None:
    listed = await admin.get("/api/v1/componentstatuses")
    assert listed.code == 200, listed.body
    (component,) = listed.body["items"]
    assert component["metadata"]["name"] == "etcd-0"
    assert component["conditions"] == [{"type": "Healthy", "status": "True", "message": "ok"}]
    assert "deprecated" in "".join(listed.warnings)
    assert (await admin.get("/api/v1/componentstatuses/etcd-0")).body == component
    assert (await admin.get("/api/v1/componentstatuses/none")).code == 404
    assert (await admin.delete("/api/v1/componentstatuses/etcd-0")).code == 405
    table = await admin.get("/api/v1/componentstatuses", Accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert table.body["rows"][0]["cells"] == ["etcd-0", "Healthy", "ok", ""]


@pytest.mark.parametrize("plural", ["resourceclaims", "resourceclaimtemplates"])
async def test_devices_for_administrators_are_asked_for_where_that_is_allowed(admin: Any, plural: str) -> None:
    devices = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu", "adminAccess": True}}]}}
    spec = devices if plural == "resourceclaims" else {"spec": devices}
    refused = await admin.create(collection(plural), {"metadata": {"name": "one"}, "spec": spec})
    assert refused.code == 422 and refused.body["details"]["causes"] == [{
        "reason": "FieldValueForbidden", "field": "spec.devices.requests[0].adminAccess", "message":
        "Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the"
        " containing namespace",
    }]  # fmt: skip
    labels = {"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}}
    assert (await admin.patch("/api/v1/namespaces/default", labels)).code == 200
    assert (await admin.create(collection(plural), {"metadata": {"name": "one"}, "spec": spec})).code == 201
