"""A real API server in the tests' process, on the memory store, and what nodes and their agents do, done by hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from picluster.api.meta import now_rfc3339
from picluster.api.resources import NODES, PODS
from picluster.apiserver.audit.setup import AuditConfig
from picluster.apiserver.authn.tokenkeys import ServiceAccountConfig
from picluster.apiserver.server import ApiServer, ApiServerConfig
from picluster.client import Client, ClientConfig, PatchType
from picluster.storage.backend import Backend
from picluster.storage.memory import MemoryBackend
from picluster.util.clock import SYSTEM_CLOCK


@dataclass(slots=True)
class Pki:
    directory: Path
    admin: ClientConfig


@dataclass
class Cluster:
    """An API server that may be stopped and started again on the same port and store."""

    pki: Pki
    backend: Backend = field(default_factory=MemoryBackend)
    port: int = 0
    encryption: Path | None = None
    audit: AuditConfig | None = None
    local_path: bool = False
    server: ApiServer | None = None

    async def start(self) -> None:
        names = {"cert": "apiserver.crt", "key": "apiserver.key", "client_ca": "ca.crt"}
        files = {name: self.pki.directory / file for name, file in names.items()}
        accounts = ServiceAccountConfig(self.pki.directory / "sa.key", (self.pki.directory / "sa.pub",))
        config = ApiServerConfig(
            **files,
            port=self.port,
            service_accounts=accounts,
            encryption=self.encryption,
            audit=self.audit,
            local_path=self.local_path,
        )
        self.server = ApiServer(config, self.backend)
        await self.server.start()
        self.port = self.server.port

    async def stop(self) -> None:
        if self.server is not None:
            await self.server.stop()
            self.server = None

    @property
    def config(self) -> ClientConfig:
        return replace(self.pki.admin, server=f"https://127.0.0.1:{self.port}")


class World:
    """What nodes and their agents would do, done by hand."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def pods(self, selector: str = "app=web", namespace: str = "default") -> list[dict[str, Any]]:
        page = await self._client.list(PODS, namespace=namespace, label_selector=selector)
        return list(page["items"])

    async def add_node(self, name: str) -> None:
        """A node that is ready, and found so."""
        await self._client.create(NODES, {"metadata": {"name": name}})
        await self.node_ready(name, "True")
        await self._client.patch(NODES, name, {"spec": {"taints": None}}, kind=PatchType.MERGE)

    async def node_ready(self, name: str, status: str) -> None:
        condition = {"type": "Ready", "status": status}
        await self._client.patch(
            NODES,
            name,
            {"status": {"conditions": [condition]}},
            kind=PatchType.STRATEGIC,
            subresource="status",
        )

    async def run_pod(self, pod: dict[str, Any], node: str = "pi-1", ip: str = "10.42.1.5") -> None:
        """Bind ``pod`` and report it Running and Ready."""
        metadata = pod["metadata"]
        if not pod["spec"].get("nodeName"):
            binding = {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
                "target": {"kind": "Node", "name": node},
            }
            await self._client.create(PODS, binding, name=metadata["name"], subresource="binding")
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": now_rfc3339(SYSTEM_CLOCK.now())}
        status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [ready]}
        await self._client.patch(
            PODS,
            metadata["name"],
            {"status": status},
            namespace=metadata["namespace"],
            kind=PatchType.STRATEGIC,
            subresource="status",
        )

    async def run_all(self, selector: str = "app=web") -> int:
        """Run every pod that does not run yet, and end every one that is to go, as agents do; how many there are."""
        pods = await self.pods(selector)
        for number, pod in enumerate(pods):
            if pod["metadata"].get("deletionTimestamp"):
                await self.end_pod(pod)
            elif pod["status"].get("phase") != "Running":
                await self.run_pod(pod, ip=f"10.42.1.{number + 5}")
        return len(pods)

    async def end_pod(self, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        await self._client.delete(
            PODS, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"], grace_period_s=0
        )
