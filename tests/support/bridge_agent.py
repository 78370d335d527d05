"""The agent as ``picluster-agent`` runs it, but for its network: a bridge of the tests' own, no routes, no Services.

So it can run beside whatever else this machine does. ``python bridge_agent.py CONFIG BRIDGE SUBNET``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from picluster_agent import __main__ as program
from picluster_agent.agent import Agent
from picluster_agent.network.cni import Cni


class BridgeNetwork:
    """Implements ``picluster_agent.network.Network`` with CNI's ``bridge`` and ``host-local`` alone."""

    def __init__(self, directory: Path, bridge: str, subnet: str) -> None:
        self._cni = Cni(directory / "net.d", directory / "cni")
        (directory / "net.d").mkdir(parents=True, exist_ok=True)
        ipam = {"type": "host-local", "dataDir": str(directory / "cni" / "addresses"), "ranges": [[{"subnet": subnet}]]}
        plugin = {"type": "bridge", "bridge": bridge, "isDefaultGateway": True, "ipam": ipam}
        conflist = {"cniVersion": "1.0.0", "name": "test", "plugins": [plugin]}
        (directory / "net.d" / "test.conflist").write_text(json.dumps(conflist))

    async def start(self) -> None: ...

    def set_pod_cidr(self, cidr: str) -> None: ...

    async def attach(self, pod_uid: str, namespace: str, name: str, netns_path: str) -> str:
        return await self._cni.add(pod_uid, namespace, name, netns_path)

    async def detach(self, pod_uid: str, namespace: str, name: str, netns_path: str | None) -> None:
        await self._cni.delete(pod_uid, namespace, name, netns_path)

    async def ready(self) -> tuple[bool, str]:
        return True, ""

    async def close(self) -> None: ...


if __name__ == "__main__":
    config, bridge, subnet = sys.argv[1:]
    program.Agent = lambda loaded: Agent(loaded, network=BridgeNetwork(loaded.run_dir, bridge, subnet))  # type: ignore
    sys.exit(program.main(["--config", config]))
