"""What a person looks at with ``kubectl get --raw /api/v1/nodes/NAME/proxy/…``: pods, configuration, the node's logs.

The kubelet's paths and shapes: ``/pods`` as the API server has them, ``/runningpods/`` as the runtime sees them,
``/configz`` the settings in force, ``/logs/`` what is below ``/var/log``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web

from picluster.api.types import Object
from picluster_agent.config import Config
from picluster_agent.endpoint.lookup import Lookup

LOGS = Path("/var/log")
SECRET_KEYS = frozenset({"kubeconfig", "bootstrap_kubeconfig", "serving", "image_credentials"})
"""Places of secrets: nobody's business."""


class Debugging:
    def __init__(self, lookup: Lookup, config: Config) -> None:
        self._lookup = lookup
        self._config = config

    def add_routes(self, router: web.UrlDispatcher) -> None:
        for path, handler in (
            ("/pods", self._pods),
            ("/pods/", self._pods),
            ("/runningpods", self._running),
            ("/runningpods/", self._running),
            ("/configz", self._configz),
            ("/logs", self._logs),
            ("/logs/{path:.*}", self._logs),
        ):
            router.add_get(path, handler)

    async def _pods(self, _: web.Request) -> web.Response:
        return _list([worker.context.pod for worker in self._lookup.pods.workers()])

    async def _running(self, _: web.Request) -> web.Response:
        pods = []
        for worker in self._lookup.pods.workers():
            context = worker.context
            running = [one for one in self._lookup.seen(context.uid) if one.running]
            if running:
                metadata = {"name": context.name, "namespace": context.namespace, "uid": context.uid}
                containers = [{"name": one.name, "image": one.image} for one in running]
                pods.append({"metadata": metadata, "spec": {"containers": containers}, "status": {}})
        return _list(pods)

    async def _configz(self, _: web.Request) -> web.Response:
        return web.json_response({"kubeletconfig": settings(self._config)})

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        relative = request.match_info.get("path", "")
        path = await asyncio.to_thread(below, LOGS, relative)
        if path is None:
            raise web.HTTPNotFound(text="404 page not found\n")
        names = await asyncio.to_thread(listing, path)
        if names is None:
            return web.FileResponse(path)
        if not request.path.endswith("/"):
            raise web.HTTPMovedPermanently(f"{path.name if relative else 'logs'}/")
        links = "".join(f'<a href="{quote(name)}">{html.escape(name)}</a>\n' for name in names)
        return web.Response(text=f"<pre>\n{links}</pre>\n", content_type="text/html")


def below(root: Path, relative: str) -> Path | None:
    """The file or directory that is meant; nothing outside of ``root``."""
    try:
        path = (root / relative).resolve(strict=True)
    except (OSError, ValueError):
        return None
    return path if path.is_relative_to(root.resolve()) and (path.is_dir() or path.is_file()) else None


def listing(path: Path) -> list[str] | None:
    """The names in a directory; nothing of a file."""
    if not path.is_dir():
        return None
    return sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in path.iterdir())


def settings(config: Config) -> Object:
    """The configuration under the kubelet's kind, its keys as the kubelet writes them. PURE."""
    found: Object = {"kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1"}
    for one in dataclasses.fields(config):
        if one.name not in SECRET_KEYS:
            first, *rest = one.name.split("_")
            found[first + "".join(word.capitalize() for word in rest)] = _plain(getattr(config, one.name))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value


def _list(pods: list[Object]) -> web.Response:
    return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods})
