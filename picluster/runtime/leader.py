"""One of several candidates leads, by a Lease: client-go's ``leaderelection``, with its timings.

A candidate takes a lease that nobody holds, or whose record it has seen unchanged for a whole lease duration on its
own clock, so clocks need not agree. The leader renews every ``retry_s``; when it has not managed for
``renew_deadline_s`` it stops leading, which is before anybody else may start. On a clean stop it gives the lease back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from picluster.api.errors import ApiError
from picluster.api.meta import now_micro
from picluster.api.resources import LEASES
from picluster.api.types import Object
from picluster.client import Client, TransportError
from picluster.util.clock import SYSTEM_CLOCK, Clock

log = logging.getLogger(__name__)

LEASE_DURATION_S = 15.0
RENEW_DEADLINE_S = 10.0
RETRY_S = 2.0
REQUEST_MIN_S = 0.1
RELEASE_TIMEOUT_S = 2.0


class LeadershipLost(Exception):
    """The lease could not be renewed in time; whatever led has been stopped."""


class LeaderElector:
    """``run(lead)`` campaigns, and runs ``lead`` while this candidate holds ``namespace/name``."""

    def __init__(
        self,
        client: Client,
        name: str,
        identity: str,
        *,
        namespace: str = "kube-system",
        lease_duration_s: float = LEASE_DURATION_S,
        renew_deadline_s: float = RENEW_DEADLINE_S,
        retry_s: float = RETRY_S,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not lease_duration_s > renew_deadline_s > retry_s > 0:
            raise ValueError("a lease must outlast its renew deadline, and that its retries")
        self._client = client
        self._clock = clock
        self._name = name
        self._namespace = namespace
        self._identity = identity
        self._lease_duration_s = lease_duration_s
        self._renew_deadline_s = renew_deadline_s
        self._retry_s = retry_s
        self._seen: Object | None = None
        self._seen_at_s = 0.0

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Campaign, then lead until ``lead`` returns or this is cancelled; raises ``LeadershipLost``."""
        while not await self._try(self._renew_deadline_s):
            await self._clock.sleep(self._retry_s)
        log.info("%s leads %s", self._identity, self._name)
        leading = asyncio.ensure_future(lead())
        renewing = asyncio.ensure_future(self._keep())
        try:
            await asyncio.wait((leading, renewing), return_when=asyncio.FIRST_COMPLETED)
            if leading.done():
                leading.result()
                return
            raise LeadershipLost(f"{self._identity} lost {self._name}: not renewed for {self._renew_deadline_s:.0f} s")
        finally:
            leading.cancel()
            renewing.cancel()
            await asyncio.gather(leading, renewing, return_exceptions=True)
            await self._release()

    async def _keep(self) -> None:
        """Renew until that has failed for too long."""
        renewed_s = self._clock.monotonic()
        while (left_s := renewed_s + self._renew_deadline_s - self._clock.monotonic()) > 0:
            await self._clock.sleep(min(self._retry_s, left_s))
            tried_s = self._clock.monotonic()
            if await self._try(renewed_s + self._renew_deadline_s - tried_s):
                renewed_s = tried_s

    async def _try(self, budget_s: float) -> bool:
        """Take or renew the lease, once, within ``budget_s``."""
        try:
            return await self._take(max(budget_s / 2, REQUEST_MIN_S))
        except ApiError as error:
            if error.code != 409:  # somebody was quicker
                log.warning("lease %s: %s", self._name, error)
        except TransportError as error:
            log.warning("lease %s: %s", self._name, error)
        return False

    async def _take(self, timeout_s: float) -> bool:
        try:
            lease = await self._client.get(LEASES, self._name, namespace=self._namespace, timeout_s=timeout_s)
        except ApiError as error:
            if error.code != 404:
                raise
            fresh: Object = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.kind,
                "metadata": {"name": self._name, "namespace": self._namespace},
            }
            self._see(await self._client.create(LEASES, self._held(fresh), timeout_s=timeout_s))
            return True
        if self._seen is None or self._seen.get("spec") != lease.get("spec"):
            self._see(lease)
        holder = (lease.get("spec") or {}).get("holderIdentity")
        if holder and holder != self._identity and not self._expired(lease):
            return False
        self._see(await self._client.update(LEASES, self._held(lease), timeout_s=timeout_s))
        return True

    def _see(self, lease: Object) -> None:
        self._seen = lease
        self._seen_at_s = self._clock.monotonic()

    def _expired(self, lease: Object) -> bool:
        duration_s = float(lease["spec"].get("leaseDurationSeconds") or self._lease_duration_s)
        return self._clock.monotonic() - self._seen_at_s >= duration_s

    def _held(self, lease: Object) -> Object:
        spec = dict(lease.get("spec") or {})
        now = now_micro(self._clock.now())
        if spec.get("holderIdentity") != self._identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + (1 if "renewTime" in spec else 0)
        spec |= {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._lease_duration_s)),
            "renewTime": now,
        }
        return {**lease, "spec": spec}

    async def _release(self) -> None:
        """Give the lease back, so that the next leader need not wait; a failure only costs that wait."""
        if self._seen is None or (self._seen.get("spec") or {}).get("holderIdentity") != self._identity:
            return
        spec = self._seen["spec"] | {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "renewTime": now_micro(self._clock.now()),
        }
        try:
            await self._client.update(LEASES, {**self._seen, "spec": spec}, timeout_s=RELEASE_TIMEOUT_S)
        except (ApiError, TransportError) as error:
            log.info("lease %s was not given back: %s", self._name, error)
        self._seen = None
