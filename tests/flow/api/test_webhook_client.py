"""Calls to webhooks: by URL and by Service, whom they trust, and what they say when nobody answers."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from https_server import HttpsServer

from picluster.apiserver.server import ApiServer
from picluster.apiserver.webhooks.client import CallFailed, WebhookClient


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    review = await request.json()
    match request.path:
        case "/slow":
            await asyncio.sleep(5)
        case "/teapot":
            return web.Response(status=418)
        case "/words":
            return web.Response(text="no JSON")
        case "/status":
            return web.json_response({"kind": "Status", "message": "out of order"}, status=500)
    return web.json_response({"got": review, "host": request.host, "path": request.path_qs})


@pytest.fixture
async def hook() -> AsyncIterator[HttpsServer]:
    async with HttpsServer(echo) as hook:
        yield hook


@pytest.fixture
async def webhooks(server: ApiServer) -> AsyncIterator[WebhookClient]:
    webhooks = WebhookClient(server.cache)
    yield webhooks
    await webhooks.close()


async def test_a_url_is_called_with_the_timeout_in_its_query(webhooks: WebhookClient, hook: HttpsServer) -> None:
    answer = await webhooks.post({"url": f"{hook.url}/hook?a=b", "caBundle": hook.ca_bundle}, {"x": 1}, 7)
    assert answer == {"got": {"x": 1}, "host": f"127.0.0.1:{hook.port}", "path": "/hook?a=b&timeout=7s"}


async def test_a_service_is_called_by_its_name_at_one_of_its_endpoints(
    server: ApiServer, webhooks: WebhookClient, hook: HttpsServer
) -> None:
    await hook.serve_as(server.registry, "extension")
    service = {"namespace": "default", "name": "extension", "path": "/hook"}
    answer = await webhooks.post({"service": service, "caBundle": hook.ca_bundle}, {})
    assert answer["host"] == "extension.default.svc:443"
    assert answer["path"] == "/hook?timeout=30s"


@pytest.mark.parametrize(
    ("service", "why"),
    [
        ({"name": "none"}, 'service "none" not found'),
        ({"name": "idle"}, 'no endpoints available for service "idle"'),
        ({"name": "kubernetes", "port": 80}, 'no service port 80 found for service "kubernetes"'),
    ],
)
async def test_a_service_that_leads_nowhere(
    admin: Any, webhooks: WebhookClient, service: dict[str, object], why: str
) -> None:
    idle = {"metadata": {"name": "idle"}, "spec": {"ports": [{"port": 443}]}}
    await admin.create("/api/v1/namespaces/default/services", idle)
    with pytest.raises(CallFailed) as failed:
        await webhooks.post({"service": {"namespace": "default", **service}}, {}, 1)
    place = f"https://{service['name']}.default.svc:{service.get('port', 443)}/?timeout=1s"
    assert str(failed.value) == f'failed to call webhook: Post "{place}": {why}'


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/slow", 'Post "{url}": context deadline exceeded'),
        ("/teapot", "the server responded with the status code 418 but did not return more information"),
        ("/status", "out of order"),
        ("/words", "invalid literal"),
    ],
)
async def test_answers_that_are_none(webhooks: WebhookClient, hook: HttpsServer, path: str, why: str) -> None:
    with pytest.raises(CallFailed) as failed:
        await webhooks.post({"url": hook.url + path, "caBundle": hook.ca_bundle}, {}, 0.5)
    assert why.format(url=f"{hook.url}{path}?timeout=0.5s") in str(failed.value)


async def test_a_connection_that_was_given_up_is_made_again(server: ApiServer) -> None:
    asked = []

    async def shy(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.path)
        if len(asked) == 2 and request.transport is not None:
            request.transport.abort()
        return web.json_response({})

    webhooks = WebhookClient(server.cache)
    async with HttpsServer(shy) as hook:
        for _ in range(2):
            assert await webhooks.post({"url": hook.url, "caBundle": hook.ca_bundle}, {}) == {}
        await webhooks.close()
    assert len(asked) == 3


async def test_a_large_review_and_a_large_answer_pass(server: ApiServer) -> None:
    async def large(request: web.BaseRequest) -> web.StreamResponse:
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
        return web.json_response({"size": size, "filler": "x" * (4 << 20)})

    webhooks = WebhookClient(server.cache)
    async with HttpsServer(large) as hook:
        answer = await webhooks.post({"url": hook.url, "caBundle": hook.ca_bundle}, {"x": "y" * (3 << 20)})
        await webhooks.close()
    assert answer["size"] > 3 << 20
    assert len(answer["filler"]) == 4 << 20


async def test_only_the_bundle_is_trusted(webhooks: WebhookClient, hook: HttpsServer) -> None:
    async with HttpsServer(echo) as other:
        with pytest.raises(CallFailed, match="tls: failed to verify certificate: x509"):
            await webhooks.post({"url": hook.url, "caBundle": other.ca_bundle}, {})
    with pytest.raises(CallFailed, match="unable to load root certificates"):
        await webhooks.post({"url": hook.url, "caBundle": base64.b64encode(b"no certificate").decode()}, {})


async def test_nobody_listens(webhooks: WebhookClient, hook: HttpsServer) -> None:
    await hook.__aexit__()
    with pytest.raises(CallFailed, match="connect: connection refused"):
        await webhooks.post({"url": hook.url, "caBundle": hook.ca_bundle}, {})
