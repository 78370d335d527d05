"""Listens on the agent's port and says who is let in.

TLS with a client certificate that the cluster's CA signed; only the API server (``kube-apiserver-kubelet-client``) and
``system:masters`` are let in.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from aiohttp import web

from picluster.util.clock import Clock
from picluster_agent.config import Serving
from picluster_agent.endpoint.localpaths import LocalVolumes
from picluster_agent.endpoint.logs import Logs
from picluster_agent.endpoint.lookup import Lookup
from picluster_agent.endpoint.streams import Streams
from picluster_agent.podman.client import Podman
from picluster_agent.volumes.localpath import LocalPaths

CLIENT_NAMES = ("kube-apiserver-kubelet-client",)
CLIENT_GROUPS = ("system:masters",)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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
        clock: Clock,
        paths: LocalPaths,
        more: Sequence[Part],
    ) -> None:
        self._serving = serving
        self._address = address
        self._parts: tuple[Part, ...] = (Logs(lookup, clock), Streams(lookup, podman), LocalVolumes(paths), *more)
        self._runner: web.AppRunner | None = None
        self.port = serving.port

    async def start(self) -> None:
        """Listen; raises ``OSError`` when the port is taken or a certificate cannot be read."""
        app = web.Application(middlewares=[_authorize])
        app.router.add_get("/healthz", _healthz)
        for part in self._parts:
            part.add_routes(app.router)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, self._address, self._serving.port, ssl_context=_context(self._serving), shutdown_timeout=1.0
        )
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()


@web.middleware
async def _authorize(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The TLS layer has checked who signed the certificate; here it is read whose it is."""
    certificate = request.transport.get_extra_info("peercert") if request.transport else None
    names: dict[str, set[str]] = {}
    for part in (certificate or {}).get("subject", ()):
        for key, value in part:
            names.setdefault(key, set()).add(value)
    allowed = names.get("commonName", set()) & set(CLIENT_NAMES)
    allowed |= names.get("organizationName", set()) & set(CLIENT_GROUPS)
    if not allowed:
        raise web.HTTPForbidden(text="Forbidden\n")
    return await handler(request)


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok")


def _context(serving: Serving) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    for path in (serving.cert, serving.key, serving.client_ca):
        _readable(path)
    context.load_cert_chain(serving.cert, serving.key)
    context.load_verify_locations(serving.client_ca)
    return context


def _readable(path: Path) -> None:
    with path.open("rb"):
        pass
