"""The agent as a process: its endpoint, its size, its end, and how it refuses to start."""

from __future__ import annotations

import asyncio
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


async def get(node: Any, path: str, context: ssl.SSLContext) -> tuple[int, str]:
    url = f"https://127.0.0.1:{await port_of(node)}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as response:
        return response.status, await response.text()


def rss_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


async def test_who_may_ask_the_agent(node: Any) -> None:
    assert await get(node, "/healthz", client_context(node, profiles.kubelet_client())) == (200, "ok")
    assert (await get(node, "/healthz", client_context(node, profiles.admin())))[0] == 200
    assert (await get(node, "/healthz", client_context(node, profiles.scheduler())))[0] == 403
    assert (await get(node, "/healthz", client_context(node, profiles.node("pi-2", []))))[0] == 403
    with pytest.raises((aiohttp.ClientError, ConnectionError, ssl.SSLError)):
        await get(node, "/healthz", client_context(node, None))
    stranger = authority.Authority.create(authority.new_key(), 1_700_000_000.0)
    with pytest.raises((aiohttp.ClientError, ConnectionError, ssl.SSLError)):
        await get(node, "/healthz", client_context(node, profiles.kubelet_client(), stranger))


async def test_metrics_and_what_is_not_there(node: Any) -> None:
    context = client_context(node, profiles.kubelet_client())
    status, text = await get(node, "/metrics", context)
    assert status == 200 and "process_resident_memory_bytes" in text
    assert "kubelet_running_pods 0.0" in text
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
