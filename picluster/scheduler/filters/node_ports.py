"""A host port is given out once per address and protocol (NodePorts)."""

from __future__ import annotations

from picluster.scheduler.model import HostPort, NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.world import World

ANY = "0.0.0.0"  # noqa: S104 - the wildcard address, as pods write it
_REFUSAL = Refusal(("node(s) didn't have free ports for the requested pod ports",))


def check(pod: PodInfo, node: NodeInfo, world: World) -> Refusal | None:
    if not pod.host_ports or not node.ports:
        return None
    taken = any(_clash(wanted, used) for wanted in pod.host_ports for used in node.ports)
    return _REFUSAL if taken else None


def _clash(one: HostPort, other: HostPort) -> bool:
    return one[1:] == other[1:] and (one[0] == other[0] or ANY in (one[0], other[0]))
