"""Subresources of pods that reach the agent of the pod's node: ``log`` and ``exec``."""

from __future__ import annotations

import ssl
from pathlib import Path

from aiohttp import web

from picluster.api import errors
from picluster.api.resources import NODES, PODS
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CONNECT
from picluster.apiserver.authn import User
from picluster.apiserver.http import ConnectHandler
from picluster.apiserver.proxy import AgentProxy
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.store import decoded
from picluster.apiserver.requestinfo import RequestInfo


def handlers(registry: Registry, proxy: AgentProxy) -> dict[tuple[str, str], ConnectHandler]:
    """The handlers by resource and subresource, as ``Features.connects`` wants them."""

    async def log(request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        _only(info, "get")
        pod, node = _pod_and_node(registry, info)
        return await proxy.logs(request, pod, node)

    async def execute(request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        _only(info, "get", "create")
        target = info.target
        write = Write(user, PODS, target.namespace, target.name, target.subresource)
        await registry.admission.admit(write.attributes(CONNECT, None, None))
        pod, node = _pod_and_node(registry, info)
        return await proxy.stream(request, pod, node, target.subresource)

    return {(PODS.id, "log"): log, (PODS.id, "exec"): execute}


def agent_context(cert: Path, key: Path, agent_ca: Path) -> ssl.SSLContext:
    """How the API server shows itself to agents, and knows theirs; raises ``OSError`` or ``ssl.SSLError``."""
    context = ssl.create_default_context(cafile=agent_ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    return context


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
