"""Endpoints."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, required
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import PROTOCOLS, ip, named, not_special_ip, one_of, parse_ip, port_number

Failures = list[FieldError]


def validate(endpoints: Object) -> Failures:
    failures: Failures = []
    metadata.validate(endpoints["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _subsets(endpoints, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    if new.get("subsets") != old.get("subsets"):
        _subsets(new, failures)
    return failures


def _subsets(endpoints: Object, failures: Failures) -> None:
    for index, subset in enumerate(endpoints.get("subsets") or ()):
        path = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            failures.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
        for field in ("addresses", "notReadyAddresses"):
            for place, address in enumerate(subset.get(field) or ()):
                _address(address, f"{path}.{field}[{place}]", failures)
        ports = subset.get("ports") or ()
        for place, port in enumerate(ports):
            _port(port, f"{path}.ports[{place}]", len(ports) > 1, failures)


def _address(address: Object, path: str, failures: Failures) -> None:
    text = address.get("ip", "")
    ip(text, f"{path}.ip", failures)
    if hostname := address.get("hostname"):
        named(names.dns1123_label(hostname), f"{path}.hostname", hostname, failures)
    if node_name := address.get("nodeName"):
        named(names.dns1123_subdomain(node_name), f"{path}.nodeName", node_name, failures)
    if parse_ip(text) is not None:
        not_special_ip(text, f"{path}.ip", failures)


def _port(port: Object, path: str, needs_name: bool, failures: Failures) -> None:
    name = port.get("name")
    if name:
        named(names.dns1123_label(name), f"{path}.name", name, failures)
    elif needs_name:
        failures.append(required(f"{path}.name"))
    port_number(port.get("port", 0), f"{path}.port", failures)
    one_of(port.get("protocol"), PROTOCOLS, f"{path}.protocol", failures)
    if protocol := port.get("appProtocol"):
        named(names.qualified_name(protocol), f"{path}.appProtocol", protocol, failures)
