"""``/exec``: commands in running containers, for the API server's ``exec`` subresource."""

from __future__ import annotations

from aiohttp import web

from picluster_agent.endpoint import execution
from picluster_agent.endpoint.lookup import Lookup, flag
from picluster_agent.podman.client import Podman


class Streams:
    def __init__(self, lookup: Lookup, podman: Podman) -> None:
        self._lookup = lookup
        self._podman = podman

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/exec/{namespace}/{pod}/{container}", self._exec)
        router.add_post("/exec/{namespace}/{pod}/{container}", self._exec)

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        worker, container = self._lookup.find(request)
        running = [one for one in self._lookup.seen(worker.context.uid) if one.name == container and one.running]
        if not running:
            raise web.HTTPNotFound(text=f"container not found ({container!r})\n".replace("'", '"'))
        query = request.query
        command = query.getall("command", [])
        wanted = execution.ExecRequest(
            container_id=running[-1].id,
            command=command,
            stdin=flag(query.get("input", query.get("stdin", ""))),
            stdout=flag(query.get("output", query.get("stdout", ""))),
            stderr=flag(query.get("error", query.get("stderr", ""))),
            tty=flag(query.get("tty", "")),
        )
        if not command:
            raise web.HTTPBadRequest(text="you must specify at least 1 command\n")
        if not (wanted.stdin or wanted.stdout or wanted.stderr):
            raise web.HTTPBadRequest(text="you must specify at least 1 of stdin, stdout, stderr\n")
        return await execution.serve(request, self._podman, wanted)
