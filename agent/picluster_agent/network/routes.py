"""Host routes that make the pod network flat: one to each other node's pod range, through that node.

``desired`` is pure; ``RouteTable`` reads and changes the kernel's table with iproute2. Ours carry their own protocol
number, so that a stale one is recognised after a restart and nobody else's is ever touched.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass

from picluster.api.types import Object

PROTOCOL = "142"
COMMAND_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """``via`` is the next hop; without it ``device`` and ``source`` say how to send, or the route is unreachable."""

    destination: str
    via: str = ""
    device: str = ""
    source: str = ""

    def arguments(self) -> str:
        if self.via:
            return f"{self.destination} via {self.via}"
        if self.device:
            return f"{self.destination} dev {self.device} src {self.source}"
        return f"unreachable {self.destination}"


def peers(nodes: Iterable[Object], node_name: str) -> list[Route]:
    """A route to the pod range of every other node that has a range and an address."""
    routes = []
    for node in nodes:
        cidr = (node.get("spec") or {}).get("podCIDR")
        addresses = (node.get("status") or {}).get("addresses") or []
        ip = next((entry.get("address") for entry in addresses if entry.get("type") == "InternalIP"), None)
        if cidr and ip and node["metadata"]["name"] != node_name:
            routes.append(Route(cidr, via=ip))
    return routes


def desired(
    nodes: Iterable[Object], node_name: str, cluster_cidr: str, service_cidr: str, device: str, node_ip: str
) -> set[Route]:
    """All of this node's routes.

    The rest of the pod range is unreachable, so that a packet to a pod that is nowhere fails at once instead of
    leaving by the default route. The service range points on-link at the node's own device, so that the output hook
    sees the node's own packets to Services, also where there is no default route; none ever leaves that way, the
    ruleset rejects the rest.
    """
    return {
        *peers(nodes, node_name),
        Route(cluster_cidr),
        Route(service_cidr, device=device, source=node_ip),
    }


def changes(current: set[Route], wanted: set[Route]) -> list[str]:
    """The ``ip -batch`` lines from ``current`` to ``wanted``; a changed next hop is replaced without a gap."""
    kept = {route.destination for route in wanted}
    stale = sorted(route for route in current - wanted if route.destination not in kept)
    return [
        *(f"route replace {route.arguments()} proto {PROTOCOL}" for route in sorted(wanted - current)),
        *(f"route del {route.arguments()} proto {PROTOCOL}" for route in stale),
    ]


class RouteError(Exception):
    """iproute2 refused; the message is its own."""


class RouteTable:
    async def device_of(self, ip: str) -> str:
        """The name of the interface that has the address ``ip``."""
        for link in json.loads(await _ip("-j", "-4", "addr", "show")):
            if any(entry.get("local") == ip for entry in link.get("addr_info", [])):
                return str(link["ifname"])
        raise RouteError(
            f"no interface has the node's address {ip}; set node_ip in agent.yaml to one of this machine's"
        )

    async def current(self) -> set[Route]:
        found = set()
        for entry in json.loads(await _ip("-j", "-4", "route", "show", "proto", PROTOCOL) or "[]"):
            destination = entry["dst"] if "/" in entry["dst"] else f"{entry['dst']}/32"
            if entry.get("type") == "unreachable":
                found.add(Route(destination))
            elif "gateway" in entry:
                found.add(Route(destination, via=entry["gateway"]))
            else:
                found.add(Route(destination, device=entry.get("dev", ""), source=entry.get("prefsrc", "")))
        return found

    async def apply(self, lines: list[str]) -> None:
        if lines:
            await _ip("-4", "-force", "-batch", "-", stdin="\n".join(lines) + "\n")


async def _ip(*arguments: str, stdin: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        "ip",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            out, err = await process.communicate(stdin.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise RouteError(f"ip {' '.join(arguments)} did not end within {COMMAND_TIMEOUT_S:.0f} s") from None
    if process.returncode != 0:
        raise RouteError(err.decode(errors="replace").strip())
    return out.decode()
