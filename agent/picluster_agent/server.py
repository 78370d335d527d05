"""The agent's endpoint, port 10250: logs and exec for the API server, metrics, health.

TLS with a client certificate that the cluster's CA signed; only the API server (``kube-apiserver-kubelet-client``) and
``system:masters`` are let in. Paths and answers are the kubelet's.
"""

from __future__ import annotations

import logging
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from picluster.api.meta import parse_time
from picluster.util.clock import Clock
from picluster_agent import remote
from picluster_agent.config import Serving
from picluster_agent.logs import LogOptions, read
from picluster_agent.podman.client import Podman
from picluster_agent.sync import spec
from picluster_agent.sync.manager import PodManager
from picluster_agent.sync.model import Seen, State
from picluster_agent.sync.worker import PodWorker

log = logging.getLogger(__name__)

CLIENT_NAMES = ("kube-apiserver-kubelet-client",)
CLIENT_GROUPS = ("system:masters",)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    def __init__(
        self,
        serving: Serving,
        address: str,
        pods: PodManager,
        podman: Podman,
        clock: Clock,
        seen: Callable[[str], tuple[Seen, ...]],
    ) -> None:
        self._serving = serving
        self._address = address
        self._pods = pods
        self._podman = podman
        self._clock = clock
        self._seen = seen
        self._runner: web.AppRunner | None = None
        self.port = serving.port

    async def start(self) -> None:
        """Listen; raises ``OSError`` when the port is taken or a certificate cannot be read."""
        app = web.Application(middlewares=[_authorize])
        app.router.add_get("/healthz", _healthz)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        app.router.add_get("/exec/{namespace}/{pod}/{container}", self._exec)
        app.router.add_post("/exec/{namespace}/{pod}/{container}", self._exec)
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

    async def _metrics(self, _: web.Request) -> web.Response:
        """The process's own metrics, and what runs here under the kubelet's names."""
        states = Counter(one.state.value for worker in self._pods.workers() for one in self._seen(worker.context.uid))
        running = [
            worker for worker in self._pods.workers() if any(one.running for one in self._seen(worker.context.uid))
        ]
        registry = CollectorRegistry()
        Gauge("kubelet_running_pods", "Pods with a running container", registry=registry).set(len(running))
        containers = Gauge("kubelet_running_containers", "Containers by state", ["container_state"], registry=registry)
        for state in State:
            containers.labels(state.value).set(states[state.value])
        body = generate_latest() + generate_latest(registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    # -- logs ----------------------------------------------------------------------------------------------------------

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        worker, container = self._find(request)
        try:
            options = log_options(dict(request.query), self._clock.now())
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        seen = self._attempt(worker, container, previous=_flag(request.query.get("previous", "")))
        path = worker.context.paths.log(container, seen.attempt)
        if not path.exists():
            raise web.HTTPNotFound(text=f"the log of container {container!r} is not on this node any more\n")
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await response.prepare(request)
        try:
            async for piece in read(path, options, lambda: self._runs(worker, seen.id)):
                await response.write(piece)
        except ConnectionError:
            return response
        await response.write_eof()
        return response

    def _attempt(self, worker: PodWorker, container: str, *, previous: bool) -> Seen:
        """The container whose log is meant: the newest, or the last one that has ended before it."""
        pod, name = worker.context.pod, worker.context.name
        attempts = [one for one in self._seen(worker.context.uid) if one.name == container]
        attempts = sorted((one for one in attempts if one.state is not State.CREATED), key=lambda one: one.attempt)
        if previous:
            ended = [one for one in attempts if not one.running]
            if not ended:
                text = f'previous terminated container "{container}" in pod "{name}" not found\n'
                raise web.HTTPBadRequest(text=text)
            return ended[-1]
        if not attempts:
            waiting = "PodInitializing" if spec.init_containers(pod) else "ContainerCreating"
            text = f'container "{container}" in pod "{name}" is waiting to start: {waiting}\n'
            raise web.HTTPBadRequest(text=text)
        return attempts[-1]

    def _runs(self, worker: PodWorker, container_id: str) -> bool:
        return any(one.id == container_id and one.running for one in self._seen(worker.context.uid))

    # -- exec ----------------------------------------------------------------------------------------------------------

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        worker, container = self._find(request)
        running = [one for one in self._seen(worker.context.uid) if one.name == container and one.running]
        if not running:
            raise web.HTTPNotFound(text=f"container not found ({container!r})\n".replace("'", '"'))
        query = request.query
        command = query.getall("command", [])
        wanted = remote.ExecRequest(
            container_id=running[-1].id,
            command=command,
            stdin=_flag(query.get("input", query.get("stdin", ""))),
            stdout=_flag(query.get("output", query.get("stdout", ""))),
            stderr=_flag(query.get("error", query.get("stderr", ""))),
            tty=_flag(query.get("tty", "")),
        )
        if not command:
            raise web.HTTPBadRequest(text="you must specify at least 1 command\n")
        if not (wanted.stdin or wanted.stdout or wanted.stderr):
            raise web.HTTPBadRequest(text="you must specify at least 1 of stdin, stdout, stderr\n")
        return await remote.serve(request, self._podman, wanted)

    def _find(self, request: web.Request) -> tuple[PodWorker, str]:
        namespace, name = request.match_info["namespace"], request.match_info["pod"]
        worker = self._pods.find(namespace, name)
        if worker is None:
            raise web.HTTPNotFound(text=f'pod "{name}" does not exist\n')
        container = request.match_info["container"]
        if spec.container(worker.context.pod, container) is None:
            raise web.HTTPNotFound(text=f'container "{container}" not found in pod "{name}"\n')
        return worker, container


def log_options(query: dict[str, str], now_s: float) -> LogOptions:
    """The query of a log request (``v1.PodLogOptions``); raises ``ValueError``."""
    since_s = None
    if "sinceSeconds" in query:
        since_s = now_s - _number(query, "sinceSeconds", 1)
    elif query.get("sinceTime"):
        since_s = parse_time(query["sinceTime"])
    return LogOptions(
        follow=_flag(query.get("follow", "")),
        tail_lines=_number(query, "tailLines", 0) if "tailLines" in query else None,
        since_s=since_s,
        timestamps=_flag(query.get("timestamps", "")),
        limit_bytes=_number(query, "limitBytes", 1) if "limitBytes" in query else None,
        stream=query.get("stream") or "All",
    )


def _number(query: dict[str, str], key: str, least: int) -> int:
    text = query[key]
    if not text.isdigit() or int(text) < least:
        raise ValueError(f"{key} must be a number of at least {least}, not {text!r}")
    return int(text)


def _flag(text: str) -> bool:
    return text.lower() in ("1", "t", "true")


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
