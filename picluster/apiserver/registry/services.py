"""Addresses and node ports of Services: handed out once each, however many creates run at the same time.

What a Service will hold is taken before it is written, in one step of the event loop, and given back if the write
fails. The books are rebuilt from the live Services at every start. Allocation is by Kubernetes' rules: the first part
of the range is left for addresses that people choose, the rest is drawn at random. Further ranges are those of ready
ServiceCIDRs (KEP-1880); whose IPAddress object exists already is nobody's any more: ``ipaddresses`` tells of both.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import orjson

from picluster.api import errors
from picluster.api.strategy.service import health_checked
from picluster.api.types import Object
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.registry import servicefamilies
from picluster.apiserver.registry.servicefamilies import HEADLESS

NODE_PORTS = range(30000, 32768)
NODE_PORT_TYPES = ("NodePort", "LoadBalancer")
DRAWS_MAX = 64
HEALTH_CHECK = "TCP"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(slots=True)
class Holding:
    """What one Service holds."""

    addresses: set[int] = field(default_factory=set)
    ports: set[tuple[int, str]] = field(default_factory=set)


@dataclass(slots=True)
class Reservation:
    """What a write takes and what it gives up; exactly one of ``keep`` and ``cancel`` ends it."""

    allocator: ServiceAllocator
    taken: Holding
    given_up: Holding

    def keep(self) -> None:
        self.allocator.release(self.given_up)

    def cancel(self) -> None:
        self.allocator.release(self.taken)


class ServiceAllocator:
    def __init__(self, cidr: str, rng: random.Random) -> None:
        self.network: Network = ipaddress.ip_network(cidr)
        self.named: set[int] = set()
        self._further: dict[str, tuple[Network, ...]] = {}
        self._ranges: tuple[Network, ...] = (self.network,)
        self._family = f"IPv{self.network.version}"
        self._rng = rng
        self._addresses: set[int] = set()
        self._ports: set[tuple[int, str]] = set()

    @property
    def first(self) -> str:
        """The address of the ``kubernetes`` Service."""
        return str(self.network.network_address + 1)

    def set_ranges(self, name: str, cidrs: Sequence[str]) -> None:
        """What ServiceCIDR ``name`` adds to the range that the server was started with; nothing, if it is not ready."""
        networks = tuple(map(ipaddress.ip_network, cidrs))
        self._further[name] = tuple(found for found in networks if found.version == self.network.version)
        further = [found for name in sorted(self._further) for found in self._further[name]]
        self._ranges = tuple(dict.fromkeys((self.network, *further)))

    def load(self, services: Iterable[Entry]) -> None:
        """Take over what live Services hold."""
        for entry in services:
            held = self.holding(orjson.loads(entry.wire))
            self._addresses |= held.addresses
            self._ports |= held.ports

    def holding(self, service: Object) -> Holding:
        """What a stored Service holds; also an address whose range has gone since."""
        held, spec = Holding(), service.get("spec") or {}
        if spec.get("type") == "ExternalName":
            return held
        for address in spec.get("clusterIPs") or ():
            if address != HEADLESS:
                held.addresses.add(int(ipaddress.ip_address(address)))
        held.ports.update(_node_ports(spec))
        return held

    def release(self, held: Holding) -> None:
        self._addresses -= held.addresses
        self._ports -= held.ports

    def reserve(self, service: Object, old: Object | None) -> Reservation:
        """Complete the addresses and ports of ``service``, in place; raises ``ApiError`` 422 if one is taken."""
        before = self.holding(old) if old is not None else Holding()
        taken = Holding()
        servicefamilies.settle(service, old, self._family)
        try:
            self._reserve_addresses(service, before, taken)
            self._reserve_ports(service, before, taken)
        except errors.ApiError:
            self.release(taken)
            raise
        after = self.holding(service)
        given_up = Holding(before.addresses - after.addresses, before.ports - after.ports)
        return Reservation(self, taken, given_up)

    def _reserve_addresses(self, service: Object, before: Holding, taken: Holding) -> None:
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                spec.pop(name, None)
            return
        wanted = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if wanted == HEADLESS:
            spec["clusterIP"], spec["clusterIPs"] = HEADLESS, [HEADLESS]
            return
        number = self._chosen(service, wanted, before) if wanted else self._draw(service)
        if number not in before.addresses:
            self._addresses.add(number)
            taken.addresses.add(number)
        spec["clusterIP"] = str(ipaddress.ip_address(number))
        spec["clusterIPs"] = [spec["clusterIP"]]

    def _chosen(self, service: Object, wanted: str, before: Holding) -> int:
        address = ipaddress.ip_address(wanted)
        why, network = "", self._range_of(address)
        if network is None or address in (network.network_address, network.broadcast_address):
            ranges = ", ".join(map(str, self._ranges))
            why = f"the provided IP ({wanted}) is not in the valid range. The range of valid IPs is {ranges}"
        elif self._taken(int(address)) and int(address) not in before.addresses:
            why = "provided IP is already allocated"
        if why:
            detail = f"failed to allocate IP {wanted}: {why}"
            raise _invalid(service, errors.invalid_value("spec.clusterIPs", [wanted], detail))
        return int(address)

    def _range_of(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Network | None:
        return next((network for network in self._ranges if address in network), None)

    def _taken(self, number: int) -> bool:
        return number in self._addresses or number in self.named

    def _draw(self, service: Object) -> int:
        """A free address of the first range that has one."""
        for network in self._ranges:
            number = self._draw_from(network)
            if number is not None:
                return number
        name = service["metadata"].get("name", "")
        raise errors.ApiError(
            500, "InternalError",
            f'Internal error occurred: failed to allocate a serviceIP for "{name}": range is full',
        )  # fmt: skip

    def _draw_from(self, network: Network) -> int | None:
        """A free address: at random above the part that is left for people, then whatever is free."""
        base, size = int(network.network_address), network.num_addresses
        static = min(max(16, size // 16), 256)
        if static < size - 1:
            for _ in range(DRAWS_MAX):
                number = base + self._rng.randrange(static, size - 1)
                if not self._taken(number):
                    return number
        offsets = chain(range(static, size - 1), range(1, min(static, size - 1)))
        return next((base + offset for offset in offsets if not self._taken(base + offset)), None)

    def _reserve_ports(self, service: Object, before: Holding, taken: Holding) -> None:
        """Numbers as asked for, and free ones; what is one port of the service in two protocols has one number."""
        spec = service["spec"]
        if spec.get("type") not in NODE_PORT_TYPES:
            return
        ports = spec.get("ports") or ()
        shared = {port["port"]: port["nodePort"] for port in reversed(ports) if port.get("nodePort")}
        for index, port in enumerate(ports):
            if not port.get("nodePort") and not _wants_node_ports(spec):
                continue
            number = port.get("nodePort") or shared.get(port["port"]) or self._draw_port(service)
            protocol = port.get("protocol", "TCP")
            if (number, protocol) not in before.ports | taken.ports:
                self._check_port(service, index, number, protocol)
                self._ports.add((number, protocol))
                taken.ports.add((number, protocol))
            port["nodePort"] = shared[port["port"]] = number
        if health_checked(spec):
            self._reserve_health_port(service, before, taken)

    def _reserve_health_port(self, service: Object, before: Holding, taken: Holding) -> None:
        spec = service["spec"]
        number = spec.get("healthCheckNodePort") or self._draw_port(service)
        if (number, HEALTH_CHECK) not in before.ports | taken.ports:
            if why := self._why_not(number, HEALTH_CHECK):
                raise errors.internal(f"failed to allocate requested HealthCheck NodePort {number}: {why}")
            self._ports.add((number, HEALTH_CHECK))
            taken.ports.add((number, HEALTH_CHECK))
        spec["healthCheckNodePort"] = number

    def _check_port(self, service: Object, index: int, number: int, protocol: str) -> None:
        if why := self._why_not(number, protocol):
            raise _invalid(service, errors.invalid_value(f"spec.ports[{index}].nodePort", number, why))

    def _why_not(self, number: int, protocol: str) -> str:
        """Why the port cannot be had; empty if it can."""
        if number not in NODE_PORTS:
            limits = f"{NODE_PORTS.start}-{NODE_PORTS.stop - 1}"
            return f"provided port is not in the valid range. The range of valid ports is {limits}"
        return "provided port is already allocated" if (number, protocol) in self._ports else ""

    def _draw_port(self, service: Object) -> int:
        """A number that is free in every protocol."""
        taken = {number for number, _ in self._ports}
        taken.update(port["nodePort"] for port in service["spec"].get("ports") or () if port.get("nodePort"))
        free = [number for number in NODE_PORTS if number not in taken]
        if not free:
            name = service["metadata"].get("name", "")
            raise errors.internal(f'failed to allocate a nodePort for "{name}": range is full')
        return self._rng.choice(free)


def _wants_node_ports(spec: Object) -> bool:
    if spec.get("type") == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts", True) is not False
    return spec.get("type") == "NodePort"


def _node_ports(spec: Object) -> Iterable[tuple[int, str]]:
    for port in spec.get("ports") or ():
        if port.get("nodePort") and spec.get("type") in NODE_PORT_TYPES:
            yield port["nodePort"], port.get("protocol", "TCP")
    if health_checked(spec) and spec.get("healthCheckNodePort"):
        yield spec["healthCheckNodePort"], HEALTH_CHECK


def _invalid(service: Object, failure: errors.FieldError) -> errors.ApiError:
    return errors.invalid("", "Service", service["metadata"].get("name", ""), [failure])
