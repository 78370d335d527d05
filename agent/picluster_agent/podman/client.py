"""The libpod REST API (v4) on Podman's unix socket, as much of it as a node agent needs.

Every call is bounded: one number of connections, one timeout. Answers are plain dicts as libpod sends them; failures
are ``PodmanError`` with the HTTP status, or ``PodmanUnavailable`` when the service does not answer at all. API:
https://docs.podman.io/en/v4.3/_static/api.html
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from picluster.api.types import Object
from picluster_agent import figures

BASE = "http://podman/v4.0.0/libpod"
PULL_URL = "http://podman/v1.40/images/create"
CONNECTIONS_MAX = 16
CALL_TIMEOUT_S = 120.0
PULL_TIMEOUT_S = 4 * 3600.0
LINE_BYTES_MAX = 1024 * 1024
RUNTIMES_MAX = 1000
"""Containers of which the runtime is remembered."""


class PodmanError(Exception):
    """Podman refused; ``message`` is its own explanation, ``status`` the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class PodmanUnavailable(Exception):
    """Podman's service does not answer on its socket."""


class Runtime(NamedTuple):
    """What runs a container: ``program`` (``crun``, ``runc``). Commands in it have their pid files in ``pid_dir``."""

    program: str
    pid_dir: Path


class Podman:
    """A connection pool to one Podman service. Use as an async context manager.

    ``pid_dir`` is for the pid files of commands, on a file system that a power cut empties.
    """

    def __init__(self, socket_path: Path, pid_dir: Path) -> None:
        self.socket_path = socket_path
        self._pid_dir = pid_dir
        self._session: aiohttp.ClientSession | None = None
        self._runtimes: dict[str, str] = {}

    async def __aenter__(self) -> Podman:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(self.socket_path), limit=CONNECTIONS_MAX),
            timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S),
            auto_decompress=False,
            read_bufsize=LINE_BYTES_MAX,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def version(self) -> str:
        """Podman's version, from the ping: to ask for it by name makes Podman run conmon and its runtime (0.5 s)."""
        async with self._request("GET", "/_ping") as response:
            return response.headers.get("Libpod-API-Version", "unknown")

    async def cgroup_manager(self) -> str:
        """``cgroupfs`` or ``systemd``: how Podman makes control groups. Costs Podman 0.3 s."""
        return str(((await self._call("GET", "/info")).get("host") or {}).get("cgroupManager") or "")

    async def containers(self, label: str) -> list[Object]:
        """Every container, running or not, that carries ``label`` (``key`` or ``key=value``)."""
        query = {"all": "true", "filters": json.dumps({"label": [label]})}
        listed: list[Object] = await self._document("GET", "/containers/json", query)
        return listed or []

    async def inspect(self, container_id: str) -> Object:
        return await self._call("GET", f"/containers/{container_id}/json")

    async def runtime(self, container_id: str) -> Runtime:
        """The OCI runtime that the container runs under; asked once for each."""
        if container_id not in self._runtimes:
            if len(self._runtimes) >= RUNTIMES_MAX:
                self._runtimes.clear()
            self._runtimes[container_id] = str((await self.inspect(container_id)).get("OCIRuntime") or "crun")
        return Runtime(self._runtimes[container_id], self._pid_dir)

    async def create(self, body: Object) -> str:
        """Create from a SpecGenerator body; the new container's id."""
        answer = await self._call("POST", "/containers/create", body=body)
        return str(answer["Id"])

    async def mount(self, container_id: str) -> str:
        """Mount the root of a container that does not run; where it is."""
        async with self._request("POST", f"/containers/{container_id}/mount") as response:
            return (await response.text()).strip().strip('"')

    async def start(self, container_id: str) -> None:
        await self._call("POST", f"/containers/{container_id}/start")

    async def kill(self, container_id: str, signal: str) -> None:
        """Send ``signal``; a container that is not running, or gone, is no failure."""
        try:
            await self._call("POST", f"/containers/{container_id}/kill", {"signal": signal})
        except PodmanError as error:
            if error.status not in (404, 409) and "container state improper" not in error.message:
                raise

    async def remove(self, container_id: str) -> None:
        """Remove a container and what it holds, killing it at once if it runs; gone already is no failure."""
        query = {"force": "true", "timeout": "0", "volumes": "true"}  # (``v`` is Docker's)
        try:
            await self._call("DELETE", f"/containers/{container_id}", query)
        except PodmanError as error:
            if error.status != 404:
                raise

    async def images(self) -> list[Object]:
        listed: list[Object] = await self._document("GET", "/images/json")
        return listed or []

    async def remove_image(self, image_id: str) -> bool:
        """Remove an image and its names; whether it went: one that is in use stays, one that is gone is gone."""
        try:
            await self._call("DELETE", f"/images/{image_id}", {"force": "false"})
        except PodmanError as error:
            if error.status not in (404, 409):
                raise
            return error.status == 404
        return True

    async def image(self, reference: str) -> Object | None:
        """The local image that ``reference`` means (id, short name or full name), or ``None``."""
        try:
            return await self._call("GET", f"/images/{quote(reference, safe='')}/json")
        except PodmanError as error:
            if error.status == 404:
                return None
            raise

    async def pull(self, reference: str, auth: str = "") -> AsyncIterator[Object]:
        """Pull ``reference``, a name in full; yields what Podman says of each layer.

        ``auth`` is the value of ``X-Registry-Auth``. Raises ``PodmanError`` with the registry's reason. This is the
        Docker-compatible call, for the other one does not tell how many bytes have come.
        """
        timeout = aiohttp.ClientTimeout(total=PULL_TIMEOUT_S)
        headers = {"X-Registry-Auth": auth} if auth else None
        query = {"fromImage": reference}
        async with self._request("POST", PULL_URL, query, timeout=timeout, headers=headers) as response:
            async for line in response.content:
                if line.strip():
                    said = json.loads(line)
                    if error := said.get("error"):
                        raise PodmanError(500, str(error))
                    yield said

    async def events(self) -> AsyncIterator[Object]:
        """Container events from now on, until the connection ends; hints, not truth."""
        query = {"stream": "true", "filters": json.dumps({"type": ["container"]})}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._request("GET", "/events", query, timeout=timeout) as response:
            async for line in response.content:
                if line.strip():
                    yield json.loads(line)

    async def stats(self) -> list[Object]:
        """CPU, memory and network use of every running container, once."""
        answer = await self._call("GET", "/containers/stats", {"stream": "false"})
        return answer.get("Stats") or []

    async def _call(self, method: str, path: str, query: dict[str, str] | None = None, *, body: Any = None) -> Object:
        document: Object = await self._document(method, path, query, body) or {}
        return document

    async def _document(self, method: str, path: str, query: dict[str, str] | None = None, body: Any = None) -> Any:
        async with self._request(method, path, query, body=body) as response:
            data = await response.read()
            return json.loads(data) if data else None

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        *,
        body: Any = None,
        timeout: aiohttp.ClientTimeout | None = None,
        headers: dict[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None, "use Podman as a context manager"
        url = (path if path.startswith("http:") else BASE + path) + ("?" + urlencode(query) if query else "")
        options: dict[str, Any] = {"json": body} if body is not None else {}
        if timeout is not None:
            options["timeout"] = timeout
        if headers is not None:
            options["headers"] = headers
        try:
            with figures.counted(method, path):
                async with self._session.request(method, URL(url, encoded=True), **options) as response:
                    if response.status >= 400:
                        raise PodmanError(response.status, _message(await response.read()))
                    yield response
        except (aiohttp.ClientError, OSError) as error:
            raise PodmanUnavailable(f"podman does not answer on {self.socket_path}: {error}") from error


def _message(body: bytes) -> str:
    """What Podman says: ``message`` of its error document, else the body itself."""
    try:
        document = json.loads(body)
    except ValueError:
        return body.decode(errors="replace").strip()
    return str(document.get("message") or document.get("cause") or document)
