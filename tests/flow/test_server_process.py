"""``picluster server`` as a person or systemd runs it: from nothing, stopped cleanly, refused in one sentence."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from picluster.api.resources import CONFIGMAPS, DEPLOYMENTS, NODES, PODS
from picluster.client import Client, ClientConfig

PICLUSTER = Path(sys.executable).with_name("picluster")
START_MAX_S = 30.0  # a bound for a machine busy with tests; the bar is one second, and make bench measures it
STOP_MAX_S = 20.0

Make = Callable[..., Any]


def configmap(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "data": {"a": "b"}}


def refused(*words: str) -> str:
    """Run a server that must not start; its one sentence."""
    done = subprocess.run([str(PICLUSTER), "server", *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


async def test_it_serves_from_nothing_and_finds_everything_again(server_process: Make) -> None:
    server = server_process("--role", "apiserver")
    assert server.start() < START_MAX_S
    config = ClientConfig.from_kubeconfig(server.kubeconfig)
    async with Client(config) as client:
        made = await client.create(CONFIGMAPS, configmap("kept"))
        begin_s = time.monotonic()
        code, said = server.stop()
        assert time.monotonic() - begin_s < STOP_MAX_S
        assert (code, "ERROR" in said or "WARNING" in said) == (0, False), said
        server.start()
        assert await client.get(CONFIGMAPS, "kept", namespace="default") == made


def test_only_its_user_may_read_what_it_made(server_process: Make) -> None:
    server = server_process("--role", "apiserver")
    server.start()
    private = [server.kubeconfig, *server.data_dir.rglob("*.key"), *server.data_dir.rglob("*.db")]
    assert len(private) > 5
    assert {path.stat().st_mode & 0o077 for path in private} == {0}
    assert server.data_dir.stat().st_mode & 0o077 == 0


def test_systemd_hears_when_it_is_ready(server_process: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        server = server_process("--role", "apiserver")
        server.start()
        assert systemd.recv(100) == b"READY=1"
        server.stop()
        assert systemd.recv(100) == b"STOPPING=1"


def test_a_stranger_without_a_certificate_gets_nothing(server_process: Make) -> None:
    server = server_process("--role", "apiserver")
    server.start()
    tls = ssl.create_default_context(cafile=str(server.data_dir / "pki" / "ca.crt"))
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
        plain.settimeout(10)
        with tls.wrap_socket(plain, server_hostname="kubernetes.default.svc") as link:
            link.sendall(b"GET /api/v1/secrets HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert link.recv(100).split(b" ")[1] in (b"401", b"403")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_port_in_use_changes_nothing(tmp_path: Path, taken_port: int) -> None:
    said = refused("--data-dir", str(tmp_path / "new"), "--port", str(taken_port))
    assert f"port {taken_port} on 127.0.0.1 cannot be used: Address already in use: stop what uses it" in said
    assert list(tmp_path.iterdir()) == []


def test_a_directory_in_use_changes_nothing(server_process: Make) -> None:
    server = server_process("--role", "apiserver")
    server.start()
    before = server.kubeconfig.read_bytes()
    said = refused("--data-dir", str(server.data_dir), "--port", "0")
    assert f"in use by another server (process {server.process.pid}): stop it" in said
    assert server.kubeconfig.read_bytes() == before


@pytest.mark.parametrize("directory", ["/proc/none/such", "file"])
def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path, directory: str) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be used" in refused("--data-dir", str(tmp_path / directory / "data"), "--port", "0")


@pytest.mark.skipif(os.geteuid() != 0, reason="the refusal is shown by becoming another user, which needs root")
def test_a_directory_of_somebody_else_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    command = ["setpriv", "--reuid=65534", "--clear-groups", str(PICLUSTER), "server", "--data-dir", str(theirs / "x")]
    done = subprocess.run([*command, "--port", "0"], capture_output=True, text=True, timeout=20)
    if "Permission denied" in done.stderr and done.returncode != 2:
        pytest.skip(f"another user cannot run {PICLUSTER}")
    assert done.returncode == 2
    assert "Permission denied: name another with --data-dir" in done.stderr


def test_a_damaged_store_says_what_to_do(server_process: Make) -> None:
    server = server_process("--role", "apiserver")
    server.start()
    server.stop()
    (server.data_dir / "store" / "picluster.db").write_bytes(b"garbage " * 1000)
    assert "restore a backup, or start empty" in refused("--data-dir", str(server.data_dir), "--port", "0")


@pytest.mark.parametrize(("words", "message"), [
    ([], "give --data-dir DIR, or --config FILE"),
    (["--config", "/nonexistent.yaml"], "cannot be read"),
    (["--config", "/nonexistent.yaml", "--port", "1"], "--port does not go with --config"),
    (["--config", "/nonexistent.yaml", "--hollow-nodes", "1"], "--hollow-nodes does not go with --config"),
    (["--data-dir", "/nonexistent/data", "--bind", "localhost"], "bind is 'localhost', but must be an IP address"),
    (["--data-dir", "/nonexistent/data", "--role", "scheduler"], "scheduler.kubeconfig"),
])  # fmt: skip
def test_bad_words_are_refused(words: list[str], message: str) -> None:
    assert message in refused(*words)


def test_a_board_without_its_pki_says_so(tmp_path: Path) -> None:
    config = tmp_path / "server.yaml"
    config.write_text(f"data_dir: {tmp_path}/data\npki_dir: {tmp_path}/pki\nbind: 127.0.0.1\nport: 0\n")
    assert "picluster pki init" in refused("--config", str(config), "--role", "apiserver")


@pytest.mark.parametrize(("text", "message"), [
    ("pi-1: {driver: htpp}", "pi-1: driver is 'htpp'; it must be one of command, http"),
    ("pi-1: {driver: http}", "pi-1: "),
    ("pi-1: [", "is not YAML: correct line 1"),
    ("- pi-1", "must map each node to its outlet"),
])  # fmt: skip
def test_outlets_that_nobody_can_switch_are_refused(
    server_process: Make, tmp_path: Path, text: str, message: str
) -> None:
    server = server_process("--role", "apiserver")
    server.start()
    outlets, config = tmp_path / "outlets.yaml", tmp_path / "server.yaml"
    outlets.write_text(text)
    kubeconfigs = {name: f"{server.data_dir}/{name}.kubeconfig" for name in ("scheduler", "controllers")}
    config.write_text(f"data_dir: {tmp_path}/data\noutlets: {outlets}\nkubeconfigs: {kubeconfigs}\n")
    said = refused("--config", str(config), "--role", "controllers")
    assert said.startswith(f"Error: {outlets}")
    assert message in said


def deployment(replicas: int) -> dict[str, Any]:
    container = {"name": "web", "image": "web:1", "resources": {"requests": {"cpu": "100m"}}}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}


async def nodes_registered(client: Client, count: int) -> None:
    """Wait until there are ``count`` nodes that the scheduler may use."""
    usable: set[str] = set()
    async with asyncio.timeout(30):
        async for event in client.watch(NODES, resource_version="0"):
            if not (event.object.get("spec") or {}).get("taints"):
                usable.add(event.object["metadata"]["name"])
            if len(usable) == count:
                return


async def test_one_process_is_a_whole_control_plane(server_process: Make) -> None:
    """Controllers make the pods, the scheduler places them, hollow nodes say that they run; then all stop cleanly."""
    server = server_process("--hollow-nodes", "3")
    server.start()
    async with Client(ClientConfig.from_kubeconfig(server.kubeconfig)) as client:
        await nodes_registered(client, 3)
        await client.create(DEPLOYMENTS, deployment(6))
        async with asyncio.timeout(30):
            async for event in client.watch(DEPLOYMENTS, namespace="default", resource_version="0"):
                if event.object.get("status", {}).get("availableReplicas") == 6:
                    break
        pods = (await client.list(PODS, namespace="default"))["items"]
        assert len({pod["spec"]["nodeName"] for pod in pods}) == 3
        begin_s = time.monotonic()
        code, said = server.stop()
    assert time.monotonic() - begin_s < STOP_MAX_S
    assert code == 0
    assert "Traceback" not in said, said
    assert "did not stop" not in said, said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_either_signal_stops_it(server_process: Make, number: signal.Signals) -> None:
    server = server_process()
    server.start()
    server.process.send_signal(number)
    _, said = server.process.communicate(timeout=10)
    assert server.process.returncode == 0, said
