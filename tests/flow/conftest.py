"""A real control plane to test against: ``picluster server`` as a process, and an API server in the tests' own process.

Both are stopped when their test ends, however it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from control_plane import Cluster, Pki, World
from etcd import Etcd, installed
from server_process import ServerProcess

from picluster.client import Client, ClientConfig
from picluster.pki import bundle
from picluster.util.clock import SYSTEM_CLOCK

DEADLINE_S = 30.0
POLL_S = 0.01


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
