"""WATCH over TLS: where it begins, what it tells, how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from picluster.apiserver.server import ApiServer

MAPS = "/api/v1/namespaces/default/configmaps"
ALL_MAPS = "/api/v1/configmaps"
PODS = "/api/v1/namespaces/default/pods"
POLL_S = 0.01
WAIT_S = 10.0


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels or {}}, "data": data}


def told(event: Any) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"].get("name", "")


async def test_a_watch_without_a_version_begins_with_what_is_there(admin: Any) -> None:
    await admin.create(MAPS, config_map("a"))
    watch = await admin.watch(MAPS)
    assert told(await watch.next()) == ("ADDED", "a")
    created = await admin.create(MAPS, config_map("b"))
    event = await watch.next()
    assert (event["type"], event["object"]) == ("ADDED", created.body)


async def test_a_watch_from_a_version_tells_everything_after_it(admin: Any) -> None:
    start = (await admin.get(MAPS)).version
    await admin.create(MAPS, config_map("a"))
    await admin.patch(f"{MAPS}/a", {"data": {"x": "y"}})
    await admin.delete(f"{MAPS}/a")
    watch = await admin.watch(f"{MAPS}?resourceVersion={start}")
    events = [await watch.next() for _ in range(3)]
    assert [told(event) for event in events] == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))
    assert events[2]["object"]["data"] == {"x": "y"}, "a deletion shows the last state"


async def test_objects_enter_and_leave_a_selector(admin: Any) -> None:
    watch = await admin.watch(f"{ALL_MAPS}?labelSelector=app=web")
    await admin.create(MAPS, config_map("a"))
    await admin.patch(f"{MAPS}/a", {"metadata": {"labels": {"app": "web"}}})
    await admin.patch(f"{MAPS}/a", {"data": {"x": "y"}})
    await admin.patch(f"{MAPS}/a", {"metadata": {"labels": {"app": "db"}}})
    await admin.delete(f"{MAPS}/a")
    await admin.create(MAPS, config_map("b", {"app": "web"}))
    seen = [told(await watch.next()) for _ in range(4)]
    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "b")]


async def test_a_node_sees_its_pods_from_their_binding_on(admin: Any, pod_of: Callable[..., Any]) -> None:
    watch = await admin.watch("/api/v1/pods?fieldSelector=spec.nodeName=pi-1")
    await admin.create(PODS, pod_of("p"))
    await admin.create(PODS, pod_of("q", "pi-2"))
    bound = await admin.create(f"{PODS}/p/binding", {"target": {"kind": "Node", "name": "pi-1"}})
    assert bound.code == 201, bound.body
    event = await watch.next()
    assert told(event) == ("ADDED", "p")
    assert event["object"]["spec"]["nodeName"] == "pi-1"
    assert event["object"]["status"]["conditions"][0]["type"] == "PodScheduled"


async def test_a_version_that_is_forgotten_is_told_in_the_stream(admin: Any, server: ApiServer) -> None:
    await admin.create(MAPS, config_map("a"))
    await admin.patch(f"{MAPS}/a", {"data": {"x": "y"}})
    server.cache.forget(server.cache.revision)
    watch = await admin.watch(f"{MAPS}?resourceVersion=1")
    (event,) = await watch.rest()
    assert event["type"] == "ERROR"
    status = event["object"]
    assert (status["code"], status["reason"]) == (410, "Expired")
    assert status["message"] == f"too old resource version: 1 ({server.cache.revision})"


async def test_a_streaming_list_ends_with_a_bookmark(admin: Any, server: ApiServer) -> None:
    await admin.create(MAPS, config_map("a"))
    query = "sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    watch = await admin.watch(f"{MAPS}?{query}")
    assert told(await watch.next()) == ("ADDED", "a")
    bookmark = await watch.next()
    assert bookmark["type"] == "BOOKMARK" and bookmark["object"]["kind"] == "ConfigMap"
    assert bookmark["object"]["metadata"] == {
        "resourceVersion": str(server.cache.revision),
        "annotations": {"k8s.io/initial-events-end": "true"},
    }
    await admin.create(MAPS, config_map("b"))
    assert told(await watch.next()) == ("ADDED", "b")


@pytest.mark.parametrize(
    "query",
    [
        "sendInitialEvents=true",
        "resourceVersionMatch=NotOlderThan",
        "sendInitialEvents=true&resourceVersionMatch=Exact",
        "labelSelector=a+in+b",
        "fieldSelector=spec.nope=1",
        "resourceVersion=abc",
        "timeoutSeconds=x",
    ],
)
async def test_watches_that_make_no_sense_are_refused_before_they_begin(admin: Any, query: str) -> None:
    answer = await admin.get(f"{MAPS}?watch=1&{query}")
    assert answer.code in (400, 422)
    assert answer.body["kind"] == "Status"


async def test_a_watch_ends_when_its_time_is_over(admin: Any, server: ApiServer) -> None:
    watch = await admin.watch(f"{MAPS}?timeoutSeconds=1&allowWatchBookmarks=true")
    await admin.create(MAPS, config_map("a"))
    events = await watch.rest()
    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK"]
    assert events[1]["object"]["metadata"]["resourceVersion"] == str(server.cache.revision)


async def test_the_connection_serves_other_requests_after_a_watch(admin: Any) -> None:
    watch = await admin.watch(f"{MAPS}?timeoutSeconds=1")
    assert await watch.rest() == []
    assert (await admin.get(MAPS)).code == 200


async def test_a_client_that_goes_leaves_nothing_behind(admin: Any, server: ApiServer) -> None:
    watchers = server.cache.collections["configmaps"].watchers
    response = await admin.session.get(f"{MAPS}?watch=1")
    assert len(watchers) == 1
    response.close()
    for _ in range(round(WAIT_S / POLL_S)):
        if not watchers:
            break
        await asyncio.sleep(POLL_S)
    assert not watchers


async def test_watches_show_tables_and_metadata(admin: Any, pod_of: Callable[..., Any]) -> None:
    for name in ("p", "q"):
        await admin.create(PODS, pod_of(name))
    table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    asked = f"{PODS}?watch=1&timeoutSeconds=1&allowWatchBookmarks=1"
    async with admin.session.get(asked, headers={"Accept": table}) as response:
        events = [json.loads(line) for line in (await response.text()).splitlines()]
    shown = [event["object"] for event in events]
    assert [one["kind"] for one in shown] == ["Table"] * 3
    assert [one["rows"][0]["cells"][0] for one in shown] == ["p", "q", None]
    assert [bool(one["columnDefinitions"]) for one in shown] == [True, False, False], "columns are told once"
    partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    async with admin.session.get(f"{PODS}?watch=1&timeoutSeconds=1", headers={"Accept": partial}) as response:
        text = await response.text()
    assert '"kind":"PartialObjectMetadata"' in text and '"containers"' not in text


async def test_many_watchers_see_the_same_events_in_the_same_order(admin: Any) -> None:
    start = (await admin.get(MAPS)).version
    watches = [await admin.watch(f"{MAPS}?resourceVersion={start}") for _ in range(20)]
    await asyncio.gather(*[admin.create(MAPS, config_map(f"m{number}")) for number in range(50)])
    seen = [[told(await watch.next()) for _ in range(50)] for watch in watches]
    assert all(each == seen[0] for each in seen)
    assert {name for _, name in seen[0]} == {f"m{number}" for number in range(50)}


async def test_who_does_not_read_is_dropped_and_nobody_waits_for_it(admin: Any, server: ApiServer) -> None:
    await admin.create(MAPS, config_map("a"))
    stuck = await admin.session.get(f"{MAPS}?watch=1")
    (watcher,) = server.cache.collections["configmaps"].watchers
    for number in range(60):
        await admin.patch(f"{MAPS}/a", {"data": {"x": str(number) * 250_000}})
        if watcher.dropped:
            break
    assert watcher.dropped
    assert (await admin.get(f"{MAPS}/a")).code == 200
    stuck.close()


async def test_events_of_the_other_version_are_watched(admin: Any) -> None:
    watch = await admin.watch("/apis/events.k8s.io/v1/events?fieldSelector=reason=Started")
    event = {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}, "reason": "Started", "message": "m"}
    created = await admin.create("/api/v1/namespaces/default/events", event)
    assert created.code == 201, created.body
    seen = await watch.next()
    assert (seen["object"]["apiVersion"], seen["object"]["note"]) == ("events.k8s.io/v1", "m")
