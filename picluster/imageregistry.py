"""The rack's registry of images, spoken to over its HTTP API: push, list, delete.

It is spoken to directly, with the certificate of the rack's kubeconfig and the cluster's authority: no Docker, Podman
or skopeo is needed on this machine, no password anywhere, and a layer crosses the network once. API:
https://github.com/distribution/distribution/blob/v2.8.2/docs/spec/api.md
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from picluster.client import ClientConfig
from picluster.imagearchive import (
    MANIFEST,
    MANIFEST_LIST,
    OCI_INDEX,
    OCI_MANIFEST,
    Blob,
    Image,
    Manifest,
    Target,
    digest_of,
)
from picluster.rack import Rack, RackError

CHUNK_BYTES = 1 << 18
PARALLEL_MAX = 3
TRIES_MAX = 3
CONNECT_TIMEOUT_S = 5.0
SILENCE_MAX_S = 120.0
PAGE_MAX = 100
REPOSITORIES_MAX = 10_000
ACCEPTED = ", ".join((MANIFEST, OCI_MANIFEST, MANIFEST_LIST, OCI_INDEX))

Progress = Callable[[int], None]
"""Called with the bytes that are new at the registry, or known to be there."""


class RegistryError(Exception):
    """The registry refused or does not answer; one sentence."""


class Tag(NamedTuple):
    """An image in the registry."""

    repository: str
    tag: str
    digest: str
    size_bytes: int


class ImageRegistry:
    """A registry that is open; see ``of_rack``."""

    def __init__(self, session: aiohttp.ClientSession, name: str, base: str, options: dict[str, Any]) -> None:
        self.name = name
        self._session = session
        self._base = base
        self._options = options
        self._few = asyncio.Semaphore(PARALLEL_MAX)

    async def push(self, image: Image, target: Target, progress: Progress) -> str:
        """Send what is not there yet, then name it; the digest. Raises ``RegistryError``."""
        for repository in target.repositories:
            source = target.repositories[0] if repository != target.repositories[0] else ""
            told = progress if not source else _nothing
            blobs = image.manifest.all_blobs
            await asyncio.gather(*(self._blob(repository, blob, source, told) for blob in blobs))
            await self._manifest(repository, image.manifest, target.tag)
        return image.manifest.digest

    async def tags(self) -> list[Tag]:
        """Every image, by name; of one for several platforms the size is that of all."""
        found = []
        for repository in await self._pages("/v2/_catalog", "repositories"):
            for tag in sorted(await self._pages(f"/v2/{repository}/tags/list", "tags")):
                digest, size_bytes = await self._size(repository, tag)
                found.append(Tag(repository, tag, digest, size_bytes))
        return found

    async def delete(self, target: Target) -> bool:
        """Take an image out; whether it was there. The registry gives its room back at its next cleaning."""
        deleted = False
        for repository in target.repositories:
            path = f"/v2/{repository}/manifests/{target.tag}"
            async with self._ask("HEAD", path, headers={"Accept": ACCEPTED}, allow=(404,)) as answer:
                digest = answer.headers.get("Docker-Content-Digest", "") if answer.status == 200 else ""
            if digest:
                async with self._ask("DELETE", f"/v2/{repository}/manifests/{digest}", allow=(404,)):
                    deleted = True
        return deleted

    # -- parts ---------------------------------------------------------------------------------------------------------

    async def _blob(self, repository: str, blob: Blob, source: str, progress: Progress) -> None:
        async with self._few:
            for attempt in range(1, TRIES_MAX + 1):
                sent = [0]
                try:
                    await self._send(repository, blob, source, progress, sent)
                    break
                except RegistryError as error:
                    progress(-sent[0])
                    if attempt == TRIES_MAX or error.__cause__ is None:  # it answered, and will not say otherwise
                        raise

    async def _send(self, repository: str, blob: Blob, source: str, progress: Progress, sent: list[int]) -> None:
        def moved(size_bytes: int) -> None:
            sent[0] += size_bytes
            progress(size_bytes)

        async with self._ask("HEAD", f"/v2/{repository}/blobs/{blob.digest}", allow=(404,)) as answer:
            if answer.status == 200:
                moved(blob.size_bytes)
                return
        mount = f"?mount={blob.digest}&from={source}" if source else ""
        async with self._ask("POST", f"/v2/{repository}/blobs/uploads/{mount}") as answer:
            if answer.status == 201:  # it was in the other repository
                moved(blob.size_bytes)
                return
            where = urlsplit(answer.headers["Location"])
        query = f"{where.query}&digest={blob.digest}" if where.query else f"digest={blob.digest}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size_bytes)}
        body = _chunks(blob.path, moved)
        async with self._ask("PUT", f"{where.path}?{query}", data=body, headers=headers):
            return

    async def _manifest(self, repository: str, manifest: Manifest, tag: str) -> None:
        for child in manifest.children:
            await self._manifest(repository, child, child.digest)
        path, headers = f"/v2/{repository}/manifests/{tag}", {"Content-Type": manifest.media_type}
        async with self._ask("PUT", path, data=manifest.content, headers=headers) as answer:
            said = answer.headers.get("Docker-Content-Digest", manifest.digest)
        if said != manifest.digest:
            raise RegistryError(f"{self.name} keeps {repository}:{tag} as {said}, but {manifest.digest} was sent")

    async def _size(self, repository: str, reference: str) -> tuple[str, int]:
        path = f"/v2/{repository}/manifests/{reference}"
        async with self._ask("GET", path, headers={"Accept": ACCEPTED}, allow=(404,)) as answer:
            content = await answer.read()
            if answer.status == 404:  # deleted meanwhile, or by its digest
                return "", 0
        document = json.loads(content)
        parts = [document["config"], *document["layers"]] if "config" in document else []
        size_bytes = sum(int(one["size"]) for one in parts)
        for child in document.get("manifests") or ():
            size_bytes += (await self._size(repository, child["digest"]))[1]
        return digest_of(content), size_bytes

    async def _pages(self, path: str, key: str) -> list[str]:
        found: list[str] = []
        last = ""
        while len(found) < REPOSITORIES_MAX:
            async with self._ask("GET", f"{path}?n={PAGE_MAX}{last}", allow=(404,)) as answer:
                page = (json.loads(await answer.read()) if answer.status == 200 else {}).get(key) or []
                more = answer.links.get("next")
            found += page
            if not more or not page:
                break
            last = f"&last={page[-1]}"
        return found

    @asynccontextmanager
    async def _ask(
        self, method: str, path: str, *, allow: tuple[int, ...] = (), **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = URL(self._base + path, encoded=True)
        try:
            async with self._session.request(method, url, **self._options, **options) as response:
                if response.status >= 400 and response.status not in allow:
                    raise RegistryError(f"{self.name} refuses: {_why(response.status, await response.read())}")
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise RegistryError(f"{self.name} does not answer at {self._base} ({error or 'timeout'})") from error


@asynccontextmanager
async def of_rack(rack: Rack) -> AsyncIterator[ImageRegistry]:
    """The registry that the rack's inventory names. Raises ``RackError`` when it names none, ``ConfigError``."""
    place = rack.registry
    if place is None:
        raise RackError(
            f"{rack.inventory} names no board for a registry: set picluster_registry to one and run picluster bootstrap"
        )
    identity = ClientConfig.from_kubeconfig(rack.kubeconfig)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_MAX_S)
    options = {"ssl": identity.ssl_context(), "server_hostname": place.name}
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield ImageRegistry(session, place.host_port, f"https://{place.board.address}:{place.port}", options)


async def _chunks(path: Path, moved: Progress) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
            moved(len(chunk))


def _nothing(_size_bytes: int) -> None:
    """A copy inside the registry is no news."""


def _why(status: int, body: bytes) -> str:
    try:
        errors = json.loads(body)["errors"]
        return "; ".join(str(one.get("message") or one.get("code")) for one in errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"HTTP {status}"
