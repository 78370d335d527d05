"""IP addresses and networks. Source: ``cel/library/ip.go`` and ``cidr.go``."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from picluster.api.cel import types
from picluster.api.cel.errors import CelError
from picluster.api.cel.functions.signatures import Overload, overload, traversal

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Ip:
    address: Address

    cel_type = types.IP


@dataclass(frozen=True, slots=True)
class Cidr:
    """``address`` may have bits behind the prefix."""

    address: Address
    prefix: int

    cel_type = types.CIDR

    def network(self) -> Network:
        return ipaddress.ip_network((self.address, self.prefix), strict=False)

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix}"


def _parse_ip(text: str) -> Ip:
    if "%" in text:
        raise CelError(f'IP address "{text}" with zone value is not allowed')
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        why = f'ParseAddr("{text}"): unable to parse IP'
        raise CelError(f'IP Address "{text}" parse error during conversion from string: {why}') from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        raise CelError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return Ip(address)


def _parse_cidr(text: str) -> Cidr:
    host, slash, bits = text.partition("/")
    try:
        address = ipaddress.ip_address(host)
        if not slash or not bits.isascii() or not bits.isdecimal() or (len(bits) > 1 and bits[0] == "0"):
            raise ValueError
        if int(bits) > address.max_prefixlen or "%" in host:
            raise ValueError
    except ValueError:
        why = f"netip.ParsePrefix(\"{text}\"): no '/'" if not slash else f'netip.ParsePrefix("{text}"): invalid prefix'
        raise CelError(f"network address parse error during conversion from string: {why}") from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        raise CelError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return Cidr(address, int(bits))


def _accepts(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def accepted(text: str) -> bool:
        try:
            parse(text)
        except CelError:
            return False
        return True

    return accepted


def _contains_ip(cidr: Cidr, ip: Ip) -> bool:
    return ip.address in cidr.network()


def _contains_cidr(cidr: Cidr, other: Cidr) -> bool:
    return cidr.prefix <= other.prefix and other.address in cidr.network()


def _is_multicast_link_local(ip: Ip) -> bool:
    if isinstance(ip.address, ipaddress.IPv4Address):
        return ip.address in _LOCAL_MULTICAST
    return ip.address.packed[0] == 0xFF and ip.address.packed[1] & 0x0F == 2


def _is_global_unicast(ip: Ip) -> bool:
    """Go's notion: private ranges are global too."""
    address = ip.address
    return not (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
        or str(address) == "255.255.255.255"
    )


def _masked(cidr: Cidr) -> Cidr:
    return Cidr(cidr.network().network_address, cidr.prefix)


def _cidr_cost(parsed: bool, more: int) -> Callable[[Sequence[Any], Any], int]:
    """What comparing with a network costs: its bytes twice, and the text that is read."""

    def cost(args: Sequence[Any], result: Any) -> int:
        size: int = args[0].address.max_prefixlen // 8
        text = -(-len(args[1]) // 10) if parsed else 0
        return -(-2 * size // 10) + text + (-(-size // 10) + 1 if more else 0)

    return cost


_LOCAL_MULTICAST = ipaddress.ip_network("224.0.0.0/24")

FUNCTIONS: tuple[Overload, ...] = (
    overload("ip", "(string) -> IP", _parse_ip, traversal()),
    overload("isIP", "(string) -> bool", _accepts(_parse_ip), traversal()),
    overload(
        "ip.isCanonical", "(string) -> bool", lambda text: str(_parse_ip(text).address) == text, traversal(0, 0.2)
    ),
    overload("string", "(IP) -> string", lambda ip: str(ip.address)),
    overload("family", "IP.() -> int", lambda ip: ip.address.version),
    overload("isUnspecified", "IP.() -> bool", lambda ip: ip.address.is_unspecified),
    overload("isLoopback", "IP.() -> bool", lambda ip: ip.address.is_loopback),
    overload("isLinkLocalMulticast", "IP.() -> bool", _is_multicast_link_local),
    overload("isLinkLocalUnicast", "IP.() -> bool", lambda ip: ip.address.is_link_local),
    overload("isGlobalUnicast", "IP.() -> bool", _is_global_unicast),
    overload("cidr", "(string) -> CIDR", _parse_cidr, traversal()),
    overload("isCIDR", "(string) -> bool", _accepts(_parse_cidr), traversal()),
    overload("string", "(CIDR) -> string", str),
    overload(
        "containsIP", "CIDR.(string) -> bool", lambda net, text: _contains_ip(net, _parse_ip(text)), _cidr_cost(True, 0)
    ),
    overload("containsIP", "CIDR.(IP) -> bool", _contains_ip, _cidr_cost(False, 0)),
    overload(
        "containsCIDR",
        "CIDR.(string) -> bool",
        lambda net, text: _contains_cidr(net, _parse_cidr(text)),
        _cidr_cost(True, 1),
    ),
    overload("containsCIDR", "CIDR.(CIDR) -> bool", _contains_cidr, _cidr_cost(False, 1)),
    overload("ip", "CIDR.() -> IP", lambda cidr: Ip(cidr.address)),
    overload("masked", "CIDR.() -> CIDR", _masked),
    overload("prefixLength", "CIDR.() -> int", lambda cidr: cidr.prefix),
)
