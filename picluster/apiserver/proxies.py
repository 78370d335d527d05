"""Where the ``proxy`` subresources of pods, services and nodes lead. Names are ``[scheme:]name[:port]``.

Sources: ``ResourceLocation`` in ``pkg/registry/core/{pod,service,node}`` and ``util/proxy/transport.go`` of Kubernetes.
"""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from picluster.api import errors
from picluster.api.resources import NODES, PODS, SERVICES
from picluster.api.types import Object
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.proxy import agent_address
from picluster.apiserver.registry.store import Store, decoded
from picluster.apiserver.relay import Rewriter
from picluster.apiserver.webhooks.resolve import ready_endpoints

SCHEMES = ("http", "https")
HTML_MAX_BYTES = 8 << 20
_LINK = re.compile(
    rb"""(<(?:a|area|link|base)\s[^>]*?\bhref|<(?:img|script|iframe|frame|embed|input|source|audio|video|track)\s[^>]*?\bsrc"""
    rb"""|<form\s[^>]*?\baction|<(?:button|input)\s[^>]*?\bformaction|<body\s[^>]*?\bbackground"""
    rb"""|<(?:blockquote|q|del|ins)\s[^>]*?\bcite|<object\s[^>]*?\bdata)\s*=\s*("[^"]*"|'[^']*')""",
    re.IGNORECASE,
)


class Location(NamedTuple):
    """``trusted`` is for the node's agent itself, which is spoken to with this server's certificate."""

    scheme: str
    host: str
    port: int | None
    trusted: bool = False

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def split(name: str, what: str) -> tuple[str, str, str]:
    """Scheme, name and port (each may be empty but the name); raises ``ApiError`` 400 (``SplitSchemeNamePort``)."""
    parts = name.split(":")
    scheme, port = "", ""
    if len(parts) == 2:
        name, port = parts
    elif len(parts) == 3:
        scheme, name, port = parts
    if not name or len(parts) > 3 or (len(parts) == 3 and scheme not in ("", *SCHEMES)):
        raise errors.bad_request(f'invalid {what} request "{":".join(parts)}"')
    return scheme, name, port


def pod_location(store: Store, namespace: str, name: str) -> Location:
    scheme, pod_name, port = split(name, "pod")
    pod = decoded(store.get(PODS, namespace, pod_name))
    if not port:
        ports = [port for each in pod["spec"]["containers"] for port in (each.get("ports") or ())[:1]]
        port = str(ports[0]["containerPort"]) if ports else ""
    status = pod.get("status") or {}
    addresses = [entry["ip"] for entry in status.get("podIPs") or ()] or [status.get("podIP", "")]
    return Location(scheme or "http", _proxyable(addresses[0]), _number(port))


def service_location(store: Store, namespace: str, name: str) -> Location:
    scheme, service_name, port = split(name, "service")
    service = decoded(store.get(SERVICES, namespace, service_name))
    if port.isdigit():
        named = [each for each in service["spec"].get("ports") or () if each.get("port") == int(port)]
        if not named:
            raise _unavailable(f'no service port {port} found for service "{service_name}"')
        port = named[0].get("name") or ""
    found = list(_endpoints(store.cache, namespace, service_name, port))
    if not found:
        raise _unavailable(f'no endpoints available for service "{name}"')
    host, number = random.choice(found)  # noqa: S311  # spreads load, hides nothing
    return Location(scheme or "http", _proxyable(host), number)


def node_location(store: Store, name: str) -> Location:
    scheme, node_name, port = split(name, "node")
    agent = agent_address(decoded(store.get(NODES, "", node_name)))
    if not port or _number(port) == agent.port:
        return Location("https", agent.host, agent.port, trusted=True)
    return Location(scheme or "http", _proxyable(agent.host), _number(port))


def _unavailable(message: str) -> errors.ApiError:
    return errors.ApiError(503, "ServiceUnavailable", message)


def _number(port: str) -> int | None:
    if not port:
        return None
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise errors.bad_request(f'invalid port "{port}"')
    return int(port)


def _proxyable(address: str) -> str:
    """``address``, if it is that of somebody else (``IsProxyableIP``)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise errors.bad_request("address not allowed") from None
    if parsed.is_loopback or parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified:
        raise errors.bad_request("address not allowed")
    return address


def _endpoints(cache: WatchCache, namespace: str, service: str, port_name: str) -> Iterator[tuple[str, int]]:
    """Addresses that are those of pods: a proxy leads nowhere else."""
    for endpoint, port in ready_endpoints(cache, namespace, service, port_name):
        yield from _of_pod(cache, namespace, endpoint, port)


def _of_pod(cache: WatchCache, namespace: str, endpoint: Object, port: int) -> Iterator[tuple[str, int]]:
    target = endpoint.get("targetRef") or {}
    if target.get("kind") != "Pod":
        return
    entry = cache.get(PODS, target.get("namespace") or namespace, target.get("name", ""))
    if entry is None:
        return
    addresses = {each["ip"] for each in (decoded(entry).get("status") or {}).get("podIPs") or ()}
    yield from ((address, port) for address in endpoint["addresses"] if address in addresses)


class Rewriting:
    """Makes links and redirects of what is behind a proxy lead through the proxy again."""

    def __init__(self, prefix: str, backend: str) -> None:
        """``prefix`` is the path up to the proxied one, ``backend`` the authority of the other server."""
        self._prefix = prefix
        self._backend = backend

    def __call__(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> Rewriter | None:
        hosts = ("", self._backend, request.headers.get("Host", ""))
        if "Location" in answer.headers:
            return Rewriter(lambda headers: self._location(headers, hosts))
        encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
        if answer.content_type != "text/html" or encoded or request.method == "HEAD":
            return None

        def body(html: bytes) -> bytes:
            return _LINK.sub(lambda link: link[1] + b"=" + self._quoted(link[2], hosts), html)

        return Rewriter(lambda headers: None, body, HTML_MAX_BYTES)

    def url(self, url: str, hosts: tuple[str, ...]) -> str:
        try:
            parts = urlsplit(url)
        except ValueError:
            return url
        if parts.netloc not in hosts or not parts.path.startswith("/"):
            return url
        path = parts.path if parts.path.startswith(self._prefix) else self._prefix + parts.path
        return urlunsplit(("", "", path, parts.query, parts.fragment))

    def _quoted(self, value: bytes, hosts: tuple[str, ...]) -> bytes:
        quote, url = value[:1], value[1:-1].decode("latin-1")
        return quote + self.url(url, hosts).encode("latin-1") + quote

    def _location(self, headers: CIMultiDict[str], hosts: tuple[str, ...]) -> None:
        headers["Location"] = self.url(headers["Location"], hosts)
