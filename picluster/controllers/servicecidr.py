"""ServiceCIDRs: ready when they have their finalizer, and held back while a cluster IP would lose its range.

``pkg/controller/servicecidrs``. A range that another one contains may always go; otherwise it goes once no IPAddress is
left that only it contains, and after a while, so that every allocator has heard of it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from picluster.api.errors import ApiError
from picluster.api.meta import key_of, now_rfc3339, parse_time, set_condition
from picluster.api.resources import IP_ADDRESSES, SERVICE_CIDRS
from picluster.api.types import Object
from picluster.client import PatchType
from picluster.runtime import Controller, Manager

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
DELETION_GRACE_S = 10.0
READY: Object = {"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready"}
IN_USE: Object = {
    "type": "Ready",
    "status": "False",
    "reason": "Terminating",
    "message": "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new"
    " ServiceCIDR",
}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ServiceCidrController(Controller):
    """Keys are names of ServiceCIDRs."""

    name = "service-cidrs-controller"
    workers = 1

    def setup(self, manager: Manager) -> None:
        self._ranges = manager.informer(SERVICE_CIDRS)
        self._addresses = manager.informer(IP_ADDRESSES)
        self._ranges.add_handler(self._on_range)
        self._addresses.add_handler(self._on_address)

    def _on_range(self, old: Object | None, new: Object | None) -> None:
        self.enqueue(old, new)
        self._look_again()

    def _on_address(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._look_again()

    def _look_again(self) -> None:
        """Whatever comes or goes may set a range free."""
        for servicecidr in self._ranges.values():
            if servicecidr["metadata"].get("deletionTimestamp"):
                self.queue.add(key_of(servicecidr))

    async def reconcile(self, key: str) -> float | None:
        servicecidr = self._ranges.get(key)
        if servicecidr is None:
            return None
        deleted_at = servicecidr["metadata"].get("deletionTimestamp")
        if deleted_at is None:
            await self._finalizers(servicecidr, [*(_finalizers(servicecidr)), FINALIZER])
            ready = next((c for c in _conditions(servicecidr) if c.get("type") == "Ready"), {})
            if ready.get("status") != "True":
                await self._note(servicecidr, READY)
            return None
        if not may_go(servicecidr, self._ranges.values(), self._addresses.values()):
            await self._note(servicecidr, IN_USE)
            return None
        left_s = parse_time(deleted_at) + DELETION_GRACE_S - self.clock.now()
        if left_s > 0:
            return left_s
        await self._finalizers(servicecidr, [each for each in _finalizers(servicecidr) if each != FINALIZER])
        return None

    async def _finalizers(self, servicecidr: Object, wanted: list[str]) -> None:
        wanted = list(dict.fromkeys(wanted))
        if wanted != _finalizers(servicecidr):
            metadata = {"resourceVersion": servicecidr["metadata"]["resourceVersion"], "finalizers": wanted}
            await self._patch(servicecidr, {"metadata": metadata})

    async def _note(self, servicecidr: Object, condition: Object) -> None:
        noted = [dict(each) for each in _conditions(servicecidr)]
        if set_condition(noted, condition, now_rfc3339(self.clock.now())):
            await self._patch(servicecidr, {"status": {"conditions": noted}}, subresource="status")

    async def _patch(self, servicecidr: Object, patch: Object, subresource: str | None = None) -> None:
        try:
            await self.client.patch(
                SERVICE_CIDRS, servicecidr["metadata"]["name"], patch, kind=PatchType.MERGE, subresource=subresource
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise


def may_go(servicecidr: Object, ranges: Iterable[Object], addresses: Iterable[Object]) -> bool:
    """Whether every cluster IP of a range that is being deleted is in another range too. PURE."""
    own = _networks(servicecidr)
    others = [
        network
        for other in ranges
        if other["metadata"]["name"] != servicecidr["metadata"]["name"]
        and not other["metadata"].get("deletionTimestamp")
        for network in _networks(other)
    ]
    for item in addresses:
        address = ipaddress.ip_address(item["metadata"]["name"])
        if any(address in network for network in own) and not any(address in network for network in others):
            return False
    return True


def _networks(servicecidr: Object) -> list[Network]:
    return [ipaddress.ip_network(cidr) for cidr in (servicecidr.get("spec") or {}).get("cidrs") or ()]


def _finalizers(servicecidr: Object) -> list[str]:
    return servicecidr["metadata"].get("finalizers") or []


def _conditions(servicecidr: Object) -> list[Object]:
    return (servicecidr.get("status") or {}).get("conditions") or []
