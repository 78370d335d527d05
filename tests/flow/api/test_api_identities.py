"""Who may do what: certificates, the control plane's roles, nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from picluster.apiserver.server import ApiServer

PODS = "/api/v1/namespaces/default/pods"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


def node_of(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


@pytest.mark.parametrize("path", ["/version", "/healthz", "/livez", "/readyz", "/readyz/bootstrap"])
async def test_health_and_version_are_for_everybody(server: ApiServer, caller: Any, path: str) -> None:
    nobody = await caller(server, None)
    assert (await nobody.get(path)).code == 200


@pytest.mark.parametrize("path", ["/api/v1/pods", "/metrics", "/api", "/apis", "/openapi/v3", PODS, "/nonsense"])
async def test_nothing_else_is(server: ApiServer, caller: Any, path: str) -> None:
    nobody = await caller(server, None)
    answer = await nobody.get(path)
    assert (answer.code, answer.body["reason"], answer.body["message"]) == (401, "Unauthorized", "Unauthorized")


async def test_whoever_is_somebody_may_discover(server: ApiServer, caller: Any) -> None:
    node = await caller(server, "node-pi-1")
    for path in ("/api", "/apis", "/api/v1", "/apis/apps/v1", "/openapi/v3"):
        assert (await node.get(path)).code == 200
    assert (await node.get("/metrics")).code == 403


async def test_a_refusal_says_who_may_not_do_what(server: ApiServer, caller: Any) -> None:
    scheduler = await caller(server, "scheduler")
    answer = await scheduler.get("/api/v1/namespaces/default/secrets/s")
    assert (answer.code, answer.body["reason"]) == (403, "Forbidden")
    assert answer.body["message"] == (
        'secrets "s" is forbidden: User "system:kube-scheduler" cannot get resource "secrets" in API group "" in the'
        ' namespace "default"'
    )
    listing = await scheduler.get("/api/v1/secrets")
    assert listing.body["message"].endswith('cannot list resource "secrets" in API group "" at the cluster scope')
    path = await scheduler.get("/metrics")
    assert path.body["message"] == 'forbidden: User "system:kube-scheduler" cannot get path "/metrics"'


async def test_the_scheduler_binds_and_reads_and_no_more(
    admin: Any, server: ApiServer, caller: Any, pod_of: Callable[..., Any]
) -> None:
    scheduler = await caller(server, "scheduler")
    await admin.create(PODS, pod_of("p"))
    assert (await scheduler.get("/api/v1/pods")).code == 200
    assert (await scheduler.patch(f"{PODS}/p/status", {"status": {"nominatedNodeName": "pi-1"}})).code == 200
    assert (await scheduler.create(f"{PODS}/p/binding", {"target": {"name": "pi-1"}})).code == 201
    assert (await scheduler.patch(f"{PODS}/p", {"metadata": {"labels": {"a": "b"}}})).code == 403
    assert (await scheduler.create(PODS, pod_of("q"))).code == 403


async def test_the_controllers_do_their_work(admin: Any, server: ApiServer, caller: Any, pod_of: Any) -> None:
    controllers = await caller(server, "controllers")
    assert (await controllers.create(PODS, pod_of("p"))).code == 201
    assert (await controllers.patch(f"{PODS}/p", {"metadata": {"labels": {"a": "b"}}})).code == 200
    assert (await controllers.create("/api/v1/namespaces", {"metadata": {"name": "n"}})).code == 403
    assert (await controllers.delete(f"{PODS}/p")).code == 200


async def test_a_node_registers_itself_and_nobody_else(admin: Any, server: ApiServer, caller: Any) -> None:
    node = await caller(server, "node-pi-1")
    assert (await node.create("/api/v1/nodes", node_of("pi-1", **{"kubernetes.io/hostname": "pi-1"}))).code == 201
    other = await node.create("/api/v1/nodes", node_of("pi-2"))
    assert (other.code, other.body["message"]) == (
        403,
        'nodes "pi-2" is forbidden: node "pi-1" is not allowed to modify node "pi-2"',
    )
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert (await node.patch("/api/v1/nodes/pi-1/status", status, "strategic")).code == 200
    assert (await node.patch("/api/v1/nodes/pi-2/status", status)).code == 404
    assert (await admin.create("/api/v1/nodes", node_of("pi-2"))).code == 201
    assert (await node.patch("/api/v1/nodes/pi-2/status", status)).code == 403
    assert (await node.get("/api/v1/nodes")).code == 200


async def test_a_node_does_not_choose_its_taints_and_labels(admin: Any, server: ApiServer, caller: Any) -> None:
    node = await caller(server, "node-pi-1")
    await node.create("/api/v1/nodes", node_of("pi-1"))
    taints = {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}
    refused = await node.patch("/api/v1/nodes/pi-1", taints)
    assert refused.code == 403 and 'node "pi-1" is not allowed to modify taints' in refused.body["message"]
    label = {"metadata": {"labels": {"node-restriction.kubernetes.io/zone": "a"}}}
    relabelled = await node.patch("/api/v1/nodes/pi-1", label)
    assert (relabelled.code, relabelled.body["message"]) == (
        403,
        'nodes "pi-1" is forbidden: is not allowed to modify labels: node-restriction.kubernetes.io/zone',
    )
    assert (await node.patch("/api/v1/nodes/pi-1", {"metadata": {"labels": {"shelf": "top"}}})).code == 200
    assert (await admin.patch("/api/v1/nodes/pi-1", taints)).code == 200
    assert (await node.delete("/api/v1/nodes/pi-1")).code == 403


async def test_a_node_renews_its_own_lease(server: ApiServer, caller: Any) -> None:
    node, other = await caller(server, "node-pi-1"), await caller(server, "node-pi-2")
    lease = {"metadata": {"name": "pi-1"}, "spec": {"holderIdentity": "pi-1"}}
    assert (await node.create(LEASES, lease)).code == 201
    assert (await node.patch(f"{LEASES}/pi-1", {"spec": {"leaseDurationSeconds": 4}})).code == 200
    assert (await other.patch(f"{LEASES}/pi-1", {"spec": {"leaseDurationSeconds": 4}})).code == 403
    assert (await other.create(LEASES, {"metadata": {"name": "pi-1"}})).code == 403
    elsewhere = LEASES.replace("kube-node-lease", "default")
    assert (await node.create(elsewhere, lease)).code == 403


async def test_a_node_sees_and_reports_its_own_pods(
    admin: Any, server: ApiServer, caller: Any, pod_of: Callable[..., Any]
) -> None:
    node = await caller(server, "node-pi-1")
    await admin.create(PODS, pod_of("mine", "pi-1"))
    await admin.create(PODS, pod_of("other", "pi-2"))
    assert (await node.get("/api/v1/pods")).code == 403
    listed = await node.get("/api/v1/pods?fieldSelector=spec.nodeName=pi-1")
    assert [item["metadata"]["name"] for item in listed.body["items"]] == ["mine"]
    assert (await node.get("/api/v1/pods?fieldSelector=spec.nodeName=pi-2")).code == 403
    running = {"status": {"phase": "Running"}}
    assert (await node.patch(f"{PODS}/mine/status", running)).code == 200
    refused = await node.patch(f"{PODS}/other/status", running)
    assert refused.code == 403
    assert "can only update pod status for pods with spec.nodeName set" in refused.body["message"]
    assert (await node.get(f"{PODS}/other")).code == 403
    assert (await node.delete(f"{PODS}/other", {"gracePeriodSeconds": 0})).code == 403
    assert (await node.delete(f"{PODS}/mine", {"gracePeriodSeconds": 0})).code == 200
    assert (await node.create(PODS, pod_of("new", "pi-1"))).code == 403


async def test_a_node_reads_what_its_pods_refer_to(
    admin: Any, server: ApiServer, caller: Any, pod_of: Callable[..., Any]
) -> None:
    node = await caller(server, "node-pi-1")
    for name in ("env", "volume", "other"):
        created = await admin.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": name}})
        assert created.code == 201, created.body
    secret = "/api/v1/namespaces/default/secrets/{}"
    assert (await node.get(secret.format("env"))).code == 403
    pod = pod_of("p", "pi-1")
    pod["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "env"}}]
    pod["spec"]["volumes"] = [{"name": "v", "secret": {"secretName": "volume"}}]
    assert (await admin.create(PODS, pod)).code == 201
    assert (await node.get(secret.format("env"))).code == 200
    assert (await node.get(secret.format("volume"))).code == 200
    one = await node.get("/api/v1/namespaces/default/secrets?fieldSelector=metadata.name=volume")
    assert [item["metadata"]["name"] for item in one.body["items"]] == ["volume"]
    refused = await node.get(secret.format("other"))
    assert refused.code == 403
    assert "no relationship found between node 'pi-1' and this object" in refused.body["message"]
    assert (await node.get("/api/v1/namespaces/default/secrets")).code == 403
    await admin.delete(f"{PODS}/p", {"gracePeriodSeconds": 0})
    assert (await node.get(secret.format("env"))).code == 403


async def test_every_node_reads_what_services_lead_to(server: ApiServer, caller: Any) -> None:
    node = await caller(server, "node-pi-1")
    for path in ("/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices", "/api/v1/endpoints"):
        assert (await node.get(path)).code == 200
    assert (await node.delete("/api/v1/namespaces/default/services/kubernetes")).code == 403
    event = {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}, "reason": "r", "message": "m"}
    assert (await node.create("/api/v1/namespaces/default/events", event)).code == 201
