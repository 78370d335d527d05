"""The network of one node, composed: CNI for pods, routes to the other nodes, Services."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from picluster.api.resources import NODES
from picluster.api.types import Object
from picluster.client.informer import Informer
from picluster.client.transport import Client
from picluster.util.backoff import Backoff
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks
from picluster_agent.network import routes
from picluster_agent.network.cni import Cni
from picluster_agent.network.nft import Nft
from picluster_agent.network.proxy import ServiceProxy
from picluster_agent.network.ruleset import Ranges

log = logging.getLogger(__name__)
SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/bridge/bridge-nf-call-iptables": "1",
}
"""Without the first no pod leaves its node; without the second a reply between two pods of one node passes the bridge
unseen, and connections through a Service between them hang."""


class NodeNetwork:
    """Implements ``Network``. ``node_ip`` must be an address of this machine."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        node_name: str,
        node_ip: str,
        cluster_cidr: str,
        service_cidr: str,
        cni: Cni | None = None,
    ) -> None:
        self._clock = clock
        self._node_name = node_name
        self._node_ip = node_ip
        self._ranges = Ranges(cluster_cidr, service_cidr)
        self._cni = cni or Cni()
        self._nodes = Informer(client, NODES, transform=_trimmed)
        self._proxy = ServiceProxy(client, Nft(), node_name, self._ranges, clock)
        self._routes = routes.RouteTable()
        self._dirty = asyncio.Event()
        self._tasks = Tasks("network")
        self._pod_cidr = ""

    async def start(self) -> None:
        _set_sysctls()
        self._nodes.add_handler(self._on_node)
        self._tasks.spawn(self._nodes.run(), "nodes")
        self._tasks.spawn(self._follow_routes(), "routes")
        self._proxy.start()

    def set_pod_cidr(self, cidr: str) -> None:
        if cidr != self._pod_cidr:
            self._pod_cidr = cidr
            self._cni.write_default(cidr)
            self._proxy.set_pod_cidr(cidr)

    async def attach(self, pod_uid: str, namespace: str, name: str, netns_path: str) -> str:
        return await self._cni.add(pod_uid, namespace, name, netns_path)

    async def detach(self, pod_uid: str, namespace: str, name: str, netns_path: str | None) -> None:
        await self._cni.delete(pod_uid, namespace, name, netns_path)

    async def ready(self) -> tuple[bool, str]:
        if not self._pod_cidr:
            return False, "the node has no pod range (spec.podCIDR) yet"
        if not self._cni.configured():
            return False, "no CNI network is configured"
        return True, ""

    async def close(self) -> None:
        await self._tasks.close()
        await self._proxy.close()

    def _on_node(self, old: Object | None, new: Object | None) -> None:
        if old != new:
            self._dirty.set()

    async def _follow_routes(self) -> None:
        await self._nodes.wait_synced()
        backoff = Backoff(initial_s=0.2, max_s=30.0)
        self._dirty.set()
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await self._sync_routes()
                backoff.reset()
            except routes.RouteError as error:
                self._dirty.set()
                delay_s = backoff.next_s()
                log.error("routes to the other nodes' pods, trying again in %.1f s: %s", delay_s, error)
                await self._clock.sleep(delay_s)

    async def _sync_routes(self) -> None:
        device = await self._routes.device_of(self._node_ip)
        wanted = routes.desired(
            self._nodes.values(),
            self._node_name,
            self._ranges.cluster_cidr,
            self._ranges.service_cidr,
            device,
            self._node_ip,
        )
        await self._routes.apply(routes.changes(await self._routes.current(), wanted))


def _trimmed(node: Object) -> Object:
    """What routes need of a node, so that heartbeats cost neither memory nor work."""
    addresses = (node.get("status") or {}).get("addresses") or []
    return {
        "metadata": {key: node["metadata"][key] for key in ("name", "resourceVersion")},
        "spec": {"podCIDR": (node.get("spec") or {}).get("podCIDR")},
        "status": {"addresses": addresses},
    }


def _set_sysctls() -> None:
    for name, value in SYSCTLS.items():
        path = Path("/proc/sys") / name
        try:
            if path.read_text().strip() != value:
                path.write_text(value)
        except OSError as error:
            log.error("cannot set %s to %s: %s; pods on this node may not reach each other", name, value, error)
