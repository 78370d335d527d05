"""A lease kept fresh: how a node says that it lives, twice a second, for the price of one small PUT.

The renewer remembers the lease as the server last returned it, so a renewal is one request. When somebody else wrote it
(Conflict) it is read again; when it is gone (a namespace wiped, a store restored) it is made again. A failed renewal is
told to ``on_result`` and tried again at the next beat; the beat does not drift, and no try outlives a few seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from picluster.api.errors import ApiError
from picluster.api.meta import now_micro
from picluster.api.resources import LEASES
from picluster.api.types import Object
from picluster.client.transport import Client, TransportError

log = logging.getLogger(__name__)

TRY_MIN_S = 3.0
"""Given up sooner, a busy server would get a new TLS handshake to do for every try."""
TRY_BEATS = 2

Failure = ApiError | TransportError


class LeaseRenewer:
    """Renews ``namespace/name`` every ``interval_s`` in the name of ``holder``.

    ``owner`` is an owner reference for the lease (a node's, so that it goes with its node). ``on_result`` hears of
    every try: ``None`` for a renewal, else what went wrong.
    """

    def __init__(
        self,
        client: Client,
        *,
        name: str,
        holder: str,
        interval_s: float,
        duration_s: int,
        namespace: str = "kube-node-lease",
        owner: Object | None = None,
        on_result: Callable[[Failure | None], None] | None = None,
    ) -> None:
        self._client = client
        self._clock = client.clock
        self._namespace = namespace
        self._name = name
        self._holder = holder
        self._interval_s = interval_s
        self._try_s = max(TRY_MIN_S, TRY_BEATS * interval_s)
        self._duration_s = duration_s
        self._owner = owner
        self._on_result = on_result
        self._lease: Object | None = None
        self._failures = 0

    async def run(self) -> None:
        """Renew until cancelled."""
        due_s = self._clock.monotonic()
        while True:
            await self._beat()
            due_s = max(due_s + self._interval_s, self._clock.monotonic())
            await self._clock.sleep(due_s - self._clock.monotonic())

    async def renew(self) -> None:
        """One renewal, now. Raises ``ApiError`` or ``TransportError``."""
        if self._lease is None:
            self._lease = await self._read_or_create()
        try:
            self._lease = await self._put(self._lease)
        except ApiError as error:
            self._lease = None
            if error.code not in (404, 409):
                raise
            self._lease = await self._put(await self._read_or_create())

    async def _beat(self) -> None:
        failure: Failure | None = None
        try:
            await self.renew()
        except (ApiError, TransportError) as error:
            failure = error
        self._log(failure)
        if self._on_result is not None:
            self._on_result(failure)

    def _log(self, failure: Failure | None) -> None:
        if failure is None:
            if self._failures:
                log.info("lease %s renewed again after %d failures", self._name, self._failures)
            self._failures = 0
            return
        self._failures += 1
        if self._failures & (self._failures - 1) == 0:  # the 1st, 2nd, 4th, 8th, …
            log.warning("lease %s was not renewed (%d in a row): %s", self._name, self._failures, failure)

    async def _read_or_create(self) -> Object:
        try:
            return await self._client.get(LEASES, self._name, namespace=self._namespace, timeout_s=self._try_s)
        except ApiError as error:
            if error.code != 404:
                raise
        lease = self._renewed({"metadata": {"name": self._name, "namespace": self._namespace}})
        return await self._client.create(LEASES, lease, timeout_s=self._try_s)

    async def _put(self, lease: Object) -> Object:
        return await self._client.update(LEASES, self._renewed(lease), timeout_s=self._try_s)

    def _renewed(self, lease: Object) -> Object:
        spec = dict(lease.get("spec") or {})
        if spec.get("holderIdentity") != self._holder:
            spec["acquireTime"] = now_micro(self._clock.now())
        spec |= {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": self._duration_s,
            "renewTime": now_micro(self._clock.now()),
        }
        metadata = dict(lease["metadata"])
        if self._owner is not None and not metadata.get("ownerReferences"):
            metadata["ownerReferences"] = [self._owner]
        return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, **lease, "metadata": metadata, "spec": spec}
