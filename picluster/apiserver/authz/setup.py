"""Authorization as a whole: Kubernetes' authorizers in their order, and what hangs on them."""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.resources import Resource
from picluster.apiserver.authz.allocation import Allocation
from picluster.apiserver.authz.chain import AlwaysAllowedPaths, Chain, Masters
from picluster.apiserver.authz.escalation import Escalation
from picluster.apiserver.authz.gate import Gate
from picluster.apiserver.authz.graph import NodeGraph
from picluster.apiserver.authz.node import NodeAuthorizer
from picluster.apiserver.authz.paramaccess import ParamAccess
from picluster.apiserver.authz.rbac import Rbac
from picluster.apiserver.authz.reviews import Reviews
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.registry.registry import Registry


class Authorization:
    """``chain`` answers anybody's question, ``gate`` lets requests pass; ``load`` once the cache is filled."""

    def __init__(self, cache: WatchCache) -> None:
        self.graph = NodeGraph(cache)
        self._rbac = Rbac(cache)
        self.chain = Chain((Masters(), AlwaysAllowedPaths(), NodeAuthorizer(self.graph), self._rbac))
        self.gate = Gate(self.chain)

    def load(self) -> None:
        self._rbac.load()

    def install(self, registry: Registry, serving: Iterable[Resource]) -> None:
        """Answer reviews, and guard the kinds that grant, or that read what others hold; ``serving`` is what may be."""
        Reviews(self.chain).install(registry)
        Escalation(self.chain, self._rbac).install(registry)
        Allocation(self.chain).install(registry)
        ParamAccess(self.chain, registry, serving).install()
