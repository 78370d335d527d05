"""A node for real to test against: one for all tests that leave it as it was, and one for each that breaks it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_node import NODE, AgentNode, PodmanService, container, missing_here
from server_process import ServerProcess

from picluster.api.resources import CONFIGMAPS, PODS, SECRETS
from picluster.client import Client, ClientConfig


@contextlib.contextmanager
def _podman(root: Path) -> Iterator[PodmanService]:
    if missing := missing_here():
        pytest.skip(f"left out, pods cannot run here: {missing}")
    service = PodmanService(root)
    service.configure()
    try:
        service.import_image()
        service.start()
        yield service
    finally:
        service.clean()


@pytest.fixture(scope="session")
def podman_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodmanService]:
    with _podman(tmp_path_factory.mktemp("podman")) as service:
        yield service


@pytest.fixture
async def node(
    tmp_path: Path, podman_service: PodmanService, server_process: Callable[..., ServerProcess]
) -> AsyncIterator[AgentNode]:
    """A node of the test's own, whose agent runs: it may be killed, cut off, or given other settings."""
    server = server_process("--role", "apiserver")
    server.start()
    async with Client(ClientConfig.from_kubeconfig(server.kubeconfig)) as client:
        made = AgentNode(tmp_path, podman_service, server, client)
        try:
            await made.prepare()
            made.start()
            await made.eventually(made.registered, "the node to be Ready")
            yield made
        finally:
            made.clean()


@pytest.fixture(scope="session")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[AgentNode]]:
    """Where the shared node is kept once a test has made it."""
    made: list[AgentNode] = []
    yield made
    for node in made:
        node.clean()
        node.server.kill()


@pytest.fixture(scope="session")
def _shared_podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodmanService]:
    """The shared node's own: an agent takes every pod's container in its Podman for its own."""
    with _podman(tmp_path_factory.mktemp("shared-podman")) as service:
        yield service


@pytest.fixture
async def shared_node(
    tmp_path_factory: pytest.TempPathFactory, _shared_podman: PodmanService, _shared: list[AgentNode]
) -> AsyncIterator[AgentNode]:
    """One node for all tests that only run pods on it. Pods, ConfigMaps and Secrets go with their test."""
    root = _shared[0].root if _shared else tmp_path_factory.mktemp("shared-node")
    server = _shared[0].server if _shared else ServerProcess(root / "server", "--role", "apiserver")
    if not _shared:
        server.start()
    async with Client(ClientConfig.from_kubeconfig(server.kubeconfig)) as client:
        if not _shared:
            _shared.append(AgentNode(root, _shared_podman, server, client))
            await _shared[0].prepare()
            _shared[0].start()
        node = _shared[0]
        node.client = client
        await node.eventually(node.registered, "the node to be Ready")
        yield node
        for resource in (PODS, CONFIGMAPS, SECRETS):
            for one in (await client.list(resource, namespace="default"))["items"]:
                if one["metadata"]["name"] != "kube-root-ca.crt":
                    grace = {"grace_period_s": 0} if resource is PODS else {}
                    await client.delete(resource, one["metadata"]["name"], namespace="default", **grace)


@pytest.fixture
def make_pod() -> Callable[..., dict[str, Any]]:
    """``make_pod("web", container(…), restartPolicy=…)``: a pod bound to the node."""

    def make(name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "nodeName": NODE,
                "terminationGracePeriodSeconds": 2,
                "tolerations": [{"operator": "Exists"}],
                "containers": list(containers) or [container()],
                **spec,
            },
        }

    return make


@pytest.fixture
def box() -> Callable[..., dict[str, Any]]:
    """``box("name", "command", …, field=…)``: a container of the busybox image."""
    return container
