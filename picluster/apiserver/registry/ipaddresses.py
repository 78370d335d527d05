"""IPAddress objects: every cluster IP of a Service has one; and ServiceCIDRs say where cluster IPs are from (KEP-1880).

The allocator's books in memory decide; the objects show them, and keep others from giving the same address away. An
address is named before its Service is written and freed after it is gone, so that a crash between the two leaves an
object too many, which the next start removes, and never one too few for long: missing ones are made now and then.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import orjson

from picluster.api import errors, meta, strategy
from picluster.api.resources import IP_ADDRESSES, SERVICE_CIDRS, SERVICES
from picluster.api.types import Object
from picluster.apiserver.cache.history import Change
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.registry.registry import Registry
from picluster.apiserver.registry.services import ServiceAllocator
from picluster.storage.backend import RevisionMismatch, StorageError

FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"
MANAGED_BY_LABEL = "ipaddress.kubernetes.io/managed-by"
MANAGER = "ipallocator.k8s.io"
REPAIR_INTERVAL_S = 600.0
REPAIR_GRACE_S = 60.0

log = logging.getLogger(__name__)


def follow(registry: Registry) -> None:
    """Tell the allocator of ranges and named addresses, now and whenever they change."""
    for resource, on_change in ((SERVICE_CIDRS, _on_range), (IP_ADDRESSES, _on_address)):
        collection = registry.store.cache.collection(resource)
        listener = _listener(registry.services, on_change)
        for key, entry in collection.entries.items():
            listener(Change(0, key, None, entry))
        collection.listeners.append(listener)


@asynccontextmanager
async def reserved(registry: Registry, service: Object, old: Object | None, *, dry_run: bool) -> AsyncIterator[None]:
    """Complete ``service`` with addresses and ports, which are its own if the block, which writes it, ends well.

    Raises ``ApiError`` 422 if one that it asks for is taken.
    """
    reservation = registry.services.reserve(service, old)
    taken = [] if dry_run else list(reservation.taken.addresses)
    try:
        await _name(registry, service, taken)
        yield
    except (errors.ApiError, RevisionMismatch, StorageError):
        reservation.cancel()
        await _free(registry, service, taken)
        raise
    if dry_run:
        reservation.cancel()
    else:
        reservation.keep()
        await _free(registry, service, reservation.given_up.addresses)


async def release(registry: Registry, service: Object) -> None:
    """Take back what a deleted Service held."""
    held = registry.services.holding(service)
    registry.services.release(held)
    await _free(registry, service, held.addresses)


async def _name(registry: Registry, service: Object, numbers: Iterable[int]) -> None:
    """Make the objects of newly taken addresses; raises ``ApiError`` 422 if one exists."""
    for number in numbers:
        address = strategy.prepare_create(
            IP_ADDRESSES, _object(number, service), meta.now_rfc3339(registry.clock.now())
        )
        try:
            await registry.store.create(IP_ADDRESSES, address)
        except errors.ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            raise _already_allocated(service, address["metadata"]["name"]) from None


async def _free(registry: Registry, service: Object, numbers: Iterable[int]) -> None:
    """Delete the objects of addresses that ``service`` has no more; those of somebody else stay."""
    for number in numbers:
        entry = registry.store.cache.get(IP_ADDRESSES, "", str(ipaddress.ip_address(number)))
        if entry is not None and _parent(entry) == _reference(service):
            await _delete(registry, entry)


async def keep_right(registry: Registry) -> None:
    """Repair now and then, until cancelled: somebody may delete an object whose address is in use."""
    while True:
        await registry.clock.sleep(REPAIR_INTERVAL_S)
        try:
            await repair(registry, grace_s=REPAIR_GRACE_S)
        except (errors.ApiError, StorageError) as error:
            log.warning("the objects of cluster IPs are not repaired, and looked at again later: %s", error)


async def repair(registry: Registry, *, grace_s: float = 0.0) -> None:
    """Give each cluster IP its object, and leave no object of ours without its Service.

    An object younger than ``grace_s`` may be that of a Service which is just being written.
    """
    settled_s = registry.clock.now() - grace_s
    held: dict[int, Object] = {}
    for entry in list(registry.store.cache.collection(SERVICES).entries.values()):
        service = orjson.loads(entry.wire)
        held.update(dict.fromkeys(registry.services.holding(service).addresses, service))
    for entry in list(registry.store.cache.collection(IP_ADDRESSES).entries.values()):
        address = orjson.loads(entry.wire)
        service = held.pop(int(ipaddress.ip_address(address["metadata"]["name"])), None)
        ours = (address["metadata"].get("labels") or {}).get(MANAGED_BY_LABEL) == MANAGER
        settled = meta.parse_time(address["metadata"]["creationTimestamp"]) <= settled_s
        if ours and settled and (service is None or address["spec"]["parentRef"] != _reference(service)):
            await _delete(registry, entry)
            if service is not None:
                held[int(ipaddress.ip_address(address["metadata"]["name"]))] = service
    for number, service in held.items():
        await _name(registry, service, [number])


def _listener(
    allocator: ServiceAllocator, on_change: Callable[[ServiceAllocator, str, Entry | None], None]
) -> Callable[[Change], None]:
    return lambda change: on_change(allocator, change.key.rpartition("/")[2], change.new)


def _on_range(allocator: ServiceAllocator, key: str, entry: Entry | None) -> None:
    cidrs: list[str] = []
    if entry is not None:
        servicecidr = orjson.loads(entry.wire)
        if meta.condition_is(servicecidr, "Ready") and not servicecidr["metadata"].get("deletionTimestamp"):
            cidrs = servicecidr["spec"]["cidrs"]
    allocator.set_ranges(key, cidrs)


def _on_address(allocator: ServiceAllocator, key: str, entry: Entry | None) -> None:
    number = int(ipaddress.ip_address(key))
    if entry is None:
        allocator.named.discard(number)
    else:
        allocator.named.add(number)


async def _delete(registry: Registry, entry: Entry) -> None:
    try:
        await registry.store.delete(IP_ADDRESSES, entry)
    except RevisionMismatch:
        return  # somebody was faster: it is gone, or it is somebody else's by now


def _object(number: int, service: Object) -> Object:
    address = ipaddress.ip_address(number)
    return {
        "metadata": {
            "name": str(address),
            "labels": {FAMILY_LABEL: f"IPv{address.version}", MANAGED_BY_LABEL: MANAGER},
        },
        "kind": IP_ADDRESSES.kind,
        "apiVersion": IP_ADDRESSES.api_version,
        "spec": {"parentRef": _reference(service)},
    }


def _reference(service: Object) -> Object:
    metadata = service["metadata"]
    return {"resource": SERVICES.plural, "namespace": metadata["namespace"], "name": metadata["name"]}


def _parent(entry: Entry) -> Object:
    parent: Object = (orjson.loads(entry.wire).get("spec") or {}).get("parentRef") or {}
    return {field: parent[field] for field in ("resource", "namespace", "name") if field in parent}


def _already_allocated(service: Object, address: str) -> errors.ApiError:
    detail = f"failed to allocate IP {address}: provided IP is already allocated"
    failure = errors.invalid_value("spec.clusterIPs", [address], detail)
    return errors.invalid("", SERVICES.kind, service["metadata"]["name"], [failure])
