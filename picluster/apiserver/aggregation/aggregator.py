"""Aggregation as a whole: composed, started with the server, stopped with it."""

from __future__ import annotations

from picluster.apiserver.aggregation.availability import Availability
from picluster.apiserver.aggregation.backends import Backends
from picluster.apiserver.aggregation.delegate import Delegate
from picluster.apiserver.aggregation.documents import ForeignDocuments
from picluster.apiserver.aggregation.figures import AvailabilityFigures
from picluster.apiserver.aggregation.local import LocalServices
from picluster.apiserver.aggregation.services import ApiServices
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.registry.registry import Registry
from picluster.apiserver.relay import Relay
from picluster.apiserver.webhooks.trust import Identity, Trust
from picluster.util.tasks import Tasks


class Aggregator:
    """``load`` it with the watch cache, ``start`` it once the server has its own objects; safe to ``close`` alone."""

    def __init__(
        self, registry: Registry, cache: WatchCache, catalog: Catalog, relay: Relay, identity: Identity | None
    ) -> None:
        self.services = ApiServices(cache, catalog)
        self._backends = Backends(cache, Trust(identity))
        self.documents = ForeignDocuments(self.services, self._backends, catalog)
        self.delegate = Delegate(self.services, self._backends, relay)
        self._local = LocalServices(registry, self.services, catalog)
        self.figures = AvailabilityFigures(self.services)
        self._availability = Availability(registry, self.services, self._backends, self.documents, self.figures)

    def load(self) -> None:
        """Know the APIServices, and follow them."""
        self.services.start()

    async def start(self, tasks: Tasks) -> None:
        """Have an APIService for all that is served here, and watch who answers of the others."""
        await self._local.start(tasks)
        self._availability.start(tasks)

    def stop(self) -> None:
        self._local.stop()
        self._availability.stop()

    async def close(self) -> None:
        await self._backends.close()
