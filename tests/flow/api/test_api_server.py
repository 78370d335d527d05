"""The server as a whole: starts, restarts on its store, stops; health, metrics, discovery."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from picluster.apiserver.server import ApiServer
from picluster.storage.sqlite import SqliteBackend

MAPS = "/api/v1/namespaces/default/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
Start = Callable[..., Awaitable[ApiServer]]


async def test_a_restart_changes_nothing_and_watches_resume(start: Start, caller: Any, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    first = await start(SqliteBackend(path))
    admin = await caller(first)
    await admin.create(MAPS, {"metadata": {"name": "a"}, "data": {"x": "1"}})
    listed = await admin.get("/api/v1/configmaps")
    await admin.patch(f"{MAPS}/a", {"data": {"x": "2"}})
    before = (await admin.get(f"{MAPS}/a")).body
    namespaces = (await admin.get("/api/v1/namespaces")).body["items"]
    port = first.port
    await first.stop()
    again = await start(SqliteBackend(path), port=port)
    admin = await caller(again)
    assert (await admin.get(f"{MAPS}/a")).body == before
    assert (await admin.get("/api/v1/namespaces")).body["items"] == namespaces
    watch = await admin.watch(f"{MAPS}?resourceVersion={listed.version}")
    event = await watch.next()
    assert (event["type"] in ("ADDED", "MODIFIED"), event["object"]) == (True, before)
    newer = await admin.patch(f"{MAPS}/a", {"data": {"x": "3"}})
    assert int(newer.version) > int(before["metadata"]["resourceVersion"])
    assert (await watch.next())["object"] == newer.body


async def test_heartbeats_are_served_and_survive_an_orderly_stop(start: Start, caller: Any, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    first = await start(SqliteBackend(path))
    admin = await caller(first)
    await admin.create(LEASES, {"metadata": {"name": "pi-1"}, "spec": {"holderIdentity": "pi-1"}})
    versions = []
    for second in range(3):
        renewed = {"spec": {"renewTime": f"2026-01-01T00:00:0{second}.000000Z"}}
        versions.append(int((await admin.patch(f"{LEASES}/pi-1", renewed)).version))
    assert versions == sorted(set(versions))
    await first.stop()
    admin = await caller(await start(SqliteBackend(path)))
    assert (await admin.get(f"{LEASES}/pi-1")).body["spec"]["renewTime"] == "2026-01-01T00:00:02.000000Z"


async def test_a_stop_ends_watches_in_order(start: Start, caller: Any) -> None:
    server = await start()
    admin = await caller(server)
    watch = await admin.watch(f"{MAPS}?timeoutSeconds=600")
    await asyncio.wait_for(server.stop(), 5)
    assert await watch.rest() == []


async def test_health(admin: Any, server: ApiServer) -> None:
    assert (await admin.get("/livez")).body == "ok"
    verbose = (await admin.get("/readyz?verbose")).body
    assert "[+]store ok\n" in verbose and verbose.endswith("readyz check passed\n")
    assert (await admin.get("/readyz/nonsense")).code == 404
    slis = (await admin.get("/metrics/slis")).body
    assert 'kubernetes_healthcheck{name="store",type="readyz"} 1.0' in slis
    assert 'kubernetes_healthchecks_total{name="ping",status="success",type="livez"} 1.0' in slis
    await server.stop()


async def test_metrics_count_requests_watchers_and_objects(admin: Any) -> None:
    await admin.create(MAPS, {"metadata": {"name": "a"}})
    await admin.get(f"{MAPS}/none")
    await admin.watch(MAPS)
    text = (await admin.get("/metrics")).body
    core = 'component="apiserver",dry_run="",group="",resource="configmaps",scope="resource",subresource=""'
    expected = (
        f'apiserver_request_total{{code="404",{core},verb="GET",version="v1"}} 1.0',
        f'apiserver_request_total{{code="201",{core},verb="POST",version="v1"}} 1.0',
        f'apiserver_request_duration_seconds_count{{{core},verb="POST",version="v1"}} 1.0',
        'apiserver_longrunning_requests{component="apiserver",group="",resource="configmaps",scope="namespace",'
        'subresource="",verb="WATCH",version="v1"} 1.0',
        'apiserver_storage_objects{resource="configmaps"} 3.0',
        'apiserver_resource_objects{group="",resource="configmaps"} 3.0',
        'apiserver_watch_events_total{group="",resource="configmaps",version="v1"}',
        'picluster_store_write_seconds_count{operation="create"}',
        "process_resident_memory_bytes",
        'apiserver_storage_size_bytes{storage_cluster_id="etcd-0"}',
    )
    for line in expected:
        assert line in text


async def test_discovery_in_both_forms(admin: Any, server: ApiServer) -> None:
    assert (await admin.get("/api")).body["versions"] == ["v1"]
    resources = (await admin.get("/apis/apps/v1")).body["resources"]
    assert {each["name"] for each in resources} >= {"deployments", "deployments/scale", "replicasets"}
    kubectl = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    async with admin.session.get("/apis", headers={"Accept": kubectl}) as response:
        assert (
            response.headers["Content-Type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        )
        assert (await response.json())["kind"] == "APIGroupDiscoveryList"
    index = (await admin.get("/openapi/v3")).body["paths"]
    assert (await admin.get(index["apis/apps/v1"]["serverRelativeURL"])).body["openapi"].startswith("3.")
    assert (await admin.get("/apis/none")).code == 404
    assert (await admin.get("/version")).body["gitVersion"].startswith("v1.36")


async def test_old_events_and_old_history_are_forgotten(start: Start, caller: Any) -> None:
    server = await start(compaction_interval_s=0.05, history_s=0.0)
    admin = await caller(server)
    await admin.create(MAPS, {"metadata": {"name": "a"}})
    await admin.patch(f"{MAPS}/a", {"data": {"x": "y"}})
    history = server.cache.collections["configmaps"].history
    for _ in range(500):
        if not len(history):
            break
        await asyncio.sleep(0.01)
    assert not len(history) and history.floor >= 1
