"""The ``proxy`` subresources, and attaching: what is passed on and back, upgrades, links, and whom admission stops."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from admission_server import AdmissionServer, configuration, deny, webhook
from aiohttp import web

from picluster.apiserver.server import ApiServer
from picluster.server.config import NOBODY, own_address

PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


async def behind(request: web.BaseRequest) -> web.StreamResponse:
    match request.path:
        case "/page":
            page = '<a href="/rewriteme">test</a><img src=\'/i.png?a=b\'><a href="below">x</a>'
            page += '<a href="http://elsewhere/x">y</a>'
            return web.Response(text=page, content_type="text/html")
        case "/moved":
            return web.Response(status=302, headers={"Location": "/there?x=1"})
        case "/socket":
            socket = web.WebSocketResponse(protocols=["echo"])
            await socket.prepare(request)
            async for message in socket:
                await socket.send_str(message.data.upper())
            return socket
        case "/endless":
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"tick\n")
                await asyncio.sleep(0.01)
    body = await request.read()
    seen = {"method": request.method, "path": request.raw_path, "body": body.decode(), "headers": dict(request.headers)}
    return web.json_response(seen, status=int(request.query.get("code", "200")), headers={"X-Answer": "yes"})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Something that listens on an address that may be a pod's, which no loopback address may."""
    if own_address() == NOBODY:
        pytest.skip("this machine has no address but loopback ones")
    runner = web.ServerRunner(web.Server(behind, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, own_address(), 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture
async def pod(admin: Any, pod_of: Any, port: int) -> str:
    """The path of the proxy of a pod whose address is ours, with ``port`` as its first."""
    pod = pod_of("web", "pi-1")
    pod["spec"]["containers"][0]["ports"] = [{"containerPort": port}]
    await admin.create("/api/v1/nodes", {"metadata": {"name": "pi-1"}})
    assert (await admin.create(PODS, pod)).code == 201
    address = own_address()
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    assert (await admin.patch(f"{PODS}/web/status", {"status": status})).code == 200
    return f"{PODS}/web/proxy"


@pytest.fixture
async def service(admin: Any, pod: str, port: int) -> str:
    ports = [{"name": "main", "port": 80}, {"name": "idle", "port": 81}]
    await admin.create(SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": ports}})
    endpoint_slice = {
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": [own_address()], "targetRef": {"kind": "Pod", "name": "web", "namespace": "default"}}
        ],
        "ports": [{"name": "main", "port": port}],
    }
    answer = await admin.create(SLICES, endpoint_slice)
    assert answer.code == 201, answer.body
    return f"{SERVICES}/web:main/proxy"


async def test_every_verb_with_path_query_and_body(admin: Any, pod: str, service: str) -> None:
    """ "A set of valid responses are returned for both pod and service ProxyWithPath"."""
    for base in (pod, service):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = await admin(method, f"{base}/some/path%20here/?x=1&y=%26", b"hello", Content_Type="text/plain")
            assert (answer.code, answer.headers["X-Answer"]) == (200, "yes")
            assert answer.body["method"] == method
            assert answer.body["path"] == "/some/path%20here/?x=1&y=%26"
            assert answer.body["body"] == "hello"
            assert answer.body["headers"]["X-Forwarded-Uri"] == f"{base}/some/path%20here/"
            assert "Authorization" not in answer.body["headers"]
        assert (await admin("HEAD", f"{base}/x")).code == 200
        assert (await admin.get(f"{base}/x?code=418")).code == 418


async def test_the_root_is_asked_for_with_a_slash(admin: Any, pod: str) -> None:
    async with admin.session.get(f"{pod}?a=b", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (301, f"{pod}/?a=b")
    assert (await admin.create(pod, {})).body["path"] == "/"


async def test_links_and_redirects_lead_through_the_proxy_again(admin: Any, pod: str) -> None:
    """ "should proxy through a service and a pod"."""
    page = (await admin.get(f"{pod}/page")).body
    assert f'<a href="{pod}/rewriteme">test</a><img src=\'{pod}/i.png?a=b\'><a href="below">x</a>' in page
    assert "http://elsewhere/x" in page
    async with admin.session.get(f"{pod}/moved", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, f"{pod}/there?x=1")


async def test_names_may_have_a_scheme_and_a_port(admin: Any, service: str, port: int) -> None:
    for path in (f"{PODS}/web:{port}", f"{PODS}/http:web:{port}", f"{SERVICES}/http:web:80", f"{SERVICES}/web:80"):
        assert (await admin.get(f"{path}/proxy/x")).code == 200, path
    for path, code, message in (
        (f"{PODS}/ftp:web:1", 400, 'invalid pod request "ftp:web:1"'),
        (f"{SERVICES}/a:b:c:d", 400, 'invalid service request "a:b:c:d"'),
        (f"{SERVICES}/none", 404, 'services "none" not found'),
        (f"{SERVICES}/web:99", 503, 'no service port 99 found for service "web"'),
        (f"{SERVICES}/web:idle", 503, 'no endpoints available for service "web:idle"'),
    ):
        answer = await admin.get(f"{path}/proxy/")
        assert (answer.code, answer.body["message"]) == (code, message)


async def test_nobody_behind_it(admin: Any, pod: str, pod_of: Any) -> None:
    answer = await admin.get(f"{PODS}/web:1/proxy/")
    assert (answer.code, answer.body["reason"]) == (503, "ServiceUnavailable")
    assert answer.body["message"] == (
        f"error trying to reach service: dial tcp {own_address()}:1: connect: connection refused"
    )
    await admin.create(PODS, pod_of("idle"))
    answer = await admin.get(f"{PODS}/idle:80/proxy/")
    assert (answer.code, answer.body["message"]) == (400, "address not allowed")


async def test_upgrades_pass_both_ways(admin: Any, pod: str) -> None:
    async with admin.session.ws_connect(f"{pod}/socket", protocols=["echo"]) as socket:
        assert socket.protocol == "echo"
        for word in ("hello", "x" * 300_000):
            await socket.send_str(word)
            assert await socket.receive_str() == word.upper()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await admin.session.ws_connect(f"{pod}/x?code=403")
    assert refused.value.status == 403


async def test_an_endless_answer_ends_with_its_client(admin: Any, pod: str, server: ApiServer, eventually: Any) -> None:
    async def shown() -> bool:
        """Whether the metrics have it among the requests that last."""
        lines = (await admin.get("/metrics")).body.splitlines()
        found = [line for line in lines if line.startswith("apiserver_longrunning_requests{") and "proxy" in line]
        return any('subresource="proxy",verb="CONNECT",version="v1"} 1.0' in line for line in found)

    async with admin.session.get(f"{pod}/endless") as answer:
        assert await answer.content.readline() == b"tick\n"
        assert await shown()
        answer.close()
    assert (await admin.get(f"{pod}/x")).code == 200

    async def over() -> bool:
        return not await shown()

    await eventually(over)


@pytest.mark.parametrize("way", ["attach", "exec", "portforward", "proxy"])
async def test_admission_may_deny_every_way_into_a_pod(
    start: Any, caller: Any, pki: Any, pod_of: Any, way: str
) -> None:
    """ "should be able to deny attaching pod"."""
    identity = {"agent_client_cert": pki.certificate("apiserver-kubelet-client")}
    admin = await caller(await start(**identity, agent_client_key=pki.key("apiserver-kubelet-client")))
    await admin.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    await admin.create(PODS, pod_of("web"))
    async with AdmissionServer() as hook:
        hook.on("/attach", lambda request: deny("attaching to pod 'to-be-attached-pod' is not allowed"))
        rules = webhook(hook, "/attach", "deny-attaching-pod.k8s.io", [f"pods/{way}"], operations=["CONNECT"])
        path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
        assert (await admin.create(path, configuration("Validating", "deny", rules))).code == 201
        answer = await admin.create(f"{PODS}/web/{way}?container=main&stdin=true&command=sh", None)
        (asked,) = hook.of("/attach")
    assert (answer.code, answer.body["message"]) == (
        400,
        'admission webhook "deny-attaching-pod.k8s.io" denied the request:'
        " attaching to pod 'to-be-attached-pod' is not allowed",
    )
    kinds = {"exec": "PodExecOptions", "attach": "PodAttachOptions", "portforward": "PodPortForwardOptions"}
    assert asked["kind"]["kind"] == kinds.get(way, "PodProxyOptions")
    assert (asked["subResource"], asked["operation"], asked["name"]) == (way, "CONNECT", "web")
    if way == "attach":
        assert asked["object"] == {
            "kind": "PodAttachOptions", "apiVersion": "v1", "stdin": True, "container": "main",
        }  # fmt: skip


async def test_any_protocol_may_be_switched_to(admin: Any, pod: str, server: ApiServer, pki: Any) -> None:
    """SPDY/3.1 is what older kubectls speak; what is said after the switch is nobody's business but theirs."""

    async def spdy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"POST /x?y=1 HTTP/1.1\r\n")
        assert b"Upgrade: SPDY/3.1\r\n" in head
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nhello ")
        while data := await reader.read(1 << 16):
            writer.write(data[::-1])
            await writer.drain()
        writer.close()

    backend = await asyncio.start_server(spdy, own_address(), 0)
    async with backend:
        behind_port = backend.sockets[0].getsockname()[1]
        context = ssl.create_default_context(cafile=str(pki.certificate("ca")))
        context.load_cert_chain(pki.certificate("admin"), pki.key("admin"))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        path = pod.replace("/web/", f"/web:{behind_port}/")
        writer.write(
            f"POST {path}/x?y=1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert await reader.readexactly(6) == b"hello "
        for size in (3, 200_000):
            writer.write(b"a" * size)
            assert await reader.readexactly(size) == b"a" * size
        writer.close()
        await writer.wait_closed()
    assert (await admin.get(f"{pod}/x")).code == 200
