"""Requests that the API server passes on to the agent of a pod's node: logs and exec.

The agent listens with TLS on the node's address and takes only this server's client certificate, so whoever may read
a log is decided here, by the ordinary authorizer, before anything is passed on. Bytes are copied as they come, with
the slower side's pace; nothing is kept.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

import aiohttp
from aiohttp import WSMsgType, web
from yarl import URL

from picluster.api import errors
from picluster.api.types import Object

CONNECT_TIMEOUT_S = 5.0
MESSAGE_BYTES_MAX = 4 << 20
ERROR_BODY_BYTES_MAX = 64 << 10
STREAM_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
DEFAULT_AGENT_PORT = 10250


@dataclass(frozen=True, slots=True)
class AgentAddress:
    host: str
    port: int


def agent_address(node: Object) -> AgentAddress:
    """Where a node's agent listens, by the node's own status. PURE."""
    status = node.get("status") or {}
    addresses = {entry["type"]: entry["address"] for entry in reversed(status.get("addresses") or [])}
    host = addresses.get("InternalIP") or addresses.get("Hostname")
    if not host:
        raise errors.internal(f"no address is known of node {node['metadata']['name']}")
    endpoint = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
    return AgentAddress(host, int(endpoint.get("Port") or DEFAULT_AGENT_PORT))


def container_of(pod: Object, wanted: str) -> str:
    """The container that a request means; 400 in Kubernetes' words when that is not clear. PURE."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    if not spec.get("nodeName"):
        raise errors.bad_request(f"pod {name} does not have a host assigned")
    groups = ("containers", "initContainers", "ephemeralContainers")
    names = {group: [container["name"] for container in spec.get(group) or []] for group in groups}
    if wanted:
        if not any(wanted in group for group in names.values()):
            raise errors.bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    default = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if default in names["containers"]:
        return str(default)
    if len(names["containers"]) == 1:
        return str(names["containers"][0])
    choices = " ".join(names["containers"])
    init = f" or one of the init containers: [{' '.join(names['initContainers'])}]" if names["initContainers"] else ""
    raise errors.bad_request(f"a container name must be specified for pod {name}, choose one of: [{choices}]{init}")


class AgentProxy:
    """One session for all agents; ``context`` carries this server's client certificate and the cluster's authority."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def logs(self, request: web.BaseRequest, pod: Object, node: Object) -> web.StreamResponse:
        """Copy a container's log; the query is the client's, as the agent understands the same parameters."""
        query = dict(request.query)
        url = self._url(agent_address(node), "containerLogs", pod, container_of(pod, query.pop("container", "")), query)
        async with self._answer(url) as answer:
            response = web.StreamResponse(headers={"Content-Type": "text/plain"})
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async def stream(self, request: web.BaseRequest, pod: Object, node: Object, subresource: str) -> web.StreamResponse:
        """Join the client's WebSocket with one to the agent (``exec``), channels and all (KEP-4006)."""
        pairs = parse_qsl(request.query_string, keep_blank_values=True)
        wanted = next((value for key, value in pairs if key == "container"), "")
        renamed = {"stdin": "input", "stdout": "output", "stderr": "error"}
        query = [(renamed.get(key, key), _flag(value) if key in (*renamed, "tty") else value) for key, value in pairs]
        query = [(key, value) for key, value in query if key != "container"]
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise errors.bad_request("Upgrade request required: this server streams over WebSocket")
        offered = [part.strip() for part in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if part]
        protocols = [protocol for protocol in STREAM_PROTOCOLS if protocol in offered]
        if not protocols:
            raise errors.bad_request(f"none of the offered protocols is known; known are {', '.join(STREAM_PROTOCOLS)}")
        url = self._url(agent_address(node), subresource, pod, container_of(pod, wanted), query)
        async with self._socket(url, protocols) as agent:
            client = web.WebSocketResponse(
                protocols=[agent.protocol or protocols[0]], max_msg_size=MESSAGE_BYTES_MAX, compress=False
            )
            await client.prepare(request)
            await _join(client, agent)
            return client

    def _url(
        self,
        address: AgentAddress,
        what: str,
        pod: Object,
        container: str,
        query: dict[str, str] | list[tuple[str, str]],
    ) -> URL:
        metadata = pod["metadata"]
        path = "/".join(quote(part, safe="") for part in (what, metadata["namespace"], metadata["name"], container))
        text = f"?{urlencode(query)}" if query else ""
        return URL(f"https://{address.host}:{address.port}/{path}{text}", encoded=True)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
            connector = aiohttp.TCPConnector(ssl=self._context, limit=0)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        return self._session

    @asynccontextmanager
    async def _answer(self, url: URL) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._open().get(url) as answer:
                if answer.status != 200:
                    text = (await answer.content.read(ERROR_BODY_BYTES_MAX)).decode(errors="replace").strip()
                    raise _refusal(answer.status, text)
                yield answer
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            raise _unreachable(url, error) from None

    @asynccontextmanager
    async def _socket(self, url: URL, protocols: list[str]) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        try:
            async with self._open().ws_connect(
                url, protocols=protocols, max_msg_size=MESSAGE_BYTES_MAX, autoclose=True
            ) as socket:
                yield socket
        except aiohttp.WSServerHandshakeError as error:
            raise _refusal(error.status, error.message) from None
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            raise _unreachable(url, error) from None


async def _join(client: web.WebSocketResponse, agent: aiohttp.ClientWebSocketResponse) -> None:
    """Copy messages both ways until either side ends; then end the other one with the same code."""

    async def upstream() -> None:
        async for message in client:
            if message.type is WSMsgType.BINARY:
                await agent.send_bytes(message.data)
            elif message.type is WSMsgType.TEXT:
                await agent.send_str(message.data)

    async def downstream() -> None:
        async for message in agent:
            if message.type is WSMsgType.BINARY:
                await client.send_bytes(message.data)
            elif message.type is WSMsgType.TEXT:
                await client.send_str(message.data)

    tasks = [asyncio.ensure_future(copy()) for copy in (upstream, downstream)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await agent.close(code=client.close_code or 1000)
        await client.close(code=agent.close_code or 1000)


def _flag(value: str) -> str:
    """The agent's parameters are ``1`` or absent, the API's are booleans."""
    return "1" if value in ("", "1", "true", "True") else "0"


def _refusal(code: int, text: str) -> errors.ApiError:
    if code == 404:
        return errors.ApiError(404, "NotFound", text or "not found on the node")
    if code == 400:
        return errors.bad_request(text)
    return errors.internal(f"the agent answered {code}: {text}")


def _unreachable(url: URL, error: Exception) -> errors.ApiError:
    why = str(error) or type(error).__name__
    return errors.internal(f"error dialing backend: {url.host}:{url.port}: {why}")
