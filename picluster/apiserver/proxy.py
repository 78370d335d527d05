"""Requests that the API server passes on to the agent of a pod's node: logs, exec, attach and port-forward.

The agent listens with TLS on the node's address and takes this server's client certificate, so whoever may read a log
is decided here, by the ordinary authorizer, before anything is passed on. Bytes are copied as they come, with the
slower side's pace; nothing is kept. Streams are upgrades (WebSocket, SPDY/3.1), which the agent speaks itself.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

import aiohttp
from aiohttp import web
from yarl import URL

from picluster.api import errors
from picluster.api.types import Object
from picluster.apiserver import podlogs
from picluster.apiserver.authn.authenticator import PROTOCOL_PREFIX
from picluster.apiserver.connection import connection_of
from picluster.apiserver.relay import Onward, Relay, Unreachable, cause, is_upgrade

CONNECT_TIMEOUT_S = 5.0
ERROR_BODY_BYTES_MAX = 64 << 10
DEFAULT_AGENT_PORT = 10250
PATHS = {"exec": "exec", "attach": "attach", "portforward": "portForward"}
RENAMED = {"stdin": "input", "stdout": "output", "stderr": "error", "ports": "port"}
"""Parameters of the API, as the kubelet calls them."""
FLAGS = frozenset({"input", "output", "error", "tty"})
PROTOCOL_HEADER = "Sec-WebSocket-Protocol"
DROPPED = ("impersonate-", "cookie", PROTOCOL_HEADER.lower())
"""Headers that are for this server alone, and one that must be cleaned of tokens."""


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
    """One session for all agents; ``context`` carries this server's client certificate and the cluster's authority.

    ``unverified`` is the same for clients that ask not to look at the agent's certificate.
    """

    def __init__(self, context: ssl.SSLContext, unverified: ssl.SSLContext, relay: Relay) -> None:
        self._context = context
        self._unverified = unverified
        self._relay = relay
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def logs(self, request: web.BaseRequest, pod: Object, node: Object) -> web.StreamResponse:
        """Copy a container's log; the query is the client's, as the agent understands the same parameters."""
        query = dict(request.query)
        podlogs.check(query, pod["metadata"]["name"])
        container = container_of(pod, query.pop("container", ""))
        unverified = podlogs.flag(query.pop("insecureSkipTLSVerifyBackend", ""))
        path = ("containerLogs", pod["metadata"]["namespace"], pod["metadata"]["name"], container)
        url = _url(agent_address(node), path, list(query.items()))
        async with self._answer(url, self._unverified if unverified else self._context, pod) as answer:
            off = connection_of(request).on_lost(answer.close)
            try:
                if is_upgrade(request):
                    return await podlogs.over_websocket(request, answer)
                response = web.StreamResponse(headers={"Content-Type": "text/plain"})
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response
            except aiohttp.ClientError as error:
                raise ConnectionResetError(f"the agent's answer broke off: {error}") from None
            finally:
                off()

    async def stream(self, request: web.BaseRequest, pod: Object, node: Object, subresource: str) -> web.StreamResponse:
        """Join the client with the agent, whatever they speak."""
        pairs = parse_qsl(request.query_string, keep_blank_values=True)
        wanted = next((value for key, value in pairs if key == "container"), "")
        metadata = pod["metadata"]
        path: tuple[str, ...] = (PATHS[subresource], metadata["namespace"], metadata["name"])
        if subresource != "portforward":
            path = (*path, container_of(pod, wanted))
        elif not pod["spec"].get("nodeName"):
            raise errors.bad_request(f"pod {metadata['name']} does not have a host assigned")
        if not is_upgrade(request):
            raise errors.bad_request("Upgrade request required")
        address = agent_address(node)
        url = _url(address, path, agent_query(pairs))
        onward = Onward(url, self._context, url.authority, headers=_protocols(request), dropped=DROPPED)
        try:
            return await self._relay.pass_on(request, onward)
        except Unreachable as error:
            raise errors.internal(f"error dialing backend: {error}") from None

    async def read(self, address: AgentAddress, path: str, timeout_s: float, bytes_max: int) -> str:
        """What a node's agent answers to this server's own GET; raises ``ApiError``."""
        url = _url(address, tuple(path.strip("/").split("/")), [])
        try:
            async with asyncio.timeout(timeout_s), self._open().get(url, ssl=self._context) as answer:
                if answer.status != 200:
                    raise errors.internal(f"bad status from {url}: {answer.status}")
                chunks, size = [], 0
                async for chunk in answer.content.iter_any():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > bytes_max:
                        raise errors.internal(f"the answer of {url} is larger than {bytes_max} bytes")
        except TimeoutError:
            raise errors.internal(f"timed out waiting for {url}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise errors.internal(f'Get "{url}": {cause(error)}') from None
        return b"".join(chunks).decode(errors="replace")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        return self._session

    @asynccontextmanager
    async def _answer(self, url: URL, context: ssl.SSLContext, pod: Object) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._open().get(url, ssl=context) as answer:
                if answer.status != 200:
                    text = (await answer.content.read(ERROR_BODY_BYTES_MAX)).decode(errors="replace").strip()
                    raise podlogs.refusal(answer.status, text, pod["metadata"]["name"])
                yield answer
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            raise errors.internal(f'Get "{url}": {cause(error)}') from None


def agent_query(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The query of a stream as the kubelet understands it: flags are 1 or not there. PURE."""
    renamed = [(RENAMED.get(key, key), value) for key, value in pairs if key != "container"]
    return [
        (key, "1" if key in FLAGS else value)
        for key, value in renamed
        if key not in FLAGS or value.lower() in ("", "1", "true")
    ]


def _protocols(request: web.BaseRequest) -> tuple[tuple[str, str], ...]:
    """The WebSocket protocols that a client offers, without the one that carries its token."""
    offered = [word.strip() for word in request.headers.get(PROTOCOL_HEADER, "").split(",")]
    kept = [word for word in offered if word and not word.startswith(PROTOCOL_PREFIX)]
    return ((PROTOCOL_HEADER, ", ".join(kept)),) if kept else ()


def _url(address: AgentAddress, path: tuple[str, ...], query: list[tuple[str, str]]) -> URL:
    host = f"[{address.host}]" if ":" in address.host else address.host
    text = f"?{urlencode(query)}" if query else ""
    return URL(f"https://{host}:{address.port}/{'/'.join(quote(part, safe='') for part in path)}{text}", encoded=True)
