"""``/exec``, ``/attach`` and ``/portForward``: what the API server's subresources of pods lead to."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator

from aiohttp import web

from picluster_agent.endpoint import forwarding
from picluster_agent.endpoint.attaching import attach
from picluster_agent.endpoint.channels import spdysession, websocket
from picluster_agent.endpoint.channels.session import Run, Wanted
from picluster_agent.endpoint.execution import execute
from picluster_agent.endpoint.lookup import Lookup
from picluster_agent.podman.client import Podman, PodmanError, PodmanUnavailable
from picluster_agent.podman.monitor import Monitor
from picluster_agent.sync import spec

SESSIONS_MAX = 128
"""Clients of all kinds at one time; each is a process or two, or a few sockets."""
KEEPALIVE_S = 30
PORT_MAX = 65535
PORTS_MAX = 100
"""Of one request; a channel's number is one byte, and a port has two."""


class Streams:
    def __init__(self, lookup: Lookup, podman: Podman) -> None:
        self._lookup = lookup
        self._podman = podman
        self._sessions = 0

    def add_routes(self, router: web.UrlDispatcher) -> None:
        routes: tuple[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]], ...] = (
            ("/exec/{namespace}/{pod}/{container}", self._exec),
            ("/exec/{namespace}/{pod}/{uid}/{container}", self._exec),
            ("/attach/{namespace}/{pod}/{container}", self._attach),
            ("/attach/{namespace}/{pod}/{uid}/{container}", self._attach),
            ("/portForward/{namespace}/{pod}", self._forward),
            ("/portForward/{namespace}/{pod}/{uid}", self._forward),
        )
        for path, handler in routes:
            router.add_get(path, handler)
            router.add_post(path, handler)

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        wanted = wanted_channels(request)
        container_id, _ = self._running(request)
        words = request.query.getall("command", [])
        if not words:
            raise web.HTTPBadRequest(text="you must specify at least 1 command")
        with self._admitted(request):
            return await _serve(request, wanted, lambda one: execute(one, self._podman, container_id, words, wanted))

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        wanted = wanted_channels(request)
        container_id, attempt = self._running(request)
        worker, name = self._lookup.find(request)
        container = spec.container(worker.context.pod, name) or {}
        log = worker.context.paths.log(name, attempt)
        with self._admitted(request):
            try:
                monitor = Monitor(await self._podman.inspect(container_id))
            except (PodmanError, PodmanUnavailable) as error:
                raise web.HTTPInternalServerError(text=f"error attaching to container: {error}") from error
            return await _serve(
                request,
                wanted,
                lambda one: attach(
                    one, monitor, container, log, wanted, lambda: self._lookup.runs(worker, container_id)
                ),
            )

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        worker = self._lookup.pod(request)
        context = worker.context
        ports = [port for text in request.query.getall("port", []) for port in text.split(",")]
        if len(ports) > PORTS_MAX or not all(port.isdigit() and 0 < int(port) <= PORT_MAX for port in ports):
            raise web.HTTPBadRequest(text=f"invalid port among {ports}")
        if not ports and forwarding.needs_ports(request):
            raise web.HTTPBadRequest(text='query parameter "port" is required')
        if not any(one.running for one in self._lookup.seen(context.uid)):
            raise web.HTTPInternalServerError(text=f'no running container in pod "{context.name}"')
        _upgradable(request)
        namespace = None if context.host_network else context.paths.pins()["net"]
        target = forwarding.Target(context.name, context.uid, namespace)
        with self._admitted(request):
            return await forwarding.serve(request, target, [int(port) for port in ports])

    def _running(self, request: web.Request) -> tuple[str, int]:
        """Id and attempt of the running container that the path means; refuses in the kubelet's words."""
        worker, name = self._lookup.find(request)
        running = [one for one in self._lookup.seen(worker.context.uid) if one.name == name and one.running]
        if not running:
            raise web.HTTPInternalServerError(text=f'container not found ("{name}")')
        return running[-1].id, running[-1].attempt

    @contextlib.contextmanager
    def _admitted(self, request: web.Request) -> Iterator[None]:
        if self._sessions >= SESSIONS_MAX:
            raise web.HTTPTooManyRequests(
                text=f"too many streams: {SESSIONS_MAX} are open", headers={"Retry-After": "1"}
            )
        self._sessions += 1
        _keep_alive(request)
        try:
            yield
        finally:
            self._sessions -= 1


async def _serve(request: web.Request, wanted: Wanted, run: Run) -> web.StreamResponse:
    _upgradable(request)
    serve = websocket.serve if websocket.is_websocket(request) else spdysession.serve
    return await serve(request, wanted, run)


def wanted_channels(request: web.BaseRequest) -> Wanted:
    """The channels of the query, in the kubelet's names or the API's; refuses a request for none."""
    query = request.query

    def flag(*names: str) -> bool:
        return any(query.get(name, "").lower() in ("1", "true") for name in names)

    tty = flag("tty")
    wanted = Wanted(flag("input", "stdin"), flag("output", "stdout"), flag("error", "stderr") and not tty, tty)
    if not (wanted.stdin or wanted.stdout or wanted.stderr):
        raise web.HTTPBadRequest(text="you must specify at least 1 of stdin, stdout, stderr")
    return wanted


def _upgradable(request: web.BaseRequest) -> None:
    upgrades = "upgrade" in request.headers.get("Connection", "").lower()
    if not upgrades or not (websocket.is_websocket(request) or spdysession.is_spdy(request)):
        raise web.HTTPBadRequest(text="unable to upgrade: missing upgrade headers in request")


def _keep_alive(request: web.BaseRequest) -> None:
    """A client's board may lose power without a word: the kernel finds out."""
    connection = request.transport.get_extra_info("socket") if request.transport is not None else None
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S // 3)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
