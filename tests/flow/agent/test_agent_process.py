"""The agent as a process: its endpoint, its size, its end, and how it refuses to start."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from picluster.api.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, SERVICE_ACCOUNTS
from picluster.pki import authority, bundle, profiles

pytestmark = [pytest.mark.lab]

IDLE_RSS_MAX_KIB = 60 * 1024


def client_context(
    node: Any, profile: profiles.Profile | None, signer: authority.Authority | None = None
) -> ssl.SSLContext:
    """A TLS client with a certificate that ``signer`` (the cluster's authority) made, or with none."""
    pki = node.server.data_dir / "pki"
    context = ssl.create_default_context(cafile=pki / "ca.crt")
    if profile is not None:
        key = authority.new_key()
        certificate = (signer or bundle.load_authority(pki)).sign(profile, key.public_key(), time.time())
        path = node.root / "client.pem"
        path.write_bytes(authority.certificate_pem(certificate) + authority.key_pem(key))
        context.load_cert_chain(path)
    return context


async def port_of(node: Any) -> int:
    found = await node.eventually(node.registered, "the node to be Ready")
    return int(found["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"])


async def get(node: Any, path: str, context: ssl.SSLContext, token: str = "") -> tuple[int, str]:
    url = f"https://127.0.0.1:{await port_of(node)}{path}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession() as session, session.get(url, ssl=context, headers=headers) as response:
        return response.status, await response.text()


def rss_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


async def test_who_may_ask_the_agent(node: Any) -> None:
    assert await get(node, "/healthz", client_context(node, profiles.kubelet_client())) == (200, "ok")
    assert (await get(node, "/healthz", client_context(node, profiles.admin())))[0] == 200
    forbidden = "Forbidden (user=system:kube-scheduler, verb=get, resource=nodes, subresource(s)=[healthz proxy])"
    assert await get(node, "/healthz", client_context(node, profiles.scheduler())) == (403, forbidden)
    assert (await get(node, "/metrics", client_context(node, profiles.node("pi-2", []))))[0] == 403
    assert await get(node, "/healthz", client_context(node, None)) == (401, "Unauthorized")
    stranger = authority.Authority.create(authority.new_key(), 1_700_000_000.0)
    with pytest.raises((aiohttp.ClientError, ConnectionError, ssl.SSLError)):
        await get(node, "/healthz", client_context(node, profiles.kubelet_client(), stranger))


async def test_a_service_account_may_read_what_a_role_lets_it(node: Any) -> None:
    """As Prometheus does, with its token."""
    made = await node.client.create(
        SERVICE_ACCOUNTS, {"spec": {}}, namespace="default", name="default", subresource="token"
    )
    token = made["status"]["token"]
    context, user = client_context(node, None), "system:serviceaccount:default:default"
    metrics = f"Forbidden (user={user}, verb=get, resource=nodes, subresource(s)=[metrics])"
    assert await get(node, "/metrics", context, token) == (403, metrics)
    assert await get(node, "/metrics", context, token + "x") == (401, "Unauthorized")
    rules = [{"apiGroups": [""], "resources": ["nodes/stats", "nodes/pods"], "verbs": ["get"]}]
    await node.client.create(CLUSTER_ROLES, {"metadata": {"name": "scraper"}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": "default"}
    role = {"kind": "ClusterRole", "name": "scraper", "apiGroup": "rbac.authorization.k8s.io"}
    await node.client.create(
        CLUSTER_ROLE_BINDINGS, {"metadata": {"name": "scraper"}, "roleRef": role, "subjects": [subject]}
    )
    assert (await get(node, "/pods", context, token))[0] == 200
    assert (await get(node, "/metrics", context, token))[0] == 403, "the answer is kept for a while"
    assert (await get(node, "/configz", context, token))[0] == 403


async def test_what_a_person_looks_at_through_the_api_server(node: Any, make_pod: Any) -> None:
    await node.run(make_pod("web"))
    await node.when("web", lambda pod: pod["status"]["phase"] == "Running")

    async def through(path: str) -> tuple[int, str]:
        async with node.client.raw("GET", f"/api/v1/nodes/test-node/proxy{path}") as response:
            return response.status, await response.text()

    assert await through("/healthz") == (200, "ok")
    for path in ("/pods", "/runningpods/"):
        listed = json.loads((await through(path))[1])
        assert listed["kind"] == "PodList" and [one["metadata"]["name"] for one in listed["items"]] == ["web"]
        assert listed["items"][0]["spec"]["containers"][0]["name"] == "web"
    settings = json.loads((await through("/configz"))[1])["kubeletconfig"]
    assert settings["kind"] == "KubeletConfiguration" and settings["containerLogMaxSize"] == "10Mi"
    assert "kubeconfig" not in settings
    status, text = await through("/logs/")
    assert status == 200 and text.startswith("<pre>") and "apt/" in text


async def test_metrics_and_what_is_not_there(node: Any) -> None:
    context = client_context(node, profiles.kubelet_client())
    status, text = await get(node, "/metrics", context)
    assert status == 200 and "process_resident_memory_bytes" in text
    assert "kubelet_running_pods 0" in text
    assert await get(node, "/containerLogs/default/none/web", context) == (404, 'pod "none" does not exist\n')
    assert (await get(node, "/nothing", context))[0] == 404


async def test_it_is_small_and_ends_cleanly(node: Any, make_pod: Any) -> None:
    await node.run(make_pod("web"))
    await node.when("web", lambda pod: pod["status"]["phase"] == "Running")
    assert rss_kib(node.process.pid) <= IDLE_RSS_MAX_KIB
    assert node.stop() == 0
    assert "Traceback" not in node.log.read_text()
    assert [one["State"] for one in node.podman.containers()] == ["running"]


async def test_it_says_ready_to_systemd(node: Any) -> None:
    node.stop()
    address = node.root / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(address))
        listener.settimeout(10)
        os.environ["NOTIFY_SOCKET"] = str(address)
        try:
            node.start()
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert await asyncio.to_thread(listener.recv, 100) == b"READY=1"
        node.stop()
        assert listener.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kubeconfig": "/nonexistent"}, "/nonexistent"),
        ({"serving": {"cert": "/nonexistent.crt", "key": "/k", "client_ca": "/ca"}}, "/nonexistent.crt"),
        ({"node_ip": "192.0.2.200"}, "cannot start on 192.0.2.200"),
    ],
)
async def test_it_refuses_in_one_sentence(node: Any, change: dict[str, Any], message: str) -> None:
    node.stop()
    path = node.root / "bad.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load((node.root / "agent.yaml").read_text()), **change}))
    done = await asyncio.to_thread(subprocess.run, node.command(path), capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert message in done.stderr and done.stderr.startswith("picluster-agent: ")
    assert len(done.stderr.splitlines()) == 1
