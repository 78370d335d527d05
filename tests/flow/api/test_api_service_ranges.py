"""ServiceCIDRs and IPAddresses: where cluster IPs come from, and an object for each that is in use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from picluster.apiserver.registry import ipaddresses
from picluster.apiserver.server import ApiServer
from picluster.storage.memory import MemoryBackend

ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"
RANGES = "/apis/networking.k8s.io/v1/servicecidrs"
SERVICES = "/api/v1/namespaces/default/services"

ALLOCATED = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], "selector": {"app": name}, **spec}}


def address(name: str, owner: str = "somebody") -> dict[str, Any]:
    parent = {"resource": "things", "group": "example.com", "namespace": "default", "name": owner}
    return {"metadata": {"name": name}, "spec": {"parentRef": parent}}


async def test_the_default_range_is_ready(admin: Any) -> None:
    default = (await admin.get(f"{RANGES}/kubernetes")).body
    assert default["spec"] == {"cidrs": ["10.43.0.0/16"]}
    condition = default["status"]["conditions"][0]
    assert (condition["type"], condition["status"]) == ("Ready", "True")
    assert condition["message"] == "Kubernetes default Service CIDR is ready"


async def test_every_cluster_ip_has_its_object(admin: Any) -> None:
    own = (await admin.get(f"{ADDRESSES}/10.43.0.1")).body
    assert own["spec"]["parentRef"] == {"resource": "services", "namespace": "default", "name": "kubernetes"}
    assert own["metadata"]["labels"] == {
        "ipaddress.kubernetes.io/ip-family": "IPv4",
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    }
    ip = (await admin.create(SERVICES, service("web"))).body["spec"]["clusterIP"]
    assert (await admin.get(f"{ADDRESSES}/{ip}")).body["spec"]["parentRef"]["name"] == "web"
    assert (await admin.create(f"{SERVICES}?dryRun=All", service("dry", clusterIP="10.43.0.30"))).code == 201
    assert (await admin.get(f"{ADDRESSES}/10.43.0.30")).code == 404
    external = {"type": "ExternalName", "externalName": "example.com", **dict.fromkeys(ALLOCATED)}
    changed = await admin.patch(f"{SERVICES}/web", {"spec": external})
    assert changed.code == 200, changed.body
    assert (await admin.get(f"{ADDRESSES}/{ip}")).code == 404
    again = await admin.patch(f"{SERVICES}/web", {"spec": {"type": "ClusterIP", "clusterIP": ip}})
    assert again.code == 200, again.body
    assert (await admin.get(f"{ADDRESSES}/{ip}")).code == 200
    assert (await admin.delete(f"{SERVICES}/web")).code == 200
    assert (await admin.get(f"{ADDRESSES}/{ip}")).code == 404


async def test_an_address_that_is_named_already_is_taken(admin: Any) -> None:
    assert (await admin.create(ADDRESSES, address("10.43.0.77"))).code == 201
    refused = await admin.create(SERVICES, service("web", clusterIP="10.43.0.77"))
    assert refused.code == 422 and "provided IP is already allocated" in refused.body["message"]
    assert (await admin.delete(f"{ADDRESSES}/10.43.0.77")).code == 200
    assert (await admin.create(SERVICES, service("web", clusterIP="10.43.0.77"))).code == 201


async def test_the_life_of_an_ip_address(admin: Any) -> None:
    watch = await admin.watch(f"{ADDRESSES}?labelSelector=test")
    made = {**address("192.0.2.9")}
    made["metadata"]["labels"] = {"test": "ip"}
    created = await admin.create(ADDRESSES, made)
    assert created.code == 201, created.body
    assert (await watch.next())["type"] == "ADDED"
    patched = await admin.patch(f"{ADDRESSES}/192.0.2.9", {"metadata": {"annotations": {"a": "b"}}})
    assert patched.code == 200 and (await watch.next())["type"] == "MODIFIED"
    updated = await admin.put(f"{ADDRESSES}/192.0.2.9", {**patched.body, **address("192.0.2.9", "other")})
    assert updated.code == 422 and "spec.parentRef" in updated.body["message"]
    assert (await admin.create(ADDRESSES, address("192.0.2.09"))).code == 422
    assert (await admin.delete(f"{ADDRESSES}?labelSelector=test")).code == 200
    assert (await watch.next())["type"] == "DELETED"


async def test_a_ready_range_gives_addresses_too(
    start: Callable[..., Awaitable[ApiServer]], caller: Callable[..., Awaitable[Any]]
) -> None:
    admin = await caller(await start(service_cidr="10.43.0.0/30"))
    assert (await admin.create(SERVICES, service("a"))).body["spec"]["clusterIP"] == "10.43.0.2"
    full = await admin.create(SERVICES, service("b"))
    assert full.code == 500 and "range is full" in full.body["message"]
    extra = {"metadata": {"name": "extra"}, "spec": {"cidrs": ["10.44.0.0/30"]}}
    assert (await admin.create(RANGES, extra)).code == 201
    assert (await admin.create(SERVICES, service("b"))).code == 500
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    assert (await admin.patch(f"{RANGES}/extra/status", {"status": {"conditions": [ready]}})).code == 200
    assert (await admin.create(SERVICES, service("b"))).body["spec"]["clusterIP"] in ("10.44.0.1", "10.44.0.2")
    assert (await admin.delete(f"{RANGES}/extra")).code == 200
    outside = await admin.create(SERVICES, service("c", clusterIP="10.44.0.1"))
    assert outside.code == 422 and "The range of valid IPs is 10.43.0.0/30" in outside.body["message"]


async def test_a_restart_puts_the_objects_right(
    start: Callable[..., Awaitable[ApiServer]], caller: Callable[..., Awaitable[Any]]
) -> None:
    backend = MemoryBackend()
    first = await start(backend)
    admin = await caller(first)
    ip = (await admin.create(SERVICES, service("web"))).body["spec"]["clusterIP"]
    foreign = address("10.43.0.99")
    ours = {"resource": "services", "namespace": "default", "name": "gone"}
    stale = {"metadata": {"name": "10.43.0.98", "labels": {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}},
             "spec": {"parentRef": ours}}  # fmt: skip
    for made in (foreign, stale):
        assert (await admin.create(ADDRESSES, made)).code == 201
    assert (await admin.delete(f"{ADDRESSES}/{ip}")).code == 200
    await first.stop()
    admin = await caller(await start(backend))
    assert (await admin.get(f"{ADDRESSES}/{ip}")).body["spec"]["parentRef"]["name"] == "web"
    assert (await admin.get(f"{ADDRESSES}/10.43.0.98")).code == 404
    assert (await admin.get(f"{ADDRESSES}/10.43.0.99")).code == 200


async def test_objects_are_put_right_now_and_then(
    start: Callable[..., Awaitable[ApiServer]],
    caller: Callable[..., Awaitable[Any]],
    eventually: Callable[..., Awaitable[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ipaddresses, "REPAIR_INTERVAL_S", 0.02)
    server = await start()
    admin = await caller(server)
    labels = {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}
    fresh = address("10.43.0.98")
    fresh["metadata"]["labels"] = labels
    assert (await admin.create(ADDRESSES, fresh)).code == 201
    ip = (await admin.create(SERVICES, service("web"))).body["spec"]["clusterIP"]
    assert (await admin.delete(f"{ADDRESSES}/{ip}")).code == 200

    async def back() -> bool:
        return bool((await admin.get(f"{ADDRESSES}/{ip}")).code == 200)

    await eventually(back)
    assert (await admin.get(f"{ADDRESSES}/10.43.0.98")).code == 200
    await ipaddresses.repair(server.registry)
    assert (await admin.get(f"{ADDRESSES}/10.43.0.98")).code == 404
