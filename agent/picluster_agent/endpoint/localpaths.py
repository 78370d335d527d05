"""``/localvolumes/<name>``: PUT makes the directory of a local volume, DELETE takes it away.

The controllers ask through the API server (``nodes/<node>/proxy``), which needs the right to update or delete there.
"""

from __future__ import annotations

from aiohttp import web

from picluster_agent.volumes.localpath import LocalPaths, is_name


class LocalVolumes:
    def __init__(self, paths: LocalPaths) -> None:
        self._paths = paths

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_put("/localvolumes/{name}", self._make)
        router.add_delete("/localvolumes/{name}", self._remove)

    async def _make(self, request: web.Request) -> web.Response:
        """Answers with where the directory is."""
        try:
            path = await self._paths.make(_name(request))
        except OSError as error:
            raise web.HTTPInternalServerError(text=f"{error}\n") from error
        return web.json_response({"path": str(path)})

    async def _remove(self, request: web.Request) -> web.Response:
        """``path`` is where the volume says that its data is: what lies elsewhere by now is not ours to remove."""
        name, said = _name(request), request.query.get("path", "")
        if said != str(self._paths.root / name):
            raise web.HTTPConflict(text=f"{said} is not below {self._paths.root}, where this node has local volumes\n")
        try:
            await self._paths.remove(name)
        except OSError as error:
            raise web.HTTPInternalServerError(text=f"{error}\n") from error
        return web.json_response({})


def _name(request: web.Request) -> str:
    name = request.match_info["name"]
    if not is_name(name):
        raise web.HTTPBadRequest(text=f"{name!r} is no name of a local volume\n")
    return name
