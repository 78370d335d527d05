"""EndpointSlices. Source: ``pkg/apis/discovery/validation``."""

from __future__ import annotations

from collections.abc import Callable

from picluster.api import names
from picluster.api.errors import FieldError, duplicate, invalid_value, required, too_many
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import PROTOCOLS, named, not_special_ip, one_of, parse_ip

Failures = list[FieldError]

ADDRESSES_MAX = 100
PORTS_MAX = 20_000
ENDPOINTS_MAX = 1000
TOPOLOGY_MAX = 16
HINTS_MAX = 8
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")


def validate(endpointslice: Object) -> Failures:
    failures: Failures = []
    metadata.validate(endpointslice["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _contents(endpointslice, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _contents(new, failures)
    metadata.immutable(new.get("addressType"), old.get("addressType"), "addressType", failures)
    return failures


def _contents(endpointslice: Object, failures: Failures) -> None:
    kind = endpointslice.get("addressType")
    one_of(kind, ADDRESS_TYPES, "addressType", failures)
    endpoints = endpointslice.get("endpoints") or ()
    if len(endpoints) > ENDPOINTS_MAX:
        failures.append(too_many("endpoints", len(endpoints), ENDPOINTS_MAX))
    else:
        for index, endpoint in enumerate(endpoints):
            _endpoint(endpoint, kind, f"endpoints[{index}]", failures)
    _ports(endpointslice.get("ports") or (), failures)


def _endpoint(endpoint: Object, kind: str | None, path: str, failures: Failures) -> None:
    addresses = endpoint.get("addresses") or ()
    if not addresses:
        failures.append(required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(addresses) > ADDRESSES_MAX:
        failures.append(too_many(f"{path}.addresses", len(addresses), ADDRESSES_MAX))
    for place, address in enumerate(addresses):
        _address(address, kind, f"{path}.addresses[{place}]", failures)
    topology = endpoint.get("deprecatedTopology") or {}
    if len(topology) > TOPOLOGY_MAX:
        failures.append(too_many(f"{path}.deprecatedTopology", len(topology), TOPOLOGY_MAX))
    metadata.check_labels(topology, f"{path}.deprecatedTopology", failures)
    if hostname := endpoint.get("hostname"):
        named(names.dns1123_label(hostname), f"{path}.hostname", hostname, failures)
    if node_name := endpoint.get("nodeName"):
        named(names.dns1123_subdomain(node_name), f"{path}.nodeName", node_name, failures)
    if hints := endpoint.get("hints"):
        _hints(hints.get("forZones") or [], names.label_value, f"{path}.hints.forZones", failures)
        _hints(hints.get("forNodes") or [], names.dns1123_subdomain, f"{path}.hints.forNodes", failures)


def _hints(targets: list[Object], rule: Callable[[str], names.Messages], path: str, failures: Failures) -> None:
    if len(targets) > HINTS_MAX:
        failures.append(too_many(path, len(targets), HINTS_MAX))
        return
    seen: set[str] = set()
    for index, target in enumerate(targets):
        name = target.get("name", "")
        if name in seen:
            failures.append(duplicate(f"{path}[{index}].name", name))
        seen.add(name)
        named(rule(name), f"{path}[{index}].name", name, failures)


def _address(address: str, kind: str | None, path: str, failures: Failures) -> None:
    if kind in ("IPv4", "IPv6"):
        parsed = parse_ip(address)
        if parsed is None or f"IPv{parsed.version}" != kind:
            failures.append(invalid_value(path, address, f"must be a valid {kind} address"))
        if parsed is not None:
            not_special_ip(address, path, failures)
    elif kind == "FQDN":
        name = address.removesuffix(".")
        messages = names.dns1123_subdomain(name)
        if not name:
            failures.append(required(path))
        elif messages:
            failures.append(invalid_value(path, address, ",".join(messages)))
        elif "." not in name:
            detail = "should be a domain with at least two segments separated by dots"
            failures.append(invalid_value(path, address, detail))


def _ports(ports: list[Object] | tuple[()], failures: Failures) -> None:
    if len(ports) > PORTS_MAX:
        failures.append(too_many("ports", len(ports), PORTS_MAX))
        return
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"ports[{index}]", port.get("name") or ""
        if name:
            named(names.dns1123_label(name), f"{path}.name", name, failures)
        if name in seen:
            failures.append(duplicate(f"{path}.name", name))
        seen.add(name)
        one_of(port.get("protocol"), PROTOCOLS, f"{path}.protocol", failures)
        if protocol := port.get("appProtocol"):
            named(names.qualified_name(protocol), f"{path}.appProtocol", protocol, failures)
