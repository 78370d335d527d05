"""A real control plane to test against: ``picluster server`` as a process, and an API server in the tests' own process.

Both are stopped when their test ends, however it ends.
"""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from control_plane import Cluster, Pki, World
from etcd import Etcd, installed

from picluster.client import Client, ClientConfig
from picluster.pki import bundle
from picluster.util.clock import SYSTEM_CLOCK

DEADLINE_S = 30.0
POLL_S = 0.01
READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


class ServerProcess:
    """``picluster server --data-dir data_dir`` with further words; its log goes to ``log``."""

    def __init__(self, data_dir: Path, *words: str) -> None:
        self.data_dir = data_dir
        self.log = data_dir.with_name(f"{data_dir.name}.log")
        self.port = 0
        self._words = words
        self.process: subprocess.Popen[str] | None = None

    @property
    def kubeconfig(self) -> Path:
        return self.data_dir / "admin.kubeconfig"

    def spawn(self) -> subprocess.Popen[str]:
        """Start it, without waiting; on the port it had before, if there was one."""
        picluster = Path(sys.executable).with_name("picluster")
        words = ["server", "--data-dir", str(self.data_dir), "--port", str(self.port), *self._words]
        self.process = subprocess.Popen([str(picluster), *words], stderr=subprocess.PIPE, text=True, bufsize=1)
        return self.process

    def start(self) -> float:
        """Start it and wait until it says that it is ready; returns how long that took, in seconds."""
        begin_s = time.monotonic()
        process = self.spawn()
        assert process.stderr is not None
        said = ""
        while (ready := re.search(r"^ready: .*?:(\d+)(;.*)?\n", said, re.MULTILINE)) is None:
            left_s = begin_s + READY_TIMEOUT_S - time.monotonic()
            readable, _, _ = select.select([process.stderr], [], [], max(0.0, left_s))
            more = os.read(process.stderr.fileno(), 64 << 10) if readable else b""
            if not more:
                self.kill()
                pytest.fail(f"the server is not ready after {time.monotonic() - begin_s:.1f} s; it said: {said}")
            said += more.decode()
        self.port = int(ready[1])
        return time.monotonic() - begin_s

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def stop(self) -> tuple[int, str]:
        """SIGTERM; the exit code, and what it said on standard error since it was ready."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=STOP_TIMEOUT_S)
        code = self.process.returncode
        self.process = None
        return code, said


@pytest.fixture
def server_process(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """``server_process(*words)`` makes a server in a directory of its own, not started yet."""
    made: list[ServerProcess] = []

    def make(*words: str) -> ServerProcess:
        made.append(ServerProcess(tmp_path / f"server{len(made)}", *words))
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def etcd_server(tmp_path: Path) -> Iterator[Callable[[], Etcd]]:
    """A running etcd of the test's own, which it may kill."""
    made: list[Etcd] = []

    def make() -> Etcd:
        if not installed():
            pytest.skip("etcd is not installed: make test-packages as root")
        made.append(Etcd(tmp_path / "etcd"))
        made[-1].directory.mkdir()
        made[-1].start()
        return made[-1]

    yield make
    for etcd in made:
        etcd.kill()


@pytest.fixture(scope="module")
def hollow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A whole control plane with three hollow nodes, shared by the tests of a module."""
    server = ServerProcess(tmp_path_factory.mktemp("hollow") / "server", "--hollow-nodes", "3")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    directory = tmp_path_factory.mktemp("control-plane")
    spec = bundle.BundleSpec(["127.0.0.1"], "10.43.0.0/16", "https://127.0.0.1")
    bundle.ensure(directory / "pki", directory, spec, SYSTEM_CLOCK)
    return Pki(directory / "pki", ClientConfig.from_kubeconfig(directory / "admin.kubeconfig"))


@pytest.fixture
async def cluster(pki: Pki) -> AsyncIterator[Cluster]:
    running = Cluster(pki)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[Client]:
    async with Client(cluster.config) as client:
        yield client


Probe = Callable[[], Awaitable[Any]]


@pytest.fixture
def eventually() -> Callable[..., Awaitable[Any]]:
    """``await eventually(probe)`` asks until the answer is true, and returns it; fails after a while."""

    async def wait(probe: Probe, within_s: float = DEADLINE_S) -> Any:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        while not (answer := await probe()):
            assert loop.time() < end_s, f"not within {within_s} s; the last answer was {answer!r}"
            await asyncio.sleep(POLL_S)
        return answer

    return wait


@pytest.fixture
def world(client: Client) -> World:
    return World(client)
