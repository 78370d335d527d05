"""Where a Service can be reached from here: one of its ready endpoints, read from the watch cache.

The API server need not be on the pod network's service routes, so an endpoint is chosen here and not by a service
proxy (``ResolveEndpoint`` in ``k8s.io/apiserver/pkg/util/proxy``, as with ``--enable-aggregator-routing``).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from picluster.api.resources import ENDPOINT_SLICES, SERVICES
from picluster.api.types import Object
from picluster.apiserver.cache.selection import select
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.registry.store import decoded

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


class Unresolved(Exception):
    """A Service that leads nowhere at the moment; the message is Kubernetes'."""


class Address(NamedTuple):
    host: str
    port: int


def server_name(namespace: str, name: str) -> str:
    """The name that a Service's certificate must be for."""
    return f"{name}.{namespace}.svc"


def resolve(cache: WatchCache, namespace: str, name: str, port: int) -> Address:
    """An address behind ``port`` of the Service, each time a random one; raises ``Unresolved``."""
    entry = cache.get(SERVICES, namespace, name)
    if entry is None:
        raise Unresolved(f'service "{name}" not found')
    spec = decoded(entry)["spec"]
    if spec.get("type") == "ExternalName":
        return Address(spec["externalName"], port)
    port_name = _port_name(spec, name, port)
    found = list(_addresses(cache, namespace, name, port_name))
    if not found:
        raise Unresolved(f'no endpoints available for service "{name}"')
    return random.choice(found)  # noqa: S311  # spreads load, hides nothing


def _port_name(spec: Object, name: str, wanted: int) -> str:
    for port in spec.get("ports") or ():
        if port.get("port") == wanted:
            return str(port.get("name") or "")
    raise Unresolved(f'no service port {wanted} found for service "{name}"')


def _addresses(cache: WatchCache, namespace: str, name: str, port_name: str) -> Iterator[Address]:
    for endpoint, port in ready_endpoints(cache, namespace, name, port_name):
        yield from (Address(address, port) for address in endpoint["addresses"])


def ready_endpoints(cache: WatchCache, namespace: str, name: str, port_name: str) -> Iterator[tuple[Object, int]]:
    """The ready endpoints of a Service with the number of their port of that name."""
    selection = select(ENDPOINT_SLICES, namespace, f"{SERVICE_NAME_LABEL}={name}", "")
    for entry in cache.collection(ENDPOINT_SLICES).select(selection):
        endpoint_slice = decoded(entry)
        for port in endpoint_slice.get("ports") or ():
            if (port.get("name") or "") == port_name and port.get("port"):
                for endpoint in endpoint_slice.get("endpoints") or ():
                    if (endpoint.get("conditions") or {}).get("ready") is not False:
                        yield endpoint, port["port"]
