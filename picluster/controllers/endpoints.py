"""Endpoints, the older and flatter list of who answers for a Service, for clients that still read it.

``subsets`` and everything about them is ``pkg/controller/endpoint``: one subset per set of ports, ready and not ready
addresses apart, a thousand addresses at most. Terminating pods are in it only when the Service publishes all.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from picluster.api.errors import ApiError
from picluster.api.resources import ENDPOINTS, PODS, SERVICES
from picluster.api.types import Object
from picluster.controllers.shared import indexes, pods, serving
from picluster.runtime import Controller, Manager

ADDRESSES_MAX = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"

PortKey = tuple[tuple[str, str, int, str], ...]


def subsets(service: Object, members: Iterable[Object]) -> list[Object]:
    """The ``subsets`` of ``service``'s Endpoints, in a settled order."""
    everyone = bool(service["spec"].get("publishNotReadyAddresses"))
    family = serving.families(service)[0]
    grouped: dict[PortKey, tuple[list[Object], list[Object]]] = {}
    for pod in members:
        if not serving.belongs(pod, include_terminating=everyone):
            continue
        ready = everyone or pods.is_ready(pod)
        for address in serving.addresses(pod, family)[:1]:
            entry = _address(service, pod, address)
            for key in _port_keys(service, pod):
                grouped.setdefault(key, ([], []))[0 if ready else 1].append(entry)
    return [_subset(key, *grouped[key]) for key in sorted(grouped)]


def truncate(found: list[Object]) -> bool:
    """Cut ``found`` to ``ADDRESSES_MAX``, ready ones first, in place; returns whether that was needed."""
    room, cut = ADDRESSES_MAX, False
    for name in ("addresses", "notReadyAddresses"):
        for subset in found:
            entries = subset.get(name) or []
            if len(entries) > room:
                cut = True
                subset[name] = entries[:room]
            room -= min(room, len(entries))
    return cut


def _port_keys(service: Object, pod: Object) -> list[PortKey]:
    """One set of ports for all that the pod has; without ports (headless) the empty set."""
    service_ports = service["spec"].get("ports") or ()
    found = []
    for port in service_ports:
        number = serving.find_port(pod, port)
        if number is not None:
            found.append((port.get("name", ""), port.get("protocol", "TCP"), number, port.get("appProtocol", "")))
    if service_ports and not found:
        return []
    return [tuple(sorted(found))]


def _address(service: Object, pod: Object, address: str) -> Object:
    optional = {"hostname": serving.hostname(pod, service), "nodeName": pods.node_name(pod)}
    entry: Object = {"ip": address} | {name: value for name, value in optional.items() if value}
    return entry | {"targetRef": serving.target_reference(pod)}


def _subset(key: PortKey, ready: list[Object], not_ready: list[Object]) -> Object:
    subset: Object = {}
    if ready:
        subset["addresses"] = sorted(ready, key=_order)
    if not_ready:
        subset["notReadyAddresses"] = sorted(not_ready, key=_order)
    if key:
        subset["ports"] = [_port(*port) for port in key]
    return subset


def _order(entry: Object) -> tuple[int, str]:
    return int(ipaddress.ip_address(entry["ip"])), entry["targetRef"]["uid"]


def _port(name: str, protocol: str, port: int, app_protocol: str) -> Object:
    made: Object = {"name": name} if name else {}
    made |= {"port": port, "protocol": protocol}
    return made | ({"appProtocol": app_protocol} if app_protocol else {})


class EndpointsController(Controller):
    name = "endpoint-controller"

    def setup(self, manager: Manager) -> None:
        self._services = manager.informer(SERVICES)
        self._pods = manager.informer(PODS)
        self._endpoints = manager.informer(ENDPOINTS)
        indexes.by_namespace(self._pods)
        self._finder = serving.ServiceFinder(self._services)
        self._services.add_handler(self.enqueue)
        self._endpoints.add_handler(self.enqueue)
        self._pods.add_handler(self._finder.pod_handler(self.queue.add))

    async def reconcile(self, key: str) -> float | None:
        service = self._services.get(key)
        current = self._endpoints.get(key)
        if service is None:
            if current is not None and pods.labels(current).get(MANAGED_BY) == MANAGER:
                await self._delete(current)
            return None
        if pods.is_terminating(service) or not serving.is_selecting(service):
            return None
        wanted = self._wanted(service, current)
        if current is None:
            try:
                await self.client.create(ENDPOINTS, wanted)
            except ApiError as error:
                if error.reason != "AlreadyExists":  # the cache will show it, and the key comes back
                    self._failed(service, "FailedToCreateEndpoint", "create", key, error)
                    raise
        elif _differs(current, wanted):
            try:
                await self.client.update(ENDPOINTS, wanted)
            except ApiError as error:
                if error.code != 409:
                    self._failed(service, "FailedToUpdateEndpoint", "update", key, error)
                raise
        return None

    def _wanted(self, service: Object, current: Object | None) -> Object:
        metadata = service["metadata"]
        selector = self._finder.selector(service)
        members = self._pods.index(indexes.NAMESPACE, metadata["namespace"])
        found = subsets(service, (pod for pod in members if selector.matches(pods.labels(pod))))
        labels = {**pods.labels(service), MANAGED_BY: MANAGER}
        labels.pop(serving.HEADLESS, None)
        if serving.is_headless(service):
            labels[serving.HEADLESS] = ""
        annotations = dict((current or {"metadata": {}})["metadata"].get("annotations") or {})
        annotations.pop(OVER_CAPACITY, None)
        if truncate(found):
            annotations[OVER_CAPACITY] = "truncated"
        base = dict(current["metadata"]) if current is not None else {}
        base |= {"name": metadata["name"], "namespace": metadata["namespace"], "labels": labels}
        base.pop("annotations", None)
        if annotations:
            base["annotations"] = annotations
        return {"apiVersion": "v1", "kind": ENDPOINTS.kind, "metadata": base, "subsets": found}

    def _failed(self, service: Object, reason: str, verb: str, key: str, error: ApiError) -> None:
        message = f"Failed to {verb} endpoint for service {key}: {error}"
        self.recorder.event(service, "Warning", reason, message)

    async def _delete(self, current: Object) -> None:
        metadata = current["metadata"]
        try:
            await self.client.delete(ENDPOINTS, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"])
        except ApiError as error:
            if error.code not in (404, 409):
                raise


def _differs(current: Object, wanted: Object) -> bool:
    def essence(endpoints: Object) -> tuple[object, ...]:
        metadata = endpoints["metadata"]
        return endpoints.get("subsets") or [], metadata.get("labels") or {}, metadata.get("annotations") or {}

    return essence(current) != essence(wanted)
