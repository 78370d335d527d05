"""Who answers: the condition ``Available`` of APIServices that other servers serve.

Source: ``kube-aggregator/pkg/controllers/status/remote``. Looked at again whenever the APIService, its Service or that
Service's EndpointSlices change, and every ``RECHECK_S``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

import orjson

from picluster.api import errors, meta
from picluster.api.resources import API_SERVICES, ENDPOINT_SLICES, SERVICES
from picluster.api.types import Object
from picluster.apiserver.aggregation.backends import Backends, Unanswered
from picluster.apiserver.aggregation.documents import ForeignDocuments
from picluster.apiserver.aggregation.figures import AvailabilityFigures
from picluster.apiserver.aggregation.services import ApiService, ApiServices
from picluster.apiserver.bootstrap import SELF
from picluster.apiserver.cache.history import Change
from picluster.apiserver.cache.selection import select
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.store import decoded
from picluster.apiserver.registry.update import change_object
from picluster.apiserver.webhooks.resolve import SERVICE_NAME_LABEL
from picluster.runtime.workqueue import QueueClosed, WorkQueue
from picluster.storage.backend import StorageError
from picluster.util.tasks import Tasks

log = logging.getLogger(__name__)

WORKERS = 4
ATTEMPTS = 5
CHECK_TIMEOUT_S = 6.0
CHECK_MAX_BYTES = 4 << 20
RECHECK_S = 30.0
RETRY_MIN_S = 0.1
RETRY_MAX_S = 30.0


class Verdict(NamedTuple):
    status: str
    reason: str
    message: str


PASSED = Verdict("True", "Passed", "all checks passed")
LOCAL = Verdict("True", "Local", "Local APIServices are always available")


class Availability:
    """``start`` it when the watch cache is loaded; safe to ``stop`` without."""

    def __init__(
        self,
        registry: Registry,
        services: ApiServices,
        backends: Backends,
        documents: ForeignDocuments,
        figures: AvailabilityFigures,
    ) -> None:
        self._figures = figures
        self._registry = registry
        self._services = services
        self._backends = backends
        self._documents = documents
        self._queue: WorkQueue[str] = WorkQueue(registry.clock, retry_min_s=RETRY_MIN_S, retry_max_s=RETRY_MAX_S)

    def start(self, tasks: Tasks) -> None:
        self._services.listeners.append(self._queue.add)
        cache = self._registry.store.cache
        cache.collection(SERVICES).listeners.append(self._on_service)
        cache.collection(ENDPOINT_SLICES).listeners.append(self._on_slice)
        for service in self._services:
            self._queue.add(service.name)
        for number in range(WORKERS):
            tasks.spawn(self._work(), f"availability-{number}")

    def stop(self) -> None:
        self._queue.close()

    def _on_service(self, change: Change) -> None:
        if self._services.delegated:
            self._concern(change.key)

    def _on_slice(self, change: Change) -> None:
        if not self._services.delegated:
            return
        for entry in (change.old, change.new):
            if entry is not None and entry.labels:
                self._concern(f"{entry.namespace}/{entry.labels.get(SERVICE_NAME_LABEL, '')}")

    def _concern(self, key: str) -> None:
        for service in self._services.delegated.values():
            if f"{service.namespace}/{service.service}" == key:
                self._queue.add(service.name)

    async def _work(self) -> None:
        while True:
            try:
                name = await self._queue.get()
            except QueueClosed:
                return
            try:
                await self._sync(name)
            except (errors.ApiError, StorageError) as error:
                log.warning("APIService %s: %s", name, error)
                self._queue.add_rate_limited(name)
            except Exception:  # the others go on, whatever one of them says
                log.exception("APIService %s cannot be checked", name)
                self._queue.add_rate_limited(name)
            finally:
                self._queue.done(name)

    async def _sync(self, name: str) -> None:
        service = self._services.get(name)
        if service is None:
            self._queue.forget(name)
            self._documents.forget_gone()
            return
        verdict = LOCAL if service.local else await self._check(service)
        await self._say(name, verdict)
        if verdict.reason == "FailedDiscoveryCheck":
            self._queue.add_rate_limited(name)
            return
        self._queue.forget(name)
        if not service.local:
            self._queue.add_after(name, RECHECK_S)
        if verdict is PASSED:
            await self._documents.refresh(service)

    async def _check(self, service: ApiService) -> Verdict:
        cache, where = self._registry.store.cache, f'service/{service.service} in "{service.namespace}"'
        entry = cache.get(SERVICES, service.namespace, service.service)
        if entry is None:
            return Verdict("False", "ServiceNotFound", f"{where} is not present")
        spec = decoded(entry)["spec"]
        if spec.get("type", "ClusterIP") == "ClusterIP":
            refusal = self._check_endpoints(service, spec, where)
            if refusal is not None:
                return refusal
        return await self._discover(service)

    def _check_endpoints(self, service: ApiService, spec: Object, where: str) -> Verdict | None:
        ports = [port for port in spec.get("ports") or () if port["port"] == service.port]
        if not ports:
            return Verdict("False", "ServicePortError", f"{where} is not listening on port {service.port}")
        selection = select(ENDPOINT_SLICES, service.namespace, f"{SERVICE_NAME_LABEL}={service.service}", "")
        slices = [decoded(each) for each in self._registry.store.cache.collection(ENDPOINT_SLICES).select(selection)]
        if not slices:
            return Verdict("False", "EndpointsNotFound", f"cannot find endpointslices for {where}")
        name = ports[0].get("name") or ""
        named = [each for each in slices if any((port.get("name") or "") == name for port in each.get("ports") or ())]
        if any(each.get("endpoints") for each in named):
            return None
        why = f'endpointslices for {where} have no addresses with port name "{name}"'
        return Verdict("False", "MissingEndpoints", why)

    async def _discover(self, service: ApiService) -> Verdict:
        """Ask a few endpoints at once; one good answer will do."""
        tasks = [asyncio.ensure_future(self._ask(service)) for _ in range(ATTEMPTS)]
        why = ""
        try:
            for answer in asyncio.as_completed(tasks):
                why = await answer
                if not why:
                    return PASSED
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return Verdict("False", "FailedDiscoveryCheck", why)

    async def _ask(self, service: ApiService) -> str:
        """Empty for a good answer, or what is wrong."""
        try:
            await self._backends.get(service, service.path, "application/json", CHECK_TIMEOUT_S, CHECK_MAX_BYTES)
        except Unanswered as error:
            return f"failing or missing response from {service.path}: {error}"
        return ""

    async def _say(self, name: str, verdict: Verdict) -> None:
        """Write the condition, if it says something new."""

        def change(old: Object) -> Object:
            new: Object = orjson.loads(orjson.dumps(old))
            conditions = new.setdefault("status", {}).setdefault("conditions", [])
            found = next((each for each in conditions if each["type"] == "Available"), None)
            if found is None:
                found = {"type": "Available"}
                conditions.append(found)
            if found.get("status") != verdict.status:
                found["lastTransitionTime"] = meta.now_rfc3339(self._registry.clock.now())
            found |= {"status": verdict.status, "reason": verdict.reason, "message": verdict.message}
            return new

        before = self._services.get(name)
        try:
            await change_object(self._registry, Write(SELF, API_SERVICES, "", name, "status"), change)
        except errors.ApiError as error:
            if error.reason != "NotFound":
                raise
            return
        if before is not None and before.available and verdict.status == "False":
            self._figures.lost(name, verdict.reason)
