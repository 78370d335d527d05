"""``/containerLogs/{namespace}/{pod}/{container}``: what a container has said, and is saying."""

from __future__ import annotations

from aiohttp import web

from picluster.api.meta import parse_time
from picluster.util.clock import Clock
from picluster_agent.endpoint.logfile import LogOptions, read
from picluster_agent.endpoint.lookup import Lookup, flag
from picluster_agent.sync import spec
from picluster_agent.sync.model import Seen, State
from picluster_agent.sync.worker import PodWorker


class Logs:
    def __init__(self, lookup: Lookup, clock: Clock) -> None:
        self._lookup = lookup
        self._clock = clock

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        worker, container = self._lookup.find(request)
        try:
            options = log_options(dict(request.query), self._clock.now())
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        seen = self._attempt(worker, container, previous=flag(request.query.get("previous", "")))
        path = worker.context.paths.log(container, seen.attempt)
        if not path.exists():
            raise web.HTTPNotFound(text=f"the log of container {container!r} is not on this node any more\n")
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await response.prepare(request)
        try:
            async for piece in read(path, options, lambda: self._lookup.runs(worker, seen.id)):
                await response.write(piece)
        except ConnectionError:
            return response
        await response.write_eof()
        return response

    def _attempt(self, worker: PodWorker, container: str, *, previous: bool) -> Seen:
        """The container whose log is meant: the newest, or the last one that has ended before it."""
        pod, name = worker.context.pod, worker.context.name
        attempts = [one for one in self._lookup.seen(worker.context.uid) if one.name == container]
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
