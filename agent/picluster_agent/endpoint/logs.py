"""``/containerLogs/{namespace}/{pod}/{container}``: what a container has said, and is saying."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from picluster.api.meta import parse_time
from picluster.api.types import Object
from picluster.util.clock import Clock
from picluster_agent.endpoint.lookup import Lookup, flag
from picluster_agent.logs.logfile import LogOptions, read
from picluster_agent.sync import spec
from picluster_agent.sync.model import Seen, State
from picluster_agent.sync.worker import PodWorker

WAITING = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}
"""Reasons that the kubelet says in other words."""


class Logs:
    def __init__(self, lookup: Lookup, clock: Clock) -> None:
        self._lookup = lookup
        self._clock = clock

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        worker, container = self._lookup.logged(request)
        try:
            options = log_options(dict(request.query), self._clock.now())
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        seen = self._attempt(worker, container, previous=flag(request.query.get("previous", "")))
        path = worker.context.paths.log(container, seen.attempt)
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await response.prepare(request)
        try:
            async for piece in read(path, options, lambda: _is_there(request) and self._lookup.runs(worker, seen.id)):
                await response.write(piece)
        except FileNotFoundError:
            await response.write(f"unable to retrieve container logs for podman://{seen.id}".encode())
        except ConnectionError:
            return response
        await response.write_eof()
        return response

    def _attempt(self, worker: PodWorker, container: str, *, previous: bool) -> Seen:
        attempts = [one for one in self._lookup.seen(worker.context.uid) if one.name == container]
        try:
            return chosen(worker.context.pod, container, attempts, previous=previous)
        except LookupError as error:
            raise web.HTTPBadRequest(text=str(error.args[0])) from error


def _is_there(request: web.Request) -> bool:
    """Whether the client still listens: one that follows a silent log is not written to, and would not be missed."""
    return request.transport is not None and not request.transport.is_closing()


def chosen(pod: Object, container: str, attempts: Sequence[Seen], *, previous: bool) -> Seen:
    """The attempt whose log is meant; raises ``LookupError`` with the kubelet's words (``validateContainerLogStatus``).

    That is the newest, or with ``previous`` the one that is its last state: the newest itself while the next attempt is
    being waited for. PURE.
    """
    named = f'container "{container}" in pod "{pod["metadata"]["name"]}"'
    waiting = _waiting_reason(pod, container)
    run = sorted((one for one in attempts if one.state is not State.CREATED), key=lambda one: one.attempt)
    if previous:
        ended = run if run and not run[-1].running and waiting else run[:-1]
        if not ended:
            raise LookupError(f"previous terminated {named} not found")
        return ended[-1]
    if run:
        return run[-1]
    if not waiting:
        waiting = "PodInitializing" if spec.init_containers(pod) else "ContainerCreating"
    raise LookupError(f"{named} is waiting to start: {WAITING.get(waiting, waiting)}")


def _waiting_reason(pod: Object, container: str) -> str:
    """Why the container waits, as the API server was told; nothing when it does not."""
    status = pod.get("status") or {}
    for group in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for one in status.get(group) or ():
            if one["name"] == container:
                return str(((one.get("state") or {}).get("waiting") or {}).get("reason") or "")
    return ""


def log_options(query: dict[str, str], now_s: float) -> LogOptions:
    """The query of a log request (``v1.PodLogOptions``); raises ``ValueError``."""
    since_s = None
    if "sinceSeconds" in query:
        since_s = now_s - _number(query, "sinceSeconds", 1)
    elif query.get("sinceTime"):
        since_s = parse_time(query["sinceTime"])
    return LogOptions(
        follow=flag(query.get("follow", "")),
        tail_lines=_number(query, "tailLines", 0) if "tailLines" in query else None,
        since_s=since_s,
        timestamps=flag(query.get("timestamps", "")),
        limit_bytes=_number(query, "limitBytes", 1) if "limitBytes" in query else None,
        stream=query.get("stream") or "All",
    )


def _number(query: dict[str, str], key: str, least: int) -> int:
    text = query[key]
    if not text.isdigit() or int(text) < least:
        raise ValueError(f"{key} must be a number of at least {least}, not {text!r}")
    return int(text)
