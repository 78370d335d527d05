"""Subresources that lead out of the API server: to the agent of a pod's node, or to what a proxy is for.

Each but ``log`` is a CONNECT for admission, which sees the request's parameters as the options object of its kind.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl

from aiohttp import web
from yarl import URL

from picluster.api import errors
from picluster.api.resources import NODES, PODS, SERVICES, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CONNECT
from picluster.apiserver.authn import User
from picluster.apiserver.http import ConnectHandler
from picluster.apiserver.proxies import Location, Rewriting, node_location, pod_location, service_location
from picluster.apiserver.proxy import AgentProxy
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.store import decoded
from picluster.apiserver.relay import Onward, Relay, Unreachable
from picluster.apiserver.requestinfo import RequestInfo
from picluster.apiserver.webhooks.trust import Trust

FLAGS = frozenset({"stdin", "stdout", "stderr", "tty"})
STREAMS = {"exec": "PodExecOptions", "attach": "PodAttachOptions", "portforward": "PodPortForwardOptions"}
ACCEPT_ENCODING = ("accept-encoding",)


def handlers(
    registry: Registry, proxy: AgentProxy, authorize: Callable[[User, RequestInfo], None]
) -> dict[tuple[str, str], ConnectHandler]:
    """What reaches a pod's agent, by resource and subresource, as ``Features.connects`` wants them.

    A stream is begun by a GET where it is a WebSocket, and must be allowed as the ``create`` that it is, too.
    """

    async def log(request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        _only(info, "get")
        pod, node = _pod_and_node(registry, info)
        return await proxy.logs(request, pod, node)

    async def stream(request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        _only(info, "get", "create")
        if info.verb == "get":
            authorize(user, info._replace(verb="create"))
        await _admit(registry, info, user, PODS, stream_options(info.target.subresource, request.query_string))
        pod, node = _pod_and_node(registry, info)
        return await proxy.stream(request, pod, node, info.target.subresource)

    return {(PODS.id, "log"): log, **{(PODS.id, name): stream for name in STREAMS}}


def proxies(registry: Registry, relay: Relay, agents: ssl.SSLContext | None) -> dict[tuple[str, str], ConnectHandler]:
    """The ``proxy`` of pods and services, and of nodes when there is a way to speak to their agents (``agents``)."""
    trust = Trust()

    def handler(resource: Resource, locate: Callable[[RequestInfo], Location]) -> ConnectHandler:
        async def serve(request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
            tail = proxied_path(request.raw_path, resource)
            options = {"kind": f"{resource.kind}ProxyOptions", "apiVersion": "v1", "path": info.target.tail}
            await _admit(registry, info, user, resource, options)
            location = locate(info)
            if not tail and request.method in ("GET", "HEAD"):
                path, mark, query = request.raw_path.partition("?")
                return web.Response(status=301, headers={"Location": f"{path}/{mark}{query}"})
            context = None
            if location.scheme == "https":
                context = agents if location.trusted else trust.context(skip_verify=True)
            return await _proxied(request, relay, location, tail, context)

        return serve

    store = registry.store
    found = {
        (PODS.id, "proxy"): handler(PODS, lambda info: pod_location(store, info.target.namespace, info.target.name)),
        (SERVICES.id, "proxy"): handler(
            SERVICES, lambda info: service_location(store, info.target.namespace, info.target.name)
        ),
    }
    if agents is not None:
        found[(NODES.id, "proxy")] = handler(NODES, lambda info: node_location(store, info.target.name))
    return found


def proxied_path(raw_path: str, resource: Resource) -> str:
    """What follows ``/proxy`` in a request's path, as it was sent: empty, or from its ``/`` on. PURE."""
    segments = len(resource.path("namespace", "name", "proxy").split("/")) - 1
    return re.sub(rf"\A(?:/+[^/?]+){{{segments}}}", "", raw_path.partition("?")[0])


def stream_options(subresource: str, query: str) -> Object:
    """The options object of a stream into a pod, as admission sees it. PURE."""
    options: Object = {"kind": STREAMS[subresource], "apiVersion": "v1"}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in FLAGS:
            options[name] = value.lower() not in ("0", "false")
        elif name == "container":
            options[name] = value
        elif name == "command" and subresource == "exec":
            options.setdefault(name, []).append(value)
        elif name == "ports" and subresource == "portforward":
            options.setdefault(name, []).extend(int(port) for port in value.split(",") if port.isdigit())
    return options


def agent_context(cert: Path, key: Path, agent_ca: Path, *, verify: bool = True) -> ssl.SSLContext:
    """How the API server shows itself to agents, and knows theirs; raises ``OSError`` or ``ssl.SSLError``."""
    context = ssl.create_default_context(cafile=agent_ca)
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    return context


async def _proxied(
    request: web.BaseRequest, relay: Relay, location: Location, tail: str, context: ssl.SSLContext | None
) -> web.StreamResponse:
    path, mark, query = request.raw_path.partition("?")
    url = URL(f"{location.scheme}://{location.authority}{tail or '/'}{mark}{query}", encoded=True)
    prefix = path.removesuffix(tail)
    forwarded = (("X-Forwarded-Uri", path), ("X-Forwarded-Host", request.host), ("X-Forwarded-Proto", "https"))
    onward = Onward(url, context, location.authority, headers=forwarded, dropped=ACCEPT_ENCODING)
    try:
        return await relay.pass_on(request, onward, Rewriting(prefix, location.authority))
    except Unreachable as error:
        why = f"error trying to reach service: {error}"
        raise errors.ApiError(503, "ServiceUnavailable", why) from None


async def _admit(registry: Registry, info: RequestInfo, user: User, resource: Resource, options: Object) -> None:
    target = info.target
    write = Write(user, resource, target.namespace, target.name, target.subresource)
    attributes = write.attributes(CONNECT, options, None)
    await registry.admission.admit(attributes)
    await registry.admission.validate(attributes)


def _only(info: RequestInfo, *verbs: str) -> None:
    if info.verb not in verbs:
        raise errors.method_not_supported("", PODS.plural, info.verb)


def _pod_and_node(registry: Registry, info: RequestInfo) -> tuple[Object, Object]:
    """The pod, and the node it runs on; an unbound pod comes with an empty one, which the proxy refuses in words."""
    pod = decoded(registry.store.get(PODS, info.target.namespace, info.target.name))
    node_name = pod["spec"].get("nodeName", "")
    if not node_name:
        return pod, {"metadata": {"name": ""}}
    return pod, decoded(registry.store.get(NODES, "", node_name))
