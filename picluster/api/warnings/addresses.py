"""Addresses and networks that are understood, but not written as they should be.

Sources: ``GetWarningsForIP`` and ``GetWarningsForCIDR`` of ``util/validation/ip.go`` in apimachinery (KEP-4858).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def of_ip(path: str, text: str) -> Iterator[str]:
    address = _parsed(text)
    if address is not None and isinstance(address, ipaddress.IPv4Address) and str(address) == text:
        return
    plain = _plain(address if address is not None else _sloppy(text))
    if plain is None:
        return
    if address is None or plain is not address:
        yield (
            f'{path}: non-standard IP address "{text}" will be considered invalid in a future Kubernetes release:'
            f' use "{plain}"'
        )
    elif str(address) != text:
        yield f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{address}")'


def of_cidr(path: str, text: str) -> Iterator[str]:
    host, _, bits = text.partition("/")
    written = _parsed(host)
    address = _plain(written if written is not None else _sloppy(host))
    if address is None or not bits.isdecimal():
        return
    length = int(bits) - (96 if ":" in host and address.version == 4 else 0)
    if not 0 <= length <= address.max_prefixlen:
        return
    network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    ambiguous = network.network_address != address
    nonstandard = written is None or written is not address or bits != str(int(bits))
    if ambiguous:
        single = f"{address}/{address.max_prefixlen}"
        yield f'{path}: CIDR value "{text}" is ambiguous in this context (should be "{network}" or "{single}"?)'
    if nonstandard:
        yield (
            f'{path}: non-standard CIDR value "{text}" will be considered invalid in a future Kubernetes release:'
            f' use "{network}"'
        )
    if not ambiguous and not nonstandard and str(network) != text:
        yield f'{path}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{network}")'


def _parsed(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text) if "%" not in text else None
    except ValueError:
        return None


def _sloppy(text: str) -> Address | None:
    """An IPv4 address whose numbers begin with zeros, as Go read them before 1.17."""
    parts = text.split(".")
    if len(parts) != 4 or not all(part.isdecimal() and part.isascii() for part in parts):
        return None
    return _parsed(".".join(str(int(part)) for part in parts))


def _plain(address: Address | None) -> Address | None:
    """The IPv4 address that is written in IPv6's words, if it is one; else ``address`` itself."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
