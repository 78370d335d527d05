"""The node's network: pod addresses by CNI, routes to the other nodes' pods, Services by nftables.

Way in: ``NodeNetwork`` (``manager.py``). What decides is pure (``services``, ``ruleset``, ``routes.desired``); what
touches the kernel is small and apart (``cni``, ``nft``, ``routes.RouteTable``). Nothing in here knows how containers
are run: a pod is a network namespace path.
"""

from __future__ import annotations

from typing import Protocol


class Network(Protocol):
    """What the sync loop needs of the network."""

    async def start(self) -> None:
        """Begin to follow nodes, Services and endpoints; returns at once."""
        ...

    def set_pod_cidr(self, cidr: str) -> None:
        """The node's pod range is known: write the CNI configuration and the routes that need it."""
        ...

    async def attach(self, pod_uid: str, namespace: str, name: str, netns_path: str) -> str:
        """Give the namespace at ``netns_path`` an address and return it; a second call returns the same."""
        ...

    async def detach(self, pod_uid: str, namespace: str, name: str, netns_path: str | None) -> None:
        """Take the address back; safe without ``attach``, and when the namespace is gone (``None``)."""
        ...

    async def ready(self) -> tuple[bool, str]:
        """Whether pods can be attached, and if not, why (the NetworkUnavailable condition's message)."""
        ...

    async def close(self) -> None:
        """Stop following; addresses, routes and rules stay, so that pods keep their network while the agent is away."""
        ...
