"""Streams as other clients than kubectl ask for them: the WebSocket protocols of the conformance tests."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from picluster.api.errors import ApiError
from picluster.api.meta import condition_is
from picluster.api.resources import ROLE_BINDINGS, ROLES
from picluster.client import ClientConfig

pytestmark = [pytest.mark.lab]

WAIT_S = 15.0
POD = "/api/v1/namespaces/default/pods/web"


def ready(pod: dict[str, Any]) -> bool:
    return condition_is(pod, "Ready")


@asynccontextmanager
async def websocket(
    node: Any, path: str, *protocols: str, **headers: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    config = ClientConfig.from_kubeconfig(node.server.kubeconfig)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            config.server + path, protocols=protocols, headers=headers, ssl=config.ssl_context()
        ) as socket,
    ):
        yield socket


async def messages(socket: aiohttp.ClientWebSocketResponse) -> list[Any]:
    async with asyncio.timeout(WAIT_S):
        return [message.data async for message in socket]


def channel(got: list[bytes], number: int) -> bytes:
    return b"".join(message[1:] for message in got if message[0] == number)


async def test_exec_in_every_protocol(shared_node: Any, make_pod: Any) -> None:
    """[sig-node] Pods should support remote command execution over websockets."""
    await shared_node.run(make_pod("web"))
    await shared_node.when("web", ready)
    exec_ = f"{POD}/exec?stdout=1&stderr=1&command=sh&command=-c&command="
    for protocols in (("v5.channel.k8s.io", "v4.channel.k8s.io"), ("v4.channel.k8s.io",), ("channel.k8s.io",), ()):
        async with websocket(shared_node, exec_ + "echo%20hello;exit%204", *protocols) as socket:
            assert socket.protocol == (protocols[0] if protocols else None)
            got = await messages(socket)
        assert got[0] == b"\x01" and channel(got, 1) == b"hello\n"
        if "v4.channel.k8s.io" in protocols:
            print(got)
            status = json.loads(channel(got, 3))
            assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "4"}]
        else:
            assert channel(got, 3) == b"command terminated with non-zero exit code: exit status 4"
    async with websocket(shared_node, exec_ + "echo%20hello", "base64.channel.k8s.io") as socket:
        assert b"".join(base64.b64decode(text[1:]) for text in await messages(socket) if text[0] == "1") == b"hello\n"
    async with websocket(shared_node, f"{POD}/exec?stdin=1&stdout=1&command=cat", "v5.channel.k8s.io") as socket:
        await socket.send_bytes(b"\x00abc")
        await socket.send_bytes(b"\xff\x00")  # the input ends, and only that
        got = await messages(socket)
        assert channel(got, 1) == b"abc" and json.loads(channel(got, 3))["status"] == "Success"
    for path, protocol, code in (
        (exec_ + "true", "nonsense", 403),
        (f"{POD}/exec?command=true", "v4.channel.k8s.io", 400),
        (f"{POD}/exec?stdout=1", "v4.channel.k8s.io", 400),
        (f"{POD}/portforward", "v4.channel.k8s.io", 400),
        (f"{POD}/attach?stdout=1&container=none", "v4.channel.k8s.io", 400),
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with websocket(shared_node, path, protocol):
                pass
        assert refused.value.status == code, path
    with pytest.raises(ApiError, match="Upgrade request required"):
        async with shared_node.client.raw("GET", exec_ + "true"):
            pass


async def test_a_stream_must_be_allowed_as_the_creation_that_it_is(shared_node: Any, make_pod: Any) -> None:
    """Kubernetes 1.35 and later: who may only get ``pods/exec`` may not run a command over WebSocket."""
    await shared_node.run(make_pod("web"))
    await shared_node.when("web", ready)
    namespace = {"namespace": "default"}
    for verbs in (["get"], ["get", "create"]):
        name = "-".join(verbs)
        rules = [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": verbs}]
        await shared_node.client.create(ROLES, {"metadata": {"name": name, **namespace}, "rules": rules})
        role = {"kind": "Role", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
        subjects = [{"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}]
        binding = {"metadata": {"name": name, **namespace}, "roleRef": role, "subjects": subjects}
        await shared_node.client.create(ROLE_BINDINGS, binding)
    path = f"{POD}/exec?stdout=1&command=echo&command=hello"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with websocket(shared_node, path, "v4.channel.k8s.io", **{"Impersonate-User": "get"}):
            pass
    assert refused.value.status == 403
    async with websocket(shared_node, path, "v4.channel.k8s.io", **{"Impersonate-User": "get-create"}) as socket:
        assert channel(await messages(socket), 1) == b"hello\n"


async def test_port_forward_over_websockets(shared_node: Any, make_pod: Any, box: Any) -> None:
    """[sig-cli] Kubectl Port forwarding should support forwarding over websockets."""
    script = "echo hello > /tmp-index.html; exec httpd -f -p 127.0.0.1:80 -h /"
    probe = {"exec": {"command": ["wget", "-q", "-O", "-", "http://127.0.0.1/tmp-index.html"]}, "periodSeconds": 1}
    await shared_node.run(make_pod("web", box("web", "sh", "-c", script, readinessProbe=probe)))
    await shared_node.when("web", ready)
    path = f"{POD}/portforward?ports=80&ports=81"
    async with websocket(shared_node, path, "v4.channel.k8s.io") as socket:
        await socket.send_bytes(b"\x00GET /tmp-index.html HTTP/1.0\r\n\r\n")
        got = await messages(socket)
    greetings = {number: struct.pack("<H", 80 + number // 2) for number in range(4)}
    assert all(channel(got, number).startswith(port) for number, port in greetings.items())
    assert channel(got, 0).endswith(b"hello\n")
    assert channel(got, 1) == greetings[1]
    assert b"error forwarding port 81 to pod web" in channel(got, 3)


def watches(node: Any) -> int:
    """How many directories the agent watches."""
    held = []
    for one in Path(f"/proc/{node.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            held.append(str(one.readlink()))
    return held.count("anon_inode:inotify")


async def test_logs_over_websockets(shared_node: Any, make_pod: Any, box: Any) -> None:
    """[sig-node] Pods should support retrieving logs from the container over websockets."""
    script = "echo container is alive; echo oh >&2; while true; do sleep 0.1; done"
    await shared_node.run(make_pod("web", box("web", "sh", "-c", script)))
    await shared_node.when("web", ready)

    async def said() -> bool:
        async with websocket(shared_node, f"{POD}/log?container=web", "binary.k8s.io") as socket:
            return b"container is alive\n" in b"".join(await messages(socket))

    await shared_node.eventually(said, "the first words")
    async with websocket(shared_node, f"{POD}/log", "base64.binary.k8s.io") as socket:
        assert b"container is alive\n" in b"".join(base64.b64decode(text) for text in await messages(socket))

    followed = f"{POD}/log?follow=true"
    before = watches(shared_node)
    async with websocket(shared_node, followed, "binary.k8s.io") as socket:
        await socket.receive()
        assert watches(shared_node) == before + 1

    async def left() -> bool:
        return watches(shared_node) == before

    await shared_node.eventually(left, "the agent to notice that nobody follows the log")

    async def logs(query: str) -> tuple[int, str]:
        try:
            async with shared_node.client.raw("GET", f"{POD}/log?{query}") as response:
                return response.status, await response.text()
        except ApiError as error:
            return error.code, error.message

    assert await logs("stream=Stderr&insecureSkipTLSVerifyBackend=true") == (200, "oh\n")
    for query, code, message in (
        ("tailLines=-1", 422, 'PodLogOptions "web" is invalid: tailLines: Invalid value: -1: must be greater than or'),
        ("limitBytes=0", 422, "limitBytes: Invalid value: 0: must be greater than 0"),
        ("sinceSeconds=0", 422, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ("sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z", 422, "at most one of `sinceTime` or `sinceSeconds` may be"),
        ("stream=Stdout&tailLines=1", 422, "`tailLines` and specific `stream` are mutually exclusive for now"),
        ("stream=none", 422, 'stream: Unsupported value: "none": supported values: "All", "Stderr", "Stdout"'),
        ("previous=true", 400, 'previous terminated container "web" in pod "web" not found'),
        ("container=x", 400, "container x is not valid for pod web"),
    ):  # fmt: skip
        status, text = await logs(query)
        assert status == code and message in text
