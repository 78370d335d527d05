"""One request to a webhook: what a ``clientConfig`` names, over HTTPS, within a time and a size.

A ``clientConfig`` has a ``url``, or a ``service`` (``namespace``, ``name``, ``path``, ``port``), and a ``caBundle``
(``k8s.io/apiserver/pkg/util/webhook``). Connections are kept for the next call; redirects are not followed.
"""

from __future__ import annotations

import io
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp
import orjson
from yarl import URL

from picluster.api.types import Object
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.relay import cause
from picluster.apiserver.webhooks.resolve import Unresolved, resolve, server_name
from picluster.apiserver.webhooks.trust import Identity, Trust, Untrusted

RESPONSE_MAX_BYTES = 32 << 20
TIMEOUT_S = 30.0
DEFAULT_PORT = 443
CONNECTIONS_MAX = 256
KEEPALIVE_S = 30.0
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, */*",
    "User-Agent": "kube-apiserver-admission",
}


class CallFailed(Exception):
    """A webhook that gave no usable answer; the message says why, in Kubernetes' words, ``code`` what it answered."""

    def __init__(self, why: str, code: int = 503) -> None:
        super().__init__(why)
        self.code = code


class Place(NamedTuple):
    """``shown`` is the URL as messages and the ``Host`` header have it; the connection goes to ``url``."""

    shown: str
    url: URL
    server_name: str | None
    host: str


class WebhookClient:
    """``identity`` is shown to webhooks that ask for a client certificate. Nothing is opened before the first call."""

    def __init__(self, cache: WatchCache, identity: Identity | None = None) -> None:
        self._cache = cache
        self._trust = Trust(identity)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, config: Mapping[str, Any], review: Object, timeout_s: float = TIMEOUT_S) -> Any:
        """Post ``review`` as JSON and return the decoded answer; raises ``CallFailed``."""
        place = self._place(config, timeout_s)
        try:
            try:
                code, body = await self._ask(place, config, review, timeout_s)
            except aiohttp.ServerDisconnectedError:  # a kept connection that the webhook was just giving up
                code, body = await self._ask(place, config, review, timeout_s)
        except Untrusted as error:
            raise CallFailed(str(error)) from None
        except TimeoutError:
            raise CallFailed(f'failed to call webhook: Post "{place.shown}": context deadline exceeded') from None
        except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
            raise CallFailed(f'failed to call webhook: Post "{place.shown}": {cause(error)}') from None
        return _decoded(code, body)

    async def _ask(
        self, place: Place, config: Mapping[str, Any], review: Object, timeout_s: float
    ) -> tuple[int, bytes]:
        async with self._open().post(
            place.url,
            data=io.BytesIO(orjson.dumps(review)),
            headers={**_HEADERS, "Host": place.host},
            ssl=self._trust.context(config.get("caBundle") or ""),
            server_hostname=place.server_name,
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            allow_redirects=False,
        ) as answer:
            return answer.status, await _bounded(answer)

    def _place(self, config: Mapping[str, Any], timeout_s: float) -> Place:
        query = f"timeout={timeout_s:g}s"
        if config.get("url"):
            url = URL(config["url"], encoded=True).update_query(query)
            return Place(str(url), url, None, url.raw_authority)
        service = config["service"]
        port = service.get("port") or DEFAULT_PORT
        path = "/" + (service.get("path") or "").lstrip("/")
        name = server_name(service["namespace"], service["name"])
        shown = f"https://{name}:{port}{path}?{query}"
        try:
            address = resolve(self._cache, service["namespace"], service["name"], port)
        except Unresolved as error:
            raise CallFailed(f'failed to call webhook: Post "{shown}": {error}') from None
        host = f"[{address.host}]" if ":" in address.host else address.host
        url = URL(f"https://{host}:{address.port}{path}?{query}", encoded=True)
        return Place(shown, url, name, f"{name}:{port}")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=KEEPALIVE_S)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    chunks, size = [], 0
    async for chunk in answer.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > RESPONSE_MAX_BYTES:
            raise CallFailed(f"failed to call webhook: the response is larger than {RESPONSE_MAX_BYTES} bytes")
    return b"".join(chunks)


def _decoded(code: int, body: bytes) -> Any:
    """What a 2xx answer says; the message of anything else."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        content, why = None, str(error)
    else:
        why = ""
    if 200 <= code < 300:
        if why:
            raise CallFailed(f"failed to call webhook: {why}")
        return content
    if isinstance(content, dict) and content.get("kind") == "Status" and content.get("message"):
        raise CallFailed(f"failed to call webhook: {content['message']}", code)
    raise CallFailed(f"failed to call webhook: {_answered(code)}", code)


def _answered(code: int) -> str:
    """What client-go makes of an answer that is no ``Status`` (``NewGenericServerResponse``)."""
    known = {
        401: "the server has asked for the client to provide credentials",
        404: "the server could not find the requested resource",
        405: "the server does not allow this method on the requested resource",
    }
    if code >= 500:
        return 'an error on the server ("") has prevented the request from succeeding'
    return known.get(code) or f"the server responded with the status code {code} but did not return more information"
