"""What changes a pod after its creation: bindings, ephemeral containers, resizes, evictions, and its generation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
AMOUNTS = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}}
DEBUGGER = {"name": "debug", "image": "busybox:1", "targetContainerName": "main"}
EVICTION = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"}}


@pytest.fixture
async def pod(admin: Any, pod_of: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """A pod ``web`` with requests and limits, on a node."""
    body = pod_of("web", node="pi-1", labels={"app": "web"}, generation=42)
    body["spec"]["containers"][0]["resources"] = AMOUNTS
    created = await admin.create(PODS, body)
    assert created.code == 201, created.body
    made: dict[str, Any] = created.body
    return made


async def running(admin: Any, *, ready: str = "True", **container: Any) -> None:
    condition = {"type": "Ready", "status": ready, "observedGeneration": 1}
    main = {"name": "main", "image": "busybox:1", "imageID": "", "ready": True, "restartCount": 0,
            "state": {"running": {}}, **container}  # fmt: skip
    status = {"phase": "Running", "conditions": [condition], "containerStatuses": [main], "observedGeneration": 1}
    answer = await admin.patch(f"{PODS}/web/status", {"status": status}, "strategic")
    assert answer.code == 200, answer.body


async def test_a_generation_counts_the_changes_of_the_spec(admin: Any, pod: dict[str, Any]) -> None:
    assert pod["metadata"]["generation"] == 1
    await running(admin)
    assert (await admin.get(f"{PODS}/web")).body["metadata"]["generation"] == 1
    image = [{"op": "replace", "path": "/spec/containers/0/image", "value": "busybox:2"}]
    assert (await admin.patch(f"{PODS}/web", image, "json")).body["metadata"]["generation"] == 2
    labelled = await admin.patch(f"{PODS}/web", {"metadata": {"labels": {"a": "b"}, "generation": 9}})
    assert labelled.body["metadata"]["generation"] == 2
    tolerated = {"spec": {"tolerations": [*pod["spec"]["tolerations"], {"key": "x", "operator": "Exists"}]}}
    assert (await admin.patch(f"{PODS}/web", tolerated)).body["metadata"]["generation"] == 3
    assert (await admin.delete(f"{PODS}/web")).body["metadata"]["generation"] == 4


async def test_a_status_that_does_not_say_what_it_has_seen_keeps_what_was_said(admin: Any, pod: dict[str, Any]) -> None:
    await running(admin)
    shown = (await admin.get(f"{PODS}/web")).body
    del shown["status"]["observedGeneration"], shown["status"]["conditions"][0]["observedGeneration"]
    kept = (await admin.put(f"{PODS}/web/status", shown)).body["status"]
    assert (kept["observedGeneration"], kept["conditions"][0]["observedGeneration"]) == (1, 1)


async def test_a_binding_is_also_taken_by_the_collection(admin: Any, pod_of: Callable[..., Any]) -> None:
    await admin.create(PODS, pod_of("free"))
    body = {"metadata": {"name": "free"}, "target": {"kind": "Node", "name": "pi-1"}}
    bound = await admin.create("/api/v1/namespaces/default/bindings", body)
    assert bound.code == 201, bound.body
    shown = (await admin.get(f"{PODS}/free")).body
    assert (shown["spec"]["nodeName"], shown["metadata"]["generation"]) == ("pi-1", 1)
    assert (await admin.create("/api/v1/namespaces/default/bindings", {"target": {"name": "pi-1"}})).code == 400


async def test_ephemeral_containers_come_and_stay(admin: Any, pod: dict[str, Any]) -> None:
    patch = {"spec": {"ephemeralContainers": [DEBUGGER]}, "metadata": {"labels": {"app": "other"}}}
    added = await admin.patch(f"{PODS}/web/ephemeralcontainers", patch, "strategic")
    assert added.code == 200, added.body
    assert added.body["spec"]["ephemeralContainers"][0]["name"] == "debug"
    assert added.body["metadata"]["labels"] == {"app": "web"}
    assert added.body["metadata"]["generation"] == 2
    shown = await admin.get(f"{PODS}/web/ephemeralcontainers")
    assert shown.body == added.body
    shown.body["spec"]["ephemeralContainers"].append({"name": "second", "image": "busybox:1"})
    shown.body["spec"]["containers"][0]["image"] = "ignored:1"
    put = await admin.put(f"{PODS}/web/ephemeralcontainers", shown.body)
    assert [c["name"] for c in put.body["spec"]["ephemeralContainers"]] == ["debug", "second"]
    assert put.body["spec"]["containers"][0]["image"] == "busybox:1"
    put.body["spec"]["ephemeralContainers"] = put.body["spec"]["ephemeralContainers"][1:]
    refused = await admin.put(f"{PODS}/web/ephemeralcontainers", put.body)
    assert refused.code == 422
    assert 'existing ephemeral containers "debug" may not be removed' in refused.body["message"]


async def test_a_resize_changes_resources_and_nothing_else(admin: Any, pod: dict[str, Any]) -> None:
    await running(admin, resources=AMOUNTS)
    container: dict[str, Any] = {"name": "main", "resources": {"requests": {"cpu": "150m"}}, "image": "ignored:1"}
    resized = await admin.patch(f"{PODS}/web/resize", {"spec": {"containers": [container]}}, "strategic")
    assert resized.code == 200, resized.body
    main = resized.body["spec"]["containers"][0]
    assert main["resources"]["requests"] == {"cpu": "150m", "memory": "64Mi"}
    assert main["image"] == "busybox:1"
    assert resized.body["metadata"]["generation"] == 2
    shown = (await admin.get(f"{PODS}/web/resize")).body
    shown["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "300m"
    put = await admin.put(f"{PODS}/web/resize", shown)
    assert put.code == 200 and put.body["status"]["phase"] == "Running"
    container["resources"] = {"requests": {"cpu": "160m"}}
    refused = await admin.patch(f"{PODS}/web", {"spec": {"containers": [container]}}, "strategic")
    assert refused.code == 422 and "pod updates may not change fields other than" in refused.body["message"]


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"requests": {"cpu": "200m", "memory": "128Mi"}},
         'spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing'),
        ({"limits": {"cpu": None}},
         "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed"),
        ({"requests": {"memory": None}, "limits": {"memory": None}}, "resource requests cannot be removed"),
        ({"limits": {"ephemeral-storage": "1Gi"}}, "spec: Forbidden: only cpu and memory resources are mutable"),
        ({"requests": {"cpu": "300m"}}, "must be less than or equal to cpu limit of 200m"),
    ],
)  # fmt: skip
async def test_a_resize_that_is_refused(admin: Any, pod: dict[str, Any], resources: Any, message: str) -> None:
    patch = {"spec": {"containers": [{"name": "main", "resources": resources}]}}
    refused = await admin.patch(f"{PODS}/web/resize", patch, "strategic")
    assert refused.code == 422 and message in refused.body["message"], refused.body


async def test_a_resize_needs_a_node_that_can(admin: Any, pod: dict[str, Any]) -> None:
    await running(admin)
    patch = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "150m"}}}]}}
    refused = await admin.patch(f"{PODS}/web/resize", patch, "strategic")
    assert "Pod running on node without support for resize" in refused.body["message"]


async def budget(admin: Any, name: str = "web", spec: Any = None, **status: Any) -> None:
    selected = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}, **(spec or {})}
    created = await admin.create(BUDGETS, {"metadata": {"name": name}, "spec": selected})
    assert created.code == 201, created.body
    said = {"observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1,
            "expectedPods": 1, **status}  # fmt: skip
    assert (await admin.patch(f"{BUDGETS}/{name}/status", {"status": said})).code == 200


async def test_an_eviction_is_paid_by_the_budget(admin: Any, pod: dict[str, Any]) -> None:
    await running(admin)
    await budget(admin, disruptionsAllowed=1, currentHealthy=2)
    dry = await admin.create(f"{PODS}/web/eviction", {**EVICTION, "deleteOptions": {"dryRun": ["All"]}})
    assert dry.code == 201, dry.body
    assert (await admin.get(f"{BUDGETS}/web")).body["status"]["disruptionsAllowed"] == 1
    evicted = await admin.create(f"{PODS}/web/eviction", EVICTION)
    assert (evicted.code, evicted.body["status"]) == (201, "Success")
    status = (await admin.get(f"{BUDGETS}/web")).body["status"]
    assert status["disruptionsAllowed"] == 0 and list(status["disruptedPods"]) == ["web"]
    (condition,) = status["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "DisruptionAllowed", "False", "InsufficientPods",
    )  # fmt: skip
    gone = (await admin.get(f"{PODS}/web")).body
    assert gone["metadata"]["deletionTimestamp"]
    (target,) = [c for c in gone["status"]["conditions"] if c["type"] == "DisruptionTarget"]
    assert (target["status"], target["reason"]) == ("True", "EvictionByEvictionAPI")
    assert target["message"] == "Eviction API: evicting" and target["lastTransitionTime"]


async def test_an_eviction_of_another_pod_than_meant_costs_nothing(admin: Any, pod: dict[str, Any]) -> None:
    await running(admin)
    await budget(admin, disruptionsAllowed=1, currentHealthy=2)
    meant = {**EVICTION, "deleteOptions": {"preconditions": {"resourceVersion": pod["metadata"]["resourceVersion"]}}}
    refused = await admin.create(f"{PODS}/web/eviction", meant)
    assert (refused.code, refused.body["reason"]) == (409, "Conflict")
    assert (await admin.get(f"{BUDGETS}/web")).body["status"]["disruptionsAllowed"] == 1
    shown = (await admin.get(f"{PODS}/web")).body
    assert "deletionTimestamp" not in shown["metadata"]
    assert all(c["type"] != "DisruptionTarget" for c in shown["status"]["conditions"])


@pytest.mark.parametrize(
    ("status", "message", "retry"),
    [
        ({}, "The disruption budget web needs 1 healthy pods and has 1 currently", None),
        ({"observedGeneration": 0}, "The disruption budget web is still being processed by the server.", "10"),
    ],
)
async def test_an_eviction_that_the_budget_forbids(
    admin: Any, pod: dict[str, Any], status: Any, message: str, retry: str | None
) -> None:
    await running(admin)
    await budget(admin, **status)
    refused = await admin.create(f"{PODS}/web/eviction", EVICTION)
    assert (refused.code, refused.body["reason"]) == (429, "TooManyRequests")
    assert refused.body["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    assert refused.body["details"]["causes"] == [{"reason": "DisruptionBudget", "message": message}]
    assert refused.headers.get("Retry-After") == retry
    assert "deletionTimestamp" not in (await admin.get(f"{PODS}/web")).body["metadata"]


@pytest.mark.parametrize(
    ("spec", "status", "code"),
    [
        ({}, {"currentHealthy": 1}, 201),
        ({}, {"currentHealthy": 0}, 429),
        ({"unhealthyPodEvictionPolicy": "AlwaysAllow"}, {"currentHealthy": 0}, 201),
        ({"unhealthyPodEvictionPolicy": "IfHealthyBudget"}, {"currentHealthy": 0}, 429),
    ],
)
async def test_an_unready_pod(admin: Any, pod: dict[str, Any], spec: Any, status: Any, code: int) -> None:
    await running(admin, ready="False")
    await budget(admin, spec=spec, **status)
    assert (await admin.create(f"{PODS}/web/eviction", EVICTION)).code == code


async def test_a_pending_pod_asks_nobody(admin: Any, pod: dict[str, Any]) -> None:
    await budget(admin)
    assert (await admin.create(f"{PODS}/web/eviction", EVICTION)).code == 201


@pytest.mark.parametrize(("selector", "code"), [({}, 429), (None, 201), ({"matchLabels": {"app": "x"}}, 201)])
async def test_whom_a_budget_protects(admin: Any, pod: dict[str, Any], selector: Any, code: int) -> None:
    await running(admin)
    await budget(admin, spec={"selector": selector})
    assert (await admin.create(f"{PODS}/web/eviction", EVICTION)).code == code


async def test_two_budgets_are_one_too_many(admin: Any, pod: dict[str, Any]) -> None:
    await running(admin)
    await budget(admin)
    await budget(admin, "again")
    refused = await admin.create(f"{PODS}/web/eviction", EVICTION)
    assert refused.code == 500 and "more than one PodDisruptionBudget" in refused.body["message"]
