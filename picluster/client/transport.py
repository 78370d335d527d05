"""Requests to the API server: typed by the resource table, bounded in time and number, retried only where that is safe.

A request is sent again when it surely was not seen (connection refused) or when the server asks for it (429 or 503 with
``Retry-After``), a few times and within bounds. Anything else, a broken connection above all, is the caller's to judge:
the write may have happened. Watches use connections of their own, so they never starve requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import errno
import os
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from yarl import URL

from picluster.api.errors import ApiError
from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.client.config import ClientConfig
from picluster.client.watch import LINE_BYTES_MAX, MalformedStream, WatchEvent, decode, lines
from picluster.util.backoff import Backoff
from picluster.util.clock import SYSTEM_CLOCK, Clock
from picluster.util.lean import aiohttp

CONNECT_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 30.0
WATCH_TIMEOUT_S = 300
WATCH_GRACE_S = 30.0
"""How much longer than asked for a silent watch may stay open, before it counts as dead."""
IDLE_CONNECTION_S = 30.0
RETRIES_MAX = 4
RETRY_AFTER_MAX_S = 10.0
ERROR_BODY_MAX = 1 << 20
KEEPALIVE = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 30_000))
"""A peer that lost its power is noticed within 30 s, also on a silent watch (client-go's ping does this on HTTP/2)."""


class TransportError(Exception):
    """No answer came. ``sent`` is false when the server surely has not seen the request."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class PatchType(enum.Enum):
    """How a patch is meant; the value is its media type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class Client:
    """One API server and one identity; an asynchronous context manager.

    Objects go in and out as plain dicts. Every call raises ``ApiError`` for a refusal and ``TransportError`` when no
    answer came. ``params`` adds query parameters (``{"dryRun": "All"}``); ``timeout_s`` bounds one try.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        clock: Clock = SYSTEM_CLOCK,
        user_agent: str = "picluster",
        connections_max: int = 32,
        watches_max: int = 256,
    ) -> None:
        self.config = config
        self.clock = clock
        self._headers = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "identity"}
        if config.token:
            self._headers["Authorization"] = f"Bearer {config.token}"
        self._connections_max = connections_max
        self._watches_max = watches_max
        self._requests: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Client:
        context = self.config.ssl_context()
        self._requests = self._session(self._connections_max, context)
        self._streams = self._session(self._watches_max, context)
        return self

    async def use(self, config: ClientConfig) -> None:
        """Go on with another identity: on new connections; what is under way on the old ones breaks, and is retried."""
        context = config.ssl_context()
        old = (self._requests, self._streams)
        self.config = config
        self._requests = self._session(self._connections_max, context)
        self._streams = self._session(self._watches_max, context)
        for session in old:
            if session is not None:
                await session.close()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; safe twice, and without having been opened."""
        for session in (self._requests, self._streams):
            if session is not None:
                await session.close()
        self._requests = self._streams = None
        await asyncio.sleep(0)  # sockets are closed by the loop's next round, and this may be its last

    async def get(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Object:
        return await self._json("GET", _path(resource, namespace, name, subresource), timeout_s=timeout_s)

    async def list(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
        resource_version: str = "",
    ) -> Object:
        """One page as the list object it is; its items carry ``kind`` and ``apiVersion``."""
        params = _query(
            labelSelector=label_selector,
            fieldSelector=field_selector,
            limit=str(limit or ""),
            resourceVersion=resource_version,
            **{"continue": continue_},
        )
        page = await self._json("GET", _path(resource, namespace), params=params)
        page["items"] = items = page.get("items") or []
        for item in items:
            item.setdefault("kind", resource.kind)
            item.setdefault("apiVersion", resource.api_version)
        return page

    async def create(
        self,
        resource: Resource,
        obj: Object,
        *,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
        params: Mapping[str, str] | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Object:
        """POST ``obj``; the namespace is the object's. ``name`` and ``subresource`` are for bindings and evictions."""
        path = _path(resource, namespace or obj.get("metadata", {}).get("namespace"), name, subresource)
        return await self._json("POST", path, params=params, body=obj, timeout_s=timeout_s)

    async def update(
        self,
        resource: Resource,
        obj: Object,
        *,
        subresource: str | None = None,
        params: Mapping[str, str] | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Object:
        """PUT ``obj``; with its ``resourceVersion``, a change made meanwhile is a Conflict."""
        metadata = obj["metadata"]
        path = _path(resource, metadata.get("namespace"), metadata["name"], subresource)
        return await self._json("PUT", path, params=params, body=obj, timeout_s=timeout_s)

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Object | Sequence[Object],
        *,
        namespace: str | None = None,
        kind: PatchType = PatchType.MERGE,
        subresource: str | None = None,
        params: Mapping[str, str] | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Object:
        """A JSON patch is a list; a server-side apply needs ``params={"fieldManager": …}``."""
        path = _path(resource, namespace, name, subresource)
        return await self._json("PATCH", path, params=params, body=patch, content_type=kind.value, timeout_s=timeout_s)

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period_s: int | None = None,
        propagation: str | None = None,
        params: Mapping[str, str] | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Object:
        """Returns the object on its way out, or a Status. A ``uid`` or ``resource_version`` that differs is a Conflict.

        ``propagation`` is Background, Foreground or Orphan.
        """
        options = delete_options(uid, resource_version, grace_period_s, propagation)
        path = _path(resource, namespace, name)
        return await self._json("DELETE", path, params=params, body=options, timeout_s=timeout_s)

    async def delete_collection(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        grace_period_s: int | None = None,
        propagation: str | None = None,
    ) -> Object:
        options = delete_options(None, None, grace_period_s, propagation)
        params = _query(labelSelector=label_selector, fieldSelector=field_selector)
        return await self._json("DELETE", _path(resource, namespace), params=params, body=options)

    async def watch(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        timeout_s: int = WATCH_TIMEOUT_S,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Events after ``resource_version``, bookmarks included, until the server ends the watch after ``timeout_s``.

        An ERROR event is raised as ``ApiError`` (410: list again). Whoever leaves early closes it
        (``contextlib.aclosing``), or the connection stays until it is collected.
        """
        params = _query(
            watch="1",
            allowWatchBookmarks="true",
            labelSelector=label_selector,
            fieldSelector=field_selector,
            resourceVersion=resource_version,
            timeoutSeconds=str(timeout_s),
        )
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=timeout_s + WATCH_GRACE_S)
        path = _path(resource, namespace)
        async with self._open(self._streams, "GET", path, params=params, timeout=timeout) as response:
            try:
                async for batch in lines(response.content):
                    for line in batch:
                        if line:
                            yield decode(line)
            except (aiohttp.ClientError, TimeoutError, MalformedStream) as error:
                raise TransportError(f"the watch of {resource.id} broke: {_cause(error)}", sent=True) from error

    @contextlib.asynccontextmanager
    async def raw(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = REQUEST_TIMEOUT_S,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response as it comes, for what is no object (``/version``, logs); an answer of 400 and above raises.

        ``timeout_s=None`` is for streams that last as long as they last.
        """
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        session = self._requests if timeout_s is not None else self._streams
        async with self._open(
            session, method, path, params=params, data=body, headers=headers, timeout=timeout
        ) as response:
            yield response

    @contextlib.asynccontextmanager
    async def websocket(
        self,
        path: str,
        *,
        params: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        protocols: Sequence[str] = ("v5.channel.k8s.io", "v4.channel.k8s.io"),
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Upgrade to a WebSocket (exec, attach); ``.protocol`` on it is the subprotocol that the server chose."""
        if self._streams is None:
            raise RuntimeError("the client is not open: use it as `async with Client(config) as client`")
        url = self._url(path, params)
        try:
            socket_ = await self._streams.ws_connect(
                url, protocols=protocols, server_hostname=self.config.tls_server_name, max_msg_size=LINE_BYTES_MAX
            )
        except aiohttp.WSServerHandshakeError as error:
            raise ApiError(error.status, "", f"the server refused the upgrade of {path}: {error.message}") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._transport_error(path, error) from error
        async with socket_:
            yield socket_

    def _session(self, connections_max: int, context: ssl.SSLContext | None) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=connections_max,
            ssl=context if context is not None else True,
            keepalive_timeout=IDLE_CONNECTION_S,
            socket_factory=_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
        )

    async def _json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Object:
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(timeout_s, CONNECT_TIMEOUT_S))
        data, headers = (None, None) if body is None else (orjson.dumps(body), {"Content-Type": content_type})
        async with self._open(
            self._requests, method, path, params=params, data=data, headers=headers, timeout=timeout
        ) as response:
            try:
                decoded = orjson.loads(await response.read())
            except orjson.JSONDecodeError as error:
                raise TransportError(f"{method} {path}: the answer is not JSON", sent=True) from error
            except (aiohttp.ClientError, TimeoutError) as error:
                raise self._transport_error(f"{method} {path}", error) from error
        if not isinstance(decoded, dict):
            raise TransportError(f"{method} {path}: the answer is no object", sent=True)
        return decoded

    @contextlib.asynccontextmanager
    async def _open(
        self,
        session: aiohttp.ClientSession | None,
        method: str,
        path: str,
        *,
        timeout: aiohttp.ClientTimeout,
        params: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response below 400; retries what is safe to retry."""
        if session is None:
            raise RuntimeError("the client is not open: use it as `async with Client(config) as client`")
        url = self._url(path, params)
        response = await self._send(session, method, url, data, headers, timeout)
        try:
            yield response
        finally:
            _let_go(response)

    async def _send(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: URL,
        data: bytes | None,
        headers: Mapping[str, str] | None,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        refused = Backoff(0.05, 0.4, jitter=0.5)
        tries_left = RETRIES_MAX
        while True:
            try:
                response = await session.request(
                    method,
                    url,
                    data=data,
                    headers=headers,
                    timeout=timeout,
                    allow_redirects=False,
                    server_hostname=self.config.tls_server_name,
                )
            except (aiohttp.ClientError, TimeoutError) as error:
                if not tries_left or not _refused(error):
                    raise self._transport_error(f"{method} {url.raw_path}", error) from error
                delay_s = refused.next_s()
            else:
                if response.status < 300:
                    return response
                failure = await self._failure(response)
                retry_after_s = _retry_after_s(response)
                if not tries_left or retry_after_s is None:
                    raise failure
                delay_s = retry_after_s
            tries_left -= 1
            await self.clock.sleep(delay_s)

    async def _failure(self, response: aiohttp.ClientResponse) -> ApiError:
        """The ``Status`` in ``response``, or the best that can be said of an answer without one."""
        try:
            text = await response.content.read(ERROR_BODY_MAX)
            while not response.content.at_eof() and len(text) < ERROR_BODY_MAX:
                text += await response.content.read(ERROR_BODY_MAX)
        except (aiohttp.ClientError, TimeoutError):
            text = b""
        finally:
            _let_go(response)
        try:
            status = orjson.loads(text)
        except orjson.JSONDecodeError:
            status = None
        if isinstance(status, dict) and status.get("kind") == "Status":
            return ApiError.from_status(status, response.status)
        said = text[:1024].decode("utf-8", "replace").strip() or response.reason or ""
        return ApiError(response.status, "", said or f"the server answered {response.status}")

    def _url(self, path: str, params: Mapping[str, str] | Sequence[tuple[str, str]] | None) -> URL:
        query = f"?{urlencode(params)}" if params else ""
        return URL(f"{self.config.server}{path}{query}", encoded=True)

    def _transport_error(self, what: str, error: Exception) -> TransportError:
        unsent = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
        return TransportError(f"{what} at {self.config.server}: {_cause(error)}", sent=not unsent)


async def list_all(
    client: Client,
    resource: Resource,
    *,
    namespace: str | None = None,
    label_selector: str = "",
    field_selector: str = "",
    page_size: int = 500,
) -> Object:
    """Every page as one list, consistent at its ``resourceVersion``; if the pages expire on the way, one big page."""
    selectors: dict[str, Any] = {
        "namespace": namespace,
        "label_selector": label_selector,
        "field_selector": field_selector,
    }
    whole = page = await client.list(resource, limit=page_size, **selectors)
    while continue_ := page.get("metadata", {}).get("continue"):
        try:
            page = await client.list(resource, limit=page_size, continue_=continue_, **selectors)
        except ApiError as error:
            if error.code != 410:
                raise
            return await client.list(resource, **selectors)
        whole["items"] += page["items"]
        whole["metadata"]["resourceVersion"] = page["metadata"]["resourceVersion"]
    for leftover in ("continue", "remainingItemCount"):
        whole.get("metadata", {}).pop(leftover, None)
    return whole


def delete_options(
    uid: str | None, resource_version: str | None, grace_period_s: int | None, propagation: str | None
) -> Object | None:
    """A ``DeleteOptions`` body, or ``None`` when the server's defaults are meant."""
    options: Object = {}
    preconditions = _query(uid=uid or "", resourceVersion=resource_version or "")
    if preconditions:
        options["preconditions"] = preconditions
    if grace_period_s is not None:
        options["gracePeriodSeconds"] = grace_period_s
    if propagation is not None:
        options["propagationPolicy"] = propagation
    return {"kind": "DeleteOptions", "apiVersion": "v1", **options} if options else None


def _let_go(response: aiohttp.ClientResponse) -> None:
    """Give the connection back; one that has more to say is cut off at once, as nobody waits for TLS's farewell."""
    connection = response.connection
    if connection is not None and connection.transport is not None and not response.content.at_eof():
        connection.transport.abort()
    response.release()


def _path(
    resource: Resource, namespace: str | None = None, name: str | None = None, subresource: str | None = None
) -> str:
    return resource.path(namespace and quote(namespace, safe=""), name and quote(name, safe=""), subresource)


def _query(**params: str) -> dict[str, str]:
    return {name: value for name, value in params.items() if value}


def _refused(error: Exception) -> bool:
    return isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno == errno.ECONNREFUSED


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    """How long the server asks to wait, if it asks and that is within bounds."""
    if response.status not in (429, 503):
        return None
    try:
        delay_s = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return delay_s if 0 <= delay_s <= RETRY_AFTER_MAX_S else None


def _cause(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return os.strerror(error.os_error.errno) if error.os_error.errno else str(error)
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


def _socket(address: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE:
        if (option := getattr(socket, name, None)) is not None:  # not on every operating system
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made
