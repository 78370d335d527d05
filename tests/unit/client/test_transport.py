"""The transport against a small HTTP server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from picluster.api.errors import ApiError, expired, not_found, unavailable
from picluster.api.resources import NODES, PODS
from picluster.client import Client, ClientConfig, PatchType, TransportError, list_all

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Client]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with Client(ClientConfig(f"http://127.0.0.1:{port}")) as client:
        yield client
    await runner.cleanup()


def refusal(error: ApiError, **headers: str) -> web.Response:
    return web.json_response(error.status(), status=error.code, headers=headers)


async def test_paths_and_bodies_are_what_kubernetes_expects() -> None:
    seen: list[tuple[str, str, object, str]] = []

    async def record(request: web.Request) -> web.Response:
        body = await request.read()
        seen.append(
            (
                request.method,
                request.path_qs,
                json.loads(body) if body else None,
                request.headers.get("Content-Type", ""),
            )
        )
        return web.json_response({"kind": "Pod"})

    pod = {"metadata": {"name": "web-1", "namespace": "default"}}
    async with serving(record) as client:
        await client.get(PODS, "web-1", namespace="default")
        await client.create(PODS, pod)
        await client.create(
            PODS, {"target": {"name": "pi-1"}}, namespace="default", name="web-1", subresource="binding"
        )
        await client.update(PODS, pod, subresource="status")
        await client.patch(NODES, "pi-1", {"spec": {}}, kind=PatchType.STRATEGIC)
        await client.delete(PODS, "web-1", namespace="default")
        await client.delete(PODS, "web-1", namespace="default", uid="u", grace_period_s=0, propagation="Foreground")
        await client.delete_collection(PODS, namespace="default", label_selector="a in (b,c)")
    assert seen == [
        ("GET", "/api/v1/namespaces/default/pods/web-1", None, ""),
        ("POST", "/api/v1/namespaces/default/pods", pod, "application/json"),
        ("POST", "/api/v1/namespaces/default/pods/web-1/binding", {"target": {"name": "pi-1"}}, "application/json"),
        ("PUT", "/api/v1/namespaces/default/pods/web-1/status", pod, "application/json"),
        ("PATCH", "/api/v1/nodes/pi-1", {"spec": {}}, "application/strategic-merge-patch+json"),
        ("DELETE", "/api/v1/namespaces/default/pods/web-1", None, ""),
        (
            "DELETE",
            "/api/v1/namespaces/default/pods/web-1",
            {
                "kind": "DeleteOptions",
                "apiVersion": "v1",
                "preconditions": {"uid": "u"},
                "gracePeriodSeconds": 0,
                "propagationPolicy": "Foreground",
            },
            "application/json",
        ),
        ("DELETE", "/api/v1/namespaces/default/pods?labelSelector=a+in+%28b%2Cc%29", None, ""),
    ]


async def test_a_status_answer_is_raised_as_it_is() -> None:
    async def refuse(_: web.Request) -> web.Response:
        return refusal(not_found("", "pods", "web-1"))

    async with serving(refuse) as client:
        with pytest.raises(ApiError) as caught:
            await client.get(PODS, "web-1", namespace="default")
    assert (caught.value.code, caught.value.reason) == (404, "NotFound")
    assert caught.value.message == 'pods "web-1" not found'
    assert caught.value.details == {"name": "web-1", "kind": "pods"}


async def test_an_answer_without_a_status_still_says_something() -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=500, text="[-]storage failed")

    async with serving(refuse) as client:
        with pytest.raises(ApiError, match=r"\[-\]storage failed") as caught:
            async with client.raw("GET", "/readyz"):
                pass
    assert caught.value.code == 500


async def test_retry_after_is_obeyed_within_bounds() -> None:
    tries = 0

    async def busy(request: web.Request) -> web.Response:
        nonlocal tries
        tries += 1
        if tries <= 2:
            return refusal(unavailable("starting"), **{"Retry-After": "0.01"})
        if request.method == "DELETE":
            return refusal(unavailable("for long"), **{"Retry-After": "3600"})
        return web.json_response({"kind": "Pod"})

    async with serving(busy) as client:
        assert await client.create(PODS, {"metadata": {"name": "a", "namespace": "b"}}) == {"kind": "Pod"}
        assert tries == 3
        with pytest.raises(ApiError, match="for long"):
            await client.delete(PODS, "a", namespace="b")
        assert tries == 4


async def test_a_503_without_retry_after_is_the_callers() -> None:
    tries = 0

    async def busy(_: web.Request) -> web.Response:
        nonlocal tries
        tries += 1
        return refusal(unavailable("no"))

    async with serving(busy) as client:
        with pytest.raises(ApiError):
            await client.get(NODES, "pi-1")
    assert tries == 1


async def test_a_refused_connection_is_tried_again_until_somebody_listens() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    app = web.Application()
    app.router.add_get("/api/v1/nodes/pi-1", _a_node)
    runner = web.AppRunner(app)
    await runner.setup()
    async with Client(ClientConfig(f"http://127.0.0.1:{port}")) as client:
        asking = asyncio.create_task(client.get(NODES, "pi-1"))
        await asyncio.sleep(0)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        assert await asking == {"kind": "Node"}
        await runner.cleanup()
        with pytest.raises(TransportError, match="refused") as caught:
            await client.get(NODES, "pi-1")
        assert not caught.value.sent


async def _a_node(_: web.Request) -> web.Response:
    return web.json_response({"kind": "Node"})


async def test_a_broken_connection_is_not_tried_again() -> None:
    tries = 0

    async def hang_up(request: web.Request) -> web.Response:
        nonlocal tries
        tries += 1
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with serving(hang_up) as client:
        with pytest.raises(TransportError) as caught:
            await client.create(PODS, {"metadata": {"name": "a", "namespace": "b"}})
    assert tries == 1
    assert caught.value.sent


async def test_a_silent_server_is_given_up_in_time() -> None:
    async def sleep(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with serving(sleep) as client:
        with pytest.raises(TransportError, match="no answer in time"):
            await client.get(NODES, "pi-1", timeout_s=0.05)


async def test_names_cannot_leave_their_path() -> None:
    paths: list[str] = []

    async def record(request: web.Request) -> web.Response:
        paths.append(request.raw_path)
        return web.json_response({})

    async with serving(record) as client:
        await client.get(PODS, "../../nodes?x=1", namespace="default")
    assert paths == ["/api/v1/namespaces/default/pods/..%2F..%2Fnodes%3Fx%3D1"]


def _page(names: list[str], continue_: str, revision: str) -> web.Response:
    metadata = {"resourceVersion": revision} | ({"continue": continue_} if continue_ else {})
    return web.json_response(
        {"kind": "NodeList", "metadata": metadata, "items": [{"metadata": {"name": n}} for n in names]}
    )


async def test_pages_become_one_list() -> None:
    async def pages(request: web.Request) -> web.Response:
        assert request.query["limit"] == "2"
        return _page(["c"], "", "7") if request.query.get("continue") == "t" else _page(["a", "b"], "t", "7")

    async with serving(pages) as client:
        whole = await list_all(client, NODES, page_size=2)
    assert [item["metadata"]["name"] for item in whole["items"]] == ["a", "b", "c"]
    assert {(item["kind"], item["apiVersion"]) for item in whole["items"]} == {("Node", "v1")}
    assert whole["metadata"] == {"resourceVersion": "7"}


async def test_expired_pages_are_listed_whole() -> None:
    async def pages(request: web.Request) -> web.Response:
        if "continue" in request.query:
            return refusal(expired("the continue token is too old"))
        return _page(["a"], "t", "7") if "limit" in request.query else _page(["a", "b"], "", "9")

    async with serving(pages) as client:
        whole = await list_all(client, NODES, page_size=1)
    assert [item["metadata"]["name"] for item in whole["items"]] == ["a", "b"]
    assert whole["metadata"]["resourceVersion"] == "9"


async def test_a_watch_yields_events_and_raises_errors() -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        assert request.query["watch"] == "1"
        assert request.query["allowWatchBookmarks"] == "true"
        assert request.query["resourceVersion"] == "5"
        response = web.StreamResponse()
        await response.prepare(request)
        first = json.dumps({"type": "ADDED", "object": {"metadata": {"name": "a"}}}).encode()
        await response.write(first[:10])
        await response.write(first[10:] + b"\n" + b'{"type":"BOOKMARK","object":{}}\n{"type":"ERR')
        await response.write(b'OR","object":' + json.dumps(expired("too old").status()).encode() + b"}\n")
        return response

    events: list[tuple[str, object]] = []
    async with serving(stream) as client:
        with pytest.raises(ApiError, match="too old") as caught:
            async for event in client.watch(NODES, resource_version="5"):
                events.append(event)
    assert caught.value.code == 410
    assert events == [("ADDED", {"metadata": {"name": "a"}}), ("BOOKMARK", {})]


async def test_a_watch_that_breaks_says_so() -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"ADDED","object":{}}\n')
        assert request.transport is not None
        request.transport.abort()
        return response

    async with serving(stream) as client:
        with pytest.raises(TransportError, match="the watch of nodes broke"):
            async for _ in client.watch(NODES):
                pass


async def test_a_closed_client_says_how_it_is_used() -> None:
    client = Client(ClientConfig("http://127.0.0.1:1"))
    with pytest.raises(RuntimeError, match="async with"):
        await client.get(NODES, "pi-1")
    await client.close()


async def test_an_upgrade_speaks_the_protocol_that_the_server_chose() -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        if request.path == "/refused":
            return refusal(not_found("", "pods", "web-1"))
        assert request.query.getall("command") == ["echo", "hi"]
        upgraded = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await upgraded.prepare(request)
        async for message in upgraded:
            await upgraded.send_bytes(b"\x01" + message.data[1:])
        return upgraded

    async with serving(echo) as client:
        async with client.websocket("/exec", params=[("command", "echo"), ("command", "hi")]) as stream:
            assert stream.protocol == "v4.channel.k8s.io"
            await stream.send_bytes(b"\x00hello")
            assert await stream.receive_bytes() == b"\x01hello"
        with pytest.raises(ApiError, match="refused the upgrade") as caught:
            async with client.websocket("/refused"):
                pass
    assert caught.value.code == 404


async def test_a_stream_has_no_deadline_of_its_own() -> None:
    async def follow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in (b"one\n", b"two\n"):
            await response.write(line)
        return response

    async with serving(follow) as client, client.raw("GET", "/log", timeout_s=None) as response:
        assert [line async for line in response.content] == [b"one\n", b"two\n"]
