"""DELETE: graces, finalizers, preconditions, namespaces."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from picluster.api import meta

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
NAMESPACES = "/api/v1/namespaces"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


async def test_a_deletion_answers_with_a_status_or_the_object(admin: Any, pod_of: Callable[..., Any]) -> None:
    created = (await admin.create(MAPS, {"metadata": {"name": "a"}})).body
    answer = await admin.delete(f"{MAPS}/a")
    assert answer.code == 200
    details = {"name": "a", "kind": "configmaps", "uid": created["metadata"]["uid"]}
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }
    await admin.create(PODS, pod_of("p"))
    assert (await admin.delete(f"{PODS}/p")).body["kind"] == "Pod"
    assert (await admin.delete(f"{PODS}/p")).code == 404


async def test_a_pod_on_a_node_is_given_its_grace(admin: Any, pod_of: Callable[..., Any]) -> None:
    await admin.create(PODS, pod_of("p", "pi-1"))
    marked = (await admin.delete(f"{PODS}/p")).body["metadata"]
    assert marked["deletionGracePeriodSeconds"] == 30
    assert abs(meta.parse_time(marked["deletionTimestamp"]) - time.time() - 30) < 5
    assert marked["generation"] == 2
    again = (await admin.delete(f"{PODS}/p", {"gracePeriodSeconds": 60})).body["metadata"]
    assert again == marked, "a grace under way is never made longer"
    shorter = (await admin.delete(f"{PODS}/p", {"gracePeriodSeconds": 5})).body["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 5
    change_s = meta.parse_time(marked["deletionTimestamp"]) - meta.parse_time(shorter["deletionTimestamp"])
    assert change_s == 25
    assert (await admin.delete(f"{PODS}/p?gracePeriodSeconds=0")).code == 200
    assert (await admin.get(f"{PODS}/p")).code == 404


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_pod_that_has_ended_goes_at_once(admin: Any, pod_of: Callable[..., Any], phase: str) -> None:
    await admin.create(PODS, pod_of("p", "pi-1"))
    assert (await admin.patch(f"{PODS}/p/status", {"status": {"phase": phase}})).code == 200
    await admin.delete(f"{PODS}/p")
    assert (await admin.get(f"{PODS}/p")).code == 404


async def test_what_has_finalizers_waits_for_them(admin: Any) -> None:
    await admin.create(MAPS, {"metadata": {"name": "a", "finalizers": ["example.com/hold"]}})
    marked = await admin.delete(f"{MAPS}/a")
    assert marked.code == 200
    assert marked.body["metadata"]["deletionTimestamp"] and marked.body["metadata"]["deletionGracePeriodSeconds"] == 0
    assert (await admin.delete(f"{MAPS}/a", {"orphanDependents": False})).code == 202
    still = await admin.patch(f"{MAPS}/a", {"data": {"x": "y"}})
    assert still.code == 200 and "deletionTimestamp" in still.body["metadata"]
    last = await admin.patch(f"{MAPS}/a", {"metadata": {"finalizers": None}})
    assert last.code == 200
    assert (await admin.get(f"{MAPS}/a")).code == 404


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
async def test_the_garbage_collector_is_given_its_finalizers(admin: Any, policy: str, finalizer: str) -> None:
    await admin.create(MAPS, {"metadata": {"name": "a"}})
    answer = await admin.delete(f"{MAPS}/a?propagationPolicy={policy}")
    assert answer.code == 200
    assert answer.body["metadata"]["finalizers"] == [finalizer]
    gone = await admin.delete(f"{MAPS}/a", {"propagationPolicy": "Background"})
    assert gone.code == 200
    assert (await admin.get(f"{MAPS}/a")).code == 404


async def test_options_that_make_no_sense(admin: Any) -> None:
    await admin.create(MAPS, {"metadata": {"name": "a"}})
    bad = await admin.delete(f"{MAPS}/a?propagationPolicy=Sideways")
    assert (bad.code, bad.body["details"]["causes"][0]["field"]) == (422, "propagationPolicy")
    both = await admin.delete(f"{MAPS}/a", {"propagationPolicy": "Orphan", "orphanDependents": True})
    assert both.code == 422
    assert (await admin.delete(f"{MAPS}/a", {"kind": "Pod"})).code == 400
    assert (await admin.get(f"{MAPS}/a")).code == 200


async def test_preconditions(admin: Any) -> None:
    created = (await admin.create(MAPS, {"metadata": {"name": "a"}})).body["metadata"]
    wrong = await admin.delete(f"{MAPS}/a", {"preconditions": {"uid": "other"}})
    assert (wrong.code, wrong.body["reason"]) == (409, "Conflict")
    assert "the UID in the precondition (other) does not match the UID in record" in wrong.body["message"]
    stale = await admin.delete(f"{MAPS}/a", {"preconditions": {"resourceVersion": "1"}})
    assert stale.code == 409 and "the ResourceVersion in the precondition (1)" in stale.body["message"]
    right = {"uid": created["uid"], "resourceVersion": created["resourceVersion"]}
    assert (await admin.delete(f"{MAPS}/a", {"preconditions": right})).code == 200
    uid = (await admin.create("/api/v1/namespaces", {"metadata": {"name": "held"}})).body["metadata"]["uid"]
    space = await admin.delete("/api/v1/namespaces/held", {"preconditions": {"uid": "other"}})
    assert space.code == 409
    assert f"Precondition failed: UID in precondition: other, UID in object meta: {uid}" in space.body["message"]


async def test_a_namespace_ends_when_it_is_empty(admin: Any) -> None:
    created = await admin.create(NAMESPACES, {"metadata": {"name": "shop"}})
    assert created.code == 201
    assert created.body["spec"]["finalizers"] == ["kubernetes"]
    assert created.body["metadata"]["labels"] == {"kubernetes.io/metadata.name": "shop"}
    marked = (await admin.delete(f"{NAMESPACES}/shop")).body
    assert marked["status"]["phase"] == "Terminating" and marked["metadata"]["deletionTimestamp"]
    refused = await admin.create(f"{NAMESPACES}/shop/configmaps", {"metadata": {"name": "a"}})
    assert (refused.code, refused.body["reason"]) == (403, "Forbidden")
    assert refused.body["message"] == (
        'configmaps "a" is forbidden: unable to create new content in namespace shop because it is being terminated'
    )
    assert refused.body["details"]["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace shop is being terminated",
            "field": "metadata.namespace",
        }
    ]
    assert (await admin.patch(f"{NAMESPACES}/shop", {"spec": {"finalizers": []}})).code in (200, 422)
    assert (await admin.get(f"{NAMESPACES}/shop")).code == 200
    marked["spec"]["finalizers"] = []
    marked["metadata"].pop("resourceVersion")
    final = await admin.put(f"{NAMESPACES}/shop/finalize", marked)
    assert final.code == 200, final.body
    assert (await admin.get(f"{NAMESPACES}/shop")).code == 404


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_some_namespaces_stay(admin: Any, name: str) -> None:
    answer = await admin.delete(f"{NAMESPACES}/{name}")
    assert (answer.code, answer.body["message"]) == (
        403,
        f'namespaces "{name}" is forbidden: this namespace may not be deleted',
    )


async def test_an_eviction_is_a_deletion(admin: Any, pod_of: Callable[..., Any]) -> None:
    await admin.create(PODS, pod_of("p", "pi-1"))
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p", "namespace": "default"}}
    answer = await admin.create(f"{PODS}/p/eviction", eviction)
    assert (answer.code, answer.body["status"]) == (201, "Success")
    assert (await admin.get(f"{PODS}/p")).body["metadata"]["deletionTimestamp"]
    wrong = await admin.create(f"{PODS}/p/eviction", {**eviction, "metadata": {"name": "q"}})
    assert wrong.code == 400


async def test_a_pod_is_bound_once(admin: Any, pod_of: Callable[..., Any]) -> None:
    await admin.create(PODS, pod_of("p"))
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"name": "pi-1"}}
    assert (await admin.create(f"{PODS}/p/binding", binding)).code == 201
    again = await admin.create(f"{PODS}/p/binding", {**binding, "target": {"kind": "Node", "name": "pi-2"}})
    assert (again.code, again.body["reason"]) == (409, "Conflict")
    assert again.body["message"] == (
        'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "pi-1"'
    )


async def test_a_bound_pod_has_the_zone_of_its_node(admin: Any, pod_of: Callable[..., Any]) -> None:
    zone, region = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
    labels = {zone: "rack-1", region: "home", "other": "x"}
    assert (await admin.create("/api/v1/nodes", {"metadata": {"name": "pi-9", "labels": labels}})).code == 201
    pod = pod_of("p")
    pod["metadata"]["labels"] = {region: "mine"}
    await admin.create(PODS, pod)
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "pi-9"}}
    assert (await admin.create(f"{PODS}/p/binding", binding)).code == 201
    assert (await admin.get(f"{PODS}/p")).body["metadata"]["labels"] == {zone: "rack-1", region: "mine"}
