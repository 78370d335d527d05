"""Services: addresses and node ports are handed out once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from picluster.apiserver.server import ApiServer
from picluster.storage.memory import MemoryBackend

SERVICES = "/api/v1/namespaces/default/services"


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], "selector": {"app": name}, **spec}}


async def test_every_cluster_has_its_own_service(admin: Any, server: ApiServer) -> None:
    own = (await admin.get(f"{SERVICES}/kubernetes")).body["spec"]
    assert (own["clusterIP"], own["ports"][0]["port"]) == ("10.43.0.1", 443)
    assert own["ports"][0]["targetPort"] == server.port
    endpoints = (await admin.get("/api/v1/namespaces/default/endpoints/kubernetes")).body["subsets"]
    assert endpoints[0]["addresses"] == [{"ip": "192.0.2.10"}]
    slices = (await admin.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")).body
    assert slices["endpoints"][0]["addresses"] == ["192.0.2.10"]
    names = {item["metadata"]["name"] for item in (await admin.get("/api/v1/namespaces")).body["items"]}
    assert names == {"default", "kube-system", "kube-public", "kube-node-lease"}


async def test_an_address_is_allocated_with_its_families(admin: Any) -> None:
    created = await admin.create(SERVICES, service("a"))
    assert created.code == 201, created.body
    spec = created.body["spec"]
    assert spec["clusterIPs"] == [spec["clusterIP"]] and spec["clusterIP"].startswith("10.43.")
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"], spec["type"]) == (["IPv4"], "SingleStack", "ClusterIP")


async def test_chosen_addresses(admin: Any) -> None:
    assert (await admin.create(SERVICES, service("a", clusterIP="10.43.0.10"))).body["spec"][
        "clusterIP"
    ] == "10.43.0.10"
    taken = await admin.create(SERVICES, service("b", clusterIP="10.43.0.10"))
    assert (taken.code, taken.body["reason"]) == (422, "Invalid")
    assert taken.body["message"] == (
        'Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.43.0.10"]: failed to allocate IP 10.43.0.10:'
        " provided IP is already allocated"
    )
    outside = await admin.create(SERVICES, service("b", clusterIP="10.99.0.10"))
    assert outside.code == 422 and "is not in the valid range" in outside.body["message"]
    assert (await admin.create(SERVICES, service("b", clusterIP="nonsense"))).code == 422
    await admin.delete(f"{SERVICES}/a")
    assert (await admin.create(SERVICES, service("b", clusterIP="10.43.0.10"))).code == 201


async def test_headless_and_external_services_have_no_address(admin: Any) -> None:
    headless = (await admin.create(SERVICES, service("h", clusterIP="None"))).body["spec"]
    assert (headless["clusterIP"], headless["clusterIPs"]) == ("None", ["None"])
    external = await admin.create(
        SERVICES, {"metadata": {"name": "e"}, "spec": {"type": "ExternalName", "externalName": "example.com"}}
    )
    assert external.code == 201, external.body
    assert "clusterIP" not in external.body["spec"]


async def test_concurrent_creates_never_get_the_same_address(admin: Any) -> None:
    answers = await asyncio.gather(*[admin.create(SERVICES, service(f"s{n}", type="NodePort")) for n in range(60)])
    assert {answer.code for answer in answers} == {201}
    specs = [answer.body["spec"] for answer in answers]
    assert len({spec["clusterIP"] for spec in specs}) == 60
    ports = {spec["ports"][0]["nodePort"] for spec in specs}
    assert len(ports) == 60 and all(30000 <= port < 32768 for port in ports)
    wanted = [admin.create(SERVICES, service(f"w{n}", clusterIP="10.43.0.77")) for n in range(10)]
    codes = [answer.code for answer in await asyncio.gather(*wanted)]
    assert sorted(codes) == [201] + [422] * 9


async def test_chosen_node_ports(admin: Any) -> None:
    ports = [{"port": 80, "nodePort": 30080}]
    assert (await admin.create(SERVICES, service("a", type="NodePort", ports=ports))).code == 201
    taken = await admin.create(SERVICES, service("b", type="NodePort", ports=ports))
    assert taken.code == 422
    assert "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated" in taken.body["message"]
    outside = await admin.create(SERVICES, service("b", type="NodePort", ports=[{"port": 80, "nodePort": 80}]))
    assert "The range of valid ports is 30000-32767" in outside.body["message"]
    udp = [{"port": 80, "nodePort": 30080, "protocol": "UDP"}]
    assert (await admin.create(SERVICES, service("b", type="NodePort", ports=udp))).code == 201


async def test_an_update_keeps_what_was_given(admin: Any) -> None:
    before = (await admin.create(SERVICES, service("a", type="NodePort"))).body["spec"]
    replaced = await admin.put(f"{SERVICES}/a", service("a", type="NodePort", selector={"app": "new"}))
    assert replaced.code == 200, replaced.body
    after = replaced.body["spec"]
    assert (after["clusterIP"], after["ports"][0]["nodePort"]) == (before["clusterIP"], before["ports"][0]["nodePort"])
    moved = await admin.patch(f"{SERVICES}/a", {"spec": {"clusterIP": "10.43.9.9", "clusterIPs": ["10.43.9.9"]}})
    assert moved.code == 422 and "may not change once set" in moved.body["message"]


async def test_node_ports_are_given_back_when_the_type_changes(admin: Any) -> None:
    ports = [{"port": 80, "nodePort": 30080}]
    await admin.create(SERVICES, service("a", type="NodePort", ports=ports))
    back = await admin.put(f"{SERVICES}/a", service("a"))
    assert back.code == 200 and "nodePort" not in back.body["spec"]["ports"][0]
    assert (await admin.create(SERVICES, service("b", type="NodePort", ports=ports))).code == 201


async def test_refused_and_dry_writes_take_nothing(admin: Any) -> None:
    ports = [{"port": 80, "nodePort": 30080}]
    wanted = service("a", type="NodePort", ports=ports, clusterIP="10.43.0.10")
    assert (await admin.create(f"{SERVICES}?dryRun=All", wanted)).code == 201
    assert (await admin.create(SERVICES, service("b"))).code == 201
    assert (await admin.create(SERVICES, {**wanted, "metadata": {"name": "b"}})).code == 409
    assert (await admin.create(SERVICES, wanted)).code == 201


async def test_the_books_are_rebuilt_at_a_start(start: Callable[..., Awaitable[ApiServer]], caller: Any) -> None:
    backend = MemoryBackend()
    first = await start(backend)
    admin = await caller(first)
    await admin.create(SERVICES, service("a", clusterIP="10.43.0.10"))
    await first.stop()
    again = await caller(await start(backend))
    assert (await again.create(SERVICES, service("b", clusterIP="10.43.0.10"))).code == 422
    await again.delete(f"{SERVICES}/a")
    assert (await again.create(SERVICES, service("b", clusterIP="10.43.0.10"))).code == 201


async def test_a_full_range_is_told(start: Callable[..., Awaitable[ApiServer]], caller: Any) -> None:
    admin = await caller(await start(service_cidr="10.43.0.0/29"))
    answers = [await admin.create(SERVICES, service(f"s{n}")) for n in range(6)]
    assert [answer.code for answer in answers] == [201] * 5 + [500]
    assert "range is full" in answers[-1].body["message"]


@pytest.mark.parametrize("loopback", ["127.0.0.1", "::1"])
async def test_a_loopback_address_is_no_endpoint(
    start: Callable[..., Awaitable[ApiServer]], caller: Any, loopback: str, tmp_path: Path
) -> None:
    admin = await caller(await start(advertise=loopback))
    assert (await admin.get("/api/v1/namespaces/default/endpoints/kubernetes")).code == 404


async def test_a_service_becomes_an_external_name_and_back(admin: Any) -> None:
    """As conformance's "should be able to change the type from …" do, with what was read before."""
    created = await admin.create(SERVICES, service("a", type="NodePort"))
    body = created.body
    for external, kind in ((True, "ExternalName"), (False, "ClusterIP"), (True, "ExternalName"), (False, "NodePort")):
        body["spec"] |= {"type": kind, "externalName": "example.com" if external else ""}
        if external:
            body["spec"]["clusterIP"] = ""
        answer = await admin.put(f"{SERVICES}/a", body)
        assert answer.code == 200, answer.body
        body = answer.body
        assert bool(body["spec"].get("clusterIP")) is not external
        assert ("nodePort" in body["spec"]["ports"][0]) is (kind == "NodePort")


async def test_a_put_creates_a_service(admin: Any) -> None:
    assert (await admin.put(f"{SERVICES}/a", service("a"))).code == 201
