"""The controllers running at the API server in this process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from control_plane import Cluster

from picluster.client import Client, ClientConfig
from picluster.controllers.node_lifecycle import NodeLifecycleController
from picluster.controllers.run import TRANSFORMS, all_controllers
from picluster.runtime import Manager

DEADLINE_S = 30.0


@dataclass(frozen=True)
class Settings:
    pki_dir: Path
    public_url: str = "https://192.0.2.10:6443"
    cluster_cidr: str = "10.42.0.0/16"
    profile: str = "rack"
    outlets: Path | None = None
    ssh_config: Path | None = None

    @property
    def signing_key(self) -> Path:
        return self.pki_dir / "sa.key"


@contextlib.asynccontextmanager
async def controllers_at(config: ClientConfig, pki_dir: Path) -> AsyncIterator[Manager]:
    """All but the failure detector: no agent renews a lease for these nodes."""
    async with Client(config) as own:
        manager = Manager(own, transforms=TRANSFORMS)
        for controller in all_controllers(Settings(pki_dir)):
            if not isinstance(controller, NodeLifecycleController):
                manager.add(controller)
        running = asyncio.create_task(manager.run())
        async with asyncio.timeout(DEADLINE_S):
            await manager.wait_ready()
        try:
            yield manager
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def controllers(cluster: Cluster) -> AsyncIterator[Manager]:
    """All but the failure detector, running."""
    async with controllers_at(cluster.config, cluster.pki.directory) as manager:
        yield manager
