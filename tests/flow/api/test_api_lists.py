"""LIST: selectors, chunks, and what a resourceVersion means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from picluster.apiserver import listing
from picluster.apiserver.server import ApiServer

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


def names(answer: Any) -> list[str]:
    assert answer.code == 200, answer.body
    return [item["metadata"]["name"] for item in answer.body["items"]]


async def fill(admin: Any, *wanted: str) -> None:
    for name in wanted:
        answer = await admin.create(MAPS, {"metadata": {"name": name, "labels": {"first": name[0]}}})
        assert answer.code == 201


async def test_lists_are_in_order_and_carry_the_store_revision(admin: Any, server: ApiServer) -> None:
    await fill(admin, "b", "c", "a")
    answer = await admin.get(MAPS)
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("ConfigMapList", "v1")
    assert names(answer) == ["a", "b", "c"]
    assert answer.version == str(server.cache.revision)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("labelSelector=first=a", ["a1", "a2"]),
        ("labelSelector=first!=a", ["b1", "c1"]),
        ("labelSelector=first+in+(b,c)", ["b1", "c1"]),
        ("labelSelector=first+notin+(b,c)", ["a1", "a2"]),
        ("labelSelector=first", ["a1", "a2", "b1", "c1"]),
        ("labelSelector=!first", []),
        ("fieldSelector=metadata.name=b1", ["b1"]),
        ("fieldSelector=metadata.name!=b1", ["a1", "a2", "c1"]),
        ("fieldSelector=metadata.namespace=default,metadata.name=c1", ["c1"]),
        ("fieldSelector=metadata.namespace=other", []),
        ("labelSelector=first=a&fieldSelector=metadata.name=a2", ["a2"]),
    ],
)
async def test_selectors(admin: Any, selector: str, expected: list[str]) -> None:
    await fill(admin, "a1", "a2", "b1", "c1")
    assert names(await admin.get(f"{MAPS}?{selector}")) == expected


async def test_pods_are_found_by_node(admin: Any, pod_of: Callable[..., Any]) -> None:
    for name, node in (("x", "pi-1"), ("y", "pi-2"), ("z", "")):
        await admin.create(PODS, pod_of(name, node))
    assert names(await admin.get("/api/v1/pods?fieldSelector=spec.nodeName=pi-1")) == ["x"]
    assert names(await admin.get("/api/v1/pods?fieldSelector=spec.nodeName=")) == ["z"]
    assert names(await admin.get("/api/v1/pods?fieldSelector=spec.nodeName!=pi-1,status.phase=Pending")) == ["y", "z"]
    assert names(await admin.get("/api/v1/namespaces/kube-system/pods?fieldSelector=spec.nodeName=pi-1")) == []


async def test_unknown_fields_in_selectors_are_refused(admin: Any) -> None:
    answer = await admin.get(f"{PODS}?fieldSelector=spec.frob=1")
    assert (answer.code, answer.body["message"]) == (400, "field label not supported: spec.frob")


async def test_a_chunked_list_is_of_one_moment(admin: Any) -> None:
    await fill(admin, "a", "b", "c", "d", "e")
    first = await admin.get(f"{MAPS}?limit=2")
    assert names(first) == ["a", "b"]
    assert first.body["metadata"]["remainingItemCount"] == 3
    await admin.delete(f"{MAPS}/c")
    await fill(admin, "bb")
    await admin.patch(f"{MAPS}/d", {"data": {"later": "yes"}})
    second = await admin.get(f"{MAPS}?limit=2&continue={first.body['metadata']['continue']}")
    assert names(second) == ["c", "d"]
    assert "data" not in second.body["items"][1]
    assert second.version == first.version
    third = await admin.get(f"{MAPS}?limit=2&continue={second.body['metadata']['continue']}")
    assert names(third) == ["e"]
    assert "continue" not in third.body["metadata"]


async def test_chunks_of_a_selection_have_no_remaining_count(admin: Any) -> None:
    await fill(admin, "a1", "a2", "a3", "b1")
    first = await admin.get(f"{MAPS}?limit=2&labelSelector=first=a")
    assert names(first) == ["a1", "a2"] and "remainingItemCount" not in first.body["metadata"]
    token = first.body["metadata"]["continue"]
    assert names(await admin.get(f"{MAPS}?limit=2&labelSelector=first=a&continue={token}")) == ["a3"]


async def test_an_expired_token_comes_with_one_to_go_on(admin: Any, server: ApiServer) -> None:
    await fill(admin, "a", "b", "c")
    first = await admin.get(f"{MAPS}?limit=1")
    await fill(admin, "bb")
    server.cache.forget(server.cache.revision)
    expired = await admin.get(f"{MAPS}?limit=9&continue={first.body['metadata']['continue']}")
    assert (expired.code, expired.body["reason"]) == (410, "Expired")
    assert expired.body["message"].startswith("The provided continue parameter is too old to display a consistent list")
    rest = await admin.get(f"{MAPS}?limit=9&continue={expired.body['metadata']['continue']}")
    assert names(rest) == ["b", "bb", "c"]


async def test_a_token_expires_with_its_revision_whatever_changed_since(admin: Any, server: ApiServer) -> None:
    await fill(admin, "a", "b", "c")
    token = (await admin.get(f"{MAPS}?limit=1")).body["metadata"]["continue"]
    server.cache.forget(server.cache.revision)
    assert names(await admin.get(f"{MAPS}?limit=1&continue={token}")) == ["b"], "the newest revision there is"
    await admin.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": "other"}})
    server.cache.forget(server.cache.revision)
    expired = await admin.get(f"{MAPS}?limit=1&continue={token}")
    assert (expired.code, expired.body["reason"]) == (410, "Expired")
    rest = await admin.get(f"{MAPS}?limit=1&continue={expired.body['metadata']['continue']}")
    assert names(rest) == ["b"] and rest.body["metadata"]["remainingItemCount"] == 1
    last = await admin.get(f"{MAPS}?limit=1&continue={rest.body['metadata']['continue']}")
    assert names(last) == ["c"] and last.version == rest.version


@pytest.mark.parametrize("token", ["!!!", "bm90IGpzb24", "e30"])
async def test_tokens_that_are_none(admin: Any, token: str) -> None:
    answer = await admin.get(f"{MAPS}?limit=1&continue={token}")
    assert answer.code == 400
    assert answer.body["message"].startswith("continue key is not valid")


async def test_a_list_of_the_past(admin: Any, server: ApiServer) -> None:
    await fill(admin, "a", "b")
    then = (await admin.get(MAPS)).version
    await admin.delete(f"{MAPS}/a")
    exact = await admin.get(f"{MAPS}?resourceVersion={then}&resourceVersionMatch=Exact")
    assert (names(exact), exact.version) == (["a", "b"], then)
    assert names(await admin.get(f"{MAPS}?resourceVersion={then}")) == ["b"]
    assert names(await admin.get(f"{MAPS}?resourceVersion=0")) == ["b"]
    server.cache.forget(server.cache.revision)
    gone = await admin.get(f"{MAPS}?resourceVersion={then}&resourceVersionMatch=Exact")
    assert (gone.code, gone.body["reason"]) == (410, "Expired")


async def test_a_list_of_the_future_is_waited_for_and_then_refused(
    admin: Any, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FRESH_WAIT_S", 0.05)
    answer = await admin.get(f"{MAPS}?resourceVersion=999999")
    assert (answer.code, answer.body["reason"]) == (504, "Timeout")
    current = server.cache.revision
    assert answer.body["message"] == f"Timeout: Too large resource version: 999999, current: {current}"
    assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    "query",
    [
        "resourceVersionMatch=Exact",
        "resourceVersion=0&resourceVersionMatch=Exact",
        "resourceVersion=1&resourceVersionMatch=Newest",
        "sendInitialEvents=true",
    ],
)
async def test_options_that_contradict_each_other(admin: Any, query: str) -> None:
    answer = await admin.get(f"{MAPS}?{query}")
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert answer.body["message"].startswith('ListOptions.meta.k8s.io "" is invalid')


async def test_deletecollection_deletes_what_is_selected(admin: Any) -> None:
    await fill(admin, "a1", "a2", "b1")
    deleted = await admin.delete(f"{MAPS}?labelSelector=first=a")
    assert deleted.code == 200 and len(deleted.body["items"]) == 2
    assert names(await admin.get(MAPS)) == ["b1"]
