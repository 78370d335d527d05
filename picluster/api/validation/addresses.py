"""Addresses and networks in the one form that newer fields take. Source: ``util/validation/ip.go`` of apimachinery."""

from __future__ import annotations

import ipaddress

from picluster.api import names

_IP_ERROR = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_CIDR_ERROR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def strict_ip(text: str) -> names.Messages:
    """What is wrong with ``text`` as an address in canonical form."""
    address = _parse(text)
    if address is None:
        return ("must not have leading 0s",) if _without_leading_zeros(text) else (_IP_ERROR,)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return ("must not be an IPv4-mapped IPv6 address",)
    return () if str(address) == text else (f'must be in canonical form ("{address}")',)


def strict_cidr(text: str) -> names.Messages:
    """What is wrong with ``text`` as a network in canonical form."""
    host, slash, bits = text.partition("/")
    address = _parse(host)
    if address is None and slash and bits.isdecimal() and _without_leading_zeros(host):
        return ("must not have leading 0s in IP",)
    if address is None or not slash or not bits.isdecimal() or int(bits) > address.max_prefixlen:
        return (_CIDR_ERROR,)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return ("must not have an IPv4-mapped IPv6 address",)
    if len(bits) > 1 and bits.startswith("0"):
        return ("must not have leading 0s in prefix length",)
    network = ipaddress.ip_network(text, strict=False)
    if network.network_address != address:
        return ("must not have bits set beyond the prefix length",)
    return () if str(network) == text else (f'must be in canonical form ("{network}")',)


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text) if "%" not in text else None
    except ValueError:
        return None


def _without_leading_zeros(text: str) -> bool:
    """Whether ``text`` is an IPv4 address but for leading zeros, which some read as octal."""
    parts = text.split(".")
    stripped = [part.lstrip("0") or "0" for part in parts if part.isdecimal()]
    return len(parts) == len(stripped) == 4 and _parse(".".join(stripped)) is not None
