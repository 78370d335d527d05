"""NetworkPolicies. Source: ``pkg/apis/networking/validation``."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import cidr, label_selector, port_number, port_number_or_name

Failures = list[FieldError]

PROTOCOLS = ("TCP", "UDP", "SCTP")
TYPES = ("Ingress", "Egress")
DIRECTIONS = (("ingress", "from"), ("egress", "to"))


def validate(networkpolicy: Object) -> Failures:
    failures: Failures = []
    metadata.validate(networkpolicy["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _spec(networkpolicy.get("spec") or {}, frozenset(), failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _spec(new.get("spec") or {}, frozenset(_cidrs(old.get("spec") or {})), failures)
    return failures


def _cidrs(spec: Object) -> Iterator[str]:
    """The blocks that a policy names already: they stay allowed, whatever they are."""
    for direction, peers in DIRECTIONS:
        for rule in spec.get(direction) or ():
            for peer in rule.get(peers) or ():
                block = peer.get("ipBlock") or {}
                yield from (block.get("cidr", ""), *(block.get("except") or ()))


def _spec(spec: Object, known: frozenset[str], failures: Failures) -> None:
    label_selector(spec.get("podSelector") or {}, "spec.podSelector", failures)
    for direction, peers in DIRECTIONS:
        for index, rule in enumerate(spec.get(direction) or ()):
            path = f"spec.{direction}[{index}]"
            for place, port in enumerate(rule.get("ports") or ()):
                _port(port, f"{path}.ports[{place}]", failures)
            for place, peer in enumerate(rule.get(peers) or ()):
                _peer(peer, f"{path}.{peers}[{place}]", known, failures)
    types = spec.get("policyTypes") or ()
    if len(types) > len(TYPES):
        failures.append(invalid_value("spec.policyTypes", types, "may not specify more than two policyTypes"))
        return
    for index, kind in enumerate(types):
        if kind not in TYPES:
            failures.append(not_supported(f"spec.policyTypes[{index}]", kind, TYPES))


def _port(port: Object, path: str, failures: Failures) -> None:
    protocol, number, end = port.get("protocol"), port.get("port"), port.get("endPort")
    if protocol is not None and protocol not in PROTOCOLS:
        failures.append(not_supported(f"{path}.protocol", protocol, PROTOCOLS))
    if end is not None and number is None:
        failures.append(invalid_value(f"{path}.endPort", end, "may not be specified when `port` is not specified"))
    elif end is not None and isinstance(number, str):
        failures.append(invalid_value(f"{path}.endPort", end, "may not be specified when `port` is non-numeric"))
    if number is not None:
        port_number_or_name(number, f"{path}.port", failures)
    if end is not None and isinstance(number, int):
        if end < number:
            failures.append(invalid_value(f"{path}.endPort", end, "must be greater than or equal to `port`"))
        port_number(end, f"{path}.endPort", failures)


def _peer(peer: Object, path: str, known: frozenset[str], failures: Failures) -> None:
    for field in ("podSelector", "namespaceSelector"):
        if peer.get(field) is not None:
            label_selector(peer[field], f"{path}.{field}", failures)
    block = peer.get("ipBlock")
    if block is not None:
        _block(block, f"{path}.ipBlock", known, failures)
    given = [field for field in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(field) is not None]
    if not given:
        failures.append(required(path, "must specify a peer"))
    elif block is not None and len(given) > 1:
        failures.append(forbidden_field(path, "may not specify both ipBlock and another peer"))


def _block(block: Object, path: str, known: frozenset[str], failures: Failures) -> None:
    whole = block.get("cidr") or ""
    if not whole:
        failures.append(required(f"{path}.cidr"))
        return
    network = _network(whole, f"{path}.cidr", known, failures)
    if network is None:
        return
    for index, text in enumerate(block.get("except") or ()):
        where = f"{path}.except[{index}]"
        part = _network(text, where, known, failures)
        if part is not None and not _strictly_within(part, network):
            failures.append(invalid_value(where, text, "must be a strict subset of `cidr`"))


def _network(
    text: str, path: str, known: frozenset[str], failures: Failures
) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if text not in known:
        cidr(text, path, failures)
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _strictly_within(
    part: ipaddress.IPv4Network | ipaddress.IPv6Network, whole: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    return part.version == whole.version and part.prefixlen > whole.prefixlen and part.network_address in whole
