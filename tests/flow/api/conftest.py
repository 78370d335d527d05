"""A real API server on the memory store, over TLS, and clients of several identities."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from io import BytesIO
from typing import Any, NamedTuple

import aiohttp
import pytest

from picluster.apiserver.server import ApiServer, ApiServerConfig
from picluster.pki import profiles
from picluster.pki.bundle import Bundle, BundleSpec, ensure, ensure_leaf, load_authority
from picluster.storage.backend import Backend
from picluster.storage.memory import MemoryBackend
from picluster.util.clock import SYSTEM_CLOCK

PATCH_TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
READ_TIMEOUT_S = 10.0


class Answer(NamedTuple):
    code: int
    body: Any
    headers: dict[str, str]
    warnings: list[str]

    @property
    def version(self) -> str:
        return str(self.body["metadata"]["resourceVersion"])


class Watch:
    """The events of an open watch, read one by one with a bound."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> Any:
        line = await asyncio.wait_for(self._response.content.readline(), READ_TIMEOUT_S)
        return json.loads(line) if line else None

    async def rest(self) -> list[Any]:
        """Everything until the server ends the watch."""
        events = []
        while (event := await self.next()) is not None:
            events.append(event)
        return events


class Caller:
    """Somebody who calls the server; paths are relative, bodies are JSON unless they are bytes already."""

    def __init__(self, session: aiohttp.ClientSession, stack: AsyncExitStack) -> None:
        self.session = session
        self._stack = stack

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes | BytesIO | None) else json.dumps(body).encode()
        if data is not None:
            named.setdefault("Content-Type", "application/json")
        async with self.session.request(method, path, data=data, headers=named) as response:
            raw = await response.read()
            is_json = response.content_type == "application/json" and raw
            content = json.loads(raw) if is_json else raw.decode()
            return Answer(response.status, content, dict(response.headers), response.headers.getall("Warning", []))

    async def get(self, path: str, **headers: str) -> Answer:
        return await self("GET", path, **headers)

    async def create(self, path: str, body: Any, **headers: str) -> Answer:
        return await self("POST", path, body, **headers)

    async def put(self, path: str, body: Any) -> Answer:
        return await self("PUT", path, body)

    async def patch(self, path: str, body: Any, kind: str = "merge") -> Answer:
        return await self("PATCH", path, body, Content_Type=PATCH_TYPES[kind])

    async def delete(self, path: str, body: Any = None) -> Answer:
        return await self("DELETE", path, body)

    async def watch(self, path: str) -> Watch:
        response = await self.session.get(path + ("&" if "?" in path else "?") + "watch=1")
        self._stack.callback(response.close)
        assert response.status == 200, await response.text()
        return Watch(response)


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    directory = tmp_path_factory.mktemp("pki")
    spec = BundleSpec(["127.0.0.1"], "10.43.0.0/16", "https://127.0.0.1:6443")
    bundle = ensure(directory, tmp_path_factory.mktemp("kubeconfigs"), spec, SYSTEM_CLOCK)
    authority = load_authority(directory)
    for name in ("pi-1", "pi-2"):
        ensure_leaf(bundle, f"node-{name}", profiles.node(name, ["127.0.0.1"]), authority, SYSTEM_CLOCK.now())
    return bundle


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def start(pki: Bundle, stack: AsyncExitStack) -> Callable[..., Awaitable[ApiServer]]:
    """``await start(backend, **config)`` starts a server, which is stopped at the end."""

    async def start(backend: Backend | None = None, **changes: Any) -> ApiServer:
        config = ApiServerConfig(
            cert=pki.certificate("apiserver"),
            key=pki.key("apiserver"),
            client_ca=pki.certificate("ca"),
            port=0,
            advertise="192.0.2.10",
        )
        server = ApiServer(replace(config, **changes), backend or MemoryBackend(), rng=random.Random(1))
        await server.start()
        stack.push_async_callback(server.stop)
        return server

    return start


@pytest.fixture
async def server(start: Callable[..., Awaitable[ApiServer]]) -> ApiServer:
    """On the memory store, with its own settings."""
    return await start()


@pytest.fixture
async def caller(pki: Bundle, stack: AsyncExitStack) -> Callable[..., Awaitable[Caller]]:
    """``await caller(server, name)``: who has the certificate ``name`` of the PKI; ``None`` is nobody."""

    async def caller(server: ApiServer, name: str | None = "admin") -> Caller:
        context = ssl.create_default_context(cafile=str(pki.certificate("ca")))
        if name is not None:
            context.load_cert_chain(pki.certificate(name), pki.key(name))
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        session = aiohttp.ClientSession(server.url, connector=connector, auto_decompress=True)
        return Caller(await stack.enter_async_context(session), stack)

    return caller


@pytest.fixture
async def admin(server: ApiServer, caller: Callable[..., Awaitable[Caller]]) -> Caller:
    admin = await caller(server)
    answer = await admin.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    assert answer.code == 201, answer.body
    return admin


@pytest.fixture
def pod_of() -> Callable[..., dict[str, Any]]:
    """``pod_of(name, node="", **metadata)``: a small pod."""

    def pod_of(name: str, node: str = "", **metadata: Any) -> dict[str, Any]:
        spec: dict[str, Any] = {"containers": [{"name": "main", "image": "busybox:1"}]}
        if node:
            spec["nodeName"] = node
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec}

    return pod_of
