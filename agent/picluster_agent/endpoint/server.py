"""Listens on the agent's port, with TLS; ``access`` says who is let in.

Who shows a client certificate must have it from the cluster's CA; who shows none may have a token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from picluster.util.clock import Clock
from picluster_agent.config import Serving
from picluster_agent.endpoint.access import Access, Handler
from picluster_agent.endpoint.localpaths import LocalVolumes
from picluster_agent.endpoint.logs import Logs
from picluster_agent.endpoint.lookup import Lookup
from picluster_agent.endpoint.streams import Streams
from picluster_agent.identity.serving import ServingIdentity
from picluster_agent.podman.client import Podman
from picluster_agent.volumes.localpath import LocalPaths

CONNECTIONS_MAX = 512
"""Of all clients together; those above it are closed."""
HEAD_TIMEOUT_S = 30.0
SHUTDOWN_S = 1.0
LINE_BYTES_MAX = FIELD_BYTES_MAX = 64 << 10
BODY_BYTES_MAX = 1 << 20


class Part(Protocol):
    """The routes of one concern."""

    def add_routes(self, router: web.UrlDispatcher) -> None: ...


class Server:
    def __init__(
        self,
        serving: Serving,
        address: str,
        lookup: Lookup,
        podman: Podman,
        access: Access,
        clock: Clock,
        paths: LocalPaths,
        more: Sequence[Part],
    ) -> None:
        self.identity = ServingIdentity(serving)
        self._port = serving.port
        self._access = access
        self._address = address
        self._parts: tuple[Part, ...] = (Logs(lookup, clock), Streams(lookup, podman), LocalVolumes(paths), *more)
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._unheard: set[web.RequestHandler] = set()
        """Connections that have not asked anything yet."""
        self.port = serving.port

    async def start(self) -> None:
        """Listen; raises ``OSError`` when the port is taken or a certificate cannot be read."""
        app = web.Application(middlewares=[self._hear, self._access.middleware], client_max_size=BODY_BYTES_MAX)
        for part in self._parts:
            part.add_routes(app.router)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=FIELD_BYTES_MAX,
        )
        await self._runner.setup()
        self._listener = await asyncio.get_running_loop().create_server(
            self._accept,
            self._address,
            self._port,
            ssl=self.identity.context(),
            ssl_handshake_timeout=HEAD_TIMEOUT_S,
            reuse_address=True,
        )
        self.port = int(self._listener.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        if self._runner is not None:
            await self._runner.shutdown()
            if self._runner.server is not None:
                await self._runner.server.shutdown(SHUTDOWN_S)
            await self._runner.cleanup()

    def _accept(self) -> asyncio.BaseProtocol:
        """A connection's protocol; one too many, or one that asks nothing for too long, is closed."""
        assert self._runner is not None and self._runner.server is not None
        if len(self._runner.server.connections) >= CONNECTIONS_MAX:
            return _Refused()
        connection = self._runner.server()
        self._unheard.add(connection)
        asyncio.get_running_loop().call_later(HEAD_TIMEOUT_S, self._expire, connection)
        return connection

    def _expire(self, connection: web.RequestHandler) -> None:
        if connection in self._unheard:
            self._unheard.discard(connection)
            connection.force_close()

    @web.middleware
    async def _hear(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._unheard.discard(request.protocol)
        return await handler(request)


class _Refused(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
