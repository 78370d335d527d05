"""EndpointSlices: who answers for a Service, and is it ready, serving, terminating.

``desired`` says which endpoints a Service has, by their ports; ``plan_slices`` fits them into slices of at most a
hundred with as few writes as it can: what is in a slice stays in it. Labels, conditions and owner are those of
``k8s.io/endpointslice``; slices whose Service is gone are the garbage collector's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import orjson

from picluster.api.meta import key_of, owner_reference
from picluster.api.resources import ENDPOINT_SLICES, NODES, PODS, SERVICES
from picluster.api.types import Object
from picluster.client import TransportError
from picluster.controllers.shared import indexes, pods, serving
from picluster.controllers.shared.expectations import Expectations
from picluster.runtime import Controller, Manager

SLICE_ENDPOINTS_MAX = 100
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
ZONE = "topology.kubernetes.io/zone"
SERVICE_INDEX = "service"


@dataclass(slots=True)
class Group:
    """Endpoints that share their ports, and an address family."""

    family: str
    ports: list[Object]
    endpoints: list[Object] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """Whole slices to write; those to delete as they are."""

    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def desired(service: Object, members: Iterable[Object], zone_of: Callable[[str], str | None]) -> list[Group]:
    """The endpoints of ``service``; ``zone_of`` names a node's zone, and raises ``KeyError`` for no such node."""
    everyone = bool(service["spec"].get("publishNotReadyAddresses"))
    groups: dict[bytes, Group] = {}
    for pod in members:
        if not serving.belongs(pod, include_terminating=True):
            continue
        try:
            zone = zone_of(pods.node_name(pod))
        except KeyError:
            if not everyone:
                continue
            zone = None
        ports = _ports(service, pod)
        for family in serving.families(service):
            if addresses := serving.addresses(pod, family):
                group_key = orjson.dumps((family, ports), option=orjson.OPT_SORT_KEYS)
                group = groups.setdefault(group_key, Group(family, ports))
                group.endpoints.append(_endpoint(service, pod, addresses, zone, everyone=everyone))
    return list(groups.values())


def _endpoint(service: Object, pod: Object, addresses: list[str], zone: str | None, *, everyone: bool) -> Object:
    ready, terminating = pods.is_ready(pod), pods.is_terminating(pod)
    endpoint: Object = {
        "addresses": addresses,
        "conditions": {
            "ready": everyone or (ready and not terminating),
            "serving": ready,
            "terminating": terminating,
        },
        "targetRef": serving.target_reference(pod),
    }
    optional = {"nodeName": pods.node_name(pod), "zone": zone, "hostname": serving.hostname(pod, service)}
    return endpoint | {name: value for name, value in optional.items() if value}


def _ports(service: Object, pod: Object) -> list[Object]:
    ports = []
    for service_port in service["spec"].get("ports") or ():
        number = serving.find_port(pod, service_port)
        if number is None:
            continue
        port = {"name": service_port.get("name", ""), "protocol": service_port.get("protocol", "TCP"), "port": number}
        if service_port.get("appProtocol"):
            port["appProtocol"] = service_port["appProtocol"]
        ports.append(port)
    return ports


def plan_slices(
    service: Object, groups: Sequence[Group], existing: Sequence[Object], size_max: int = SLICE_ENDPOINTS_MAX
) -> Plan:
    """How ``existing`` slices become those of ``groups``. Endpoints stay where they are as far as that is possible."""
    plan = Plan()
    labels = _labels(service)
    left = {key_of(one): one for one in existing}
    for group in groups or [Group(family, []) for family in serving.families(service)]:
        mine = [one for one in left.values() if _fits(one, group)]
        for one in mine:
            del left[key_of(one)]
        _plan_group(plan, service, group, mine, labels, size_max)
    plan.delete += left.values()
    return plan


def _plan_group(
    plan: Plan, service: Object, group: Group, mine: Sequence[Object], labels: dict[str, str], size_max: int
) -> None:
    wanted = {_identity(endpoint): endpoint for endpoint in group.endpoints}
    kept: list[tuple[Object, list[Object]]] = []
    for one in mine:
        standing = [wanted.pop(identity) for e in one.get("endpoints") or () if (identity := _identity(e)) in wanted]
        kept.append((one, standing))
    rest = list(wanted.values())
    for one, standing in kept:  # a slice that is written anyway is filled first
        if rest and len(standing) < size_max and standing != (one.get("endpoints") or []):
            room = size_max - len(standing)
            standing += rest[:room]
            del rest[:room]
    for _, standing in kept:
        if rest and len(standing) < size_max:
            room = size_max - len(standing)
            standing += rest[:room]
            del rest[:room]
    total = sum(len(standing) for _, standing in kept) + len(rest)
    survivors = 0
    for one, standing in kept:
        if not standing and (total or survivors):
            plan.delete.append(one)
            continue
        survivors += 1
        changed = _changed(one, standing, group, labels)
        if changed is not None:
            plan.update.append(changed)
    for start in range(0, len(rest), size_max):
        plan.create.append(_new_slice(service, group, rest[start : start + size_max], labels))
    if not survivors and not rest:
        plan.create.append(_new_slice(service, group, [], labels))


def _changed(one: Object, endpoints: list[Object], group: Group, labels: dict[str, str]) -> Object | None:
    same = (one.get("endpoints") or []) == endpoints and (one["metadata"].get("labels") or {}) == labels
    if same and _canonical(one.get("ports")) == _canonical(group.ports):
        return None
    return {**one, "metadata": {**one["metadata"], "labels": labels}, "endpoints": endpoints, "ports": group.ports}


def _new_slice(service: Object, group: Group, endpoints: list[Object], labels: dict[str, str]) -> Object:
    metadata = service["metadata"]
    return {
        "apiVersion": ENDPOINT_SLICES.api_version,
        "kind": ENDPOINT_SLICES.kind,
        "metadata": {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": group.family,
        "endpoints": endpoints,
        "ports": group.ports,
    }


def _labels(service: Object) -> dict[str, str]:
    """The Service's own, and those by which proxies find slices."""
    labels = {name: value for name, value in pods.labels(service).items() if name not in (SERVICE_NAME, MANAGED_BY)}
    labels.pop(serving.HEADLESS, None)
    if serving.is_headless(service):
        labels[serving.HEADLESS] = ""
    return labels | {SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: MANAGER}


def _fits(one: Object, group: Group) -> bool:
    """Same family and ports; either side without endpoints takes any ports."""
    if one.get("addressType") != group.family or pods.is_terminating(one):
        return False
    if not group.endpoints or not one.get("endpoints"):
        return True
    return _canonical(one.get("ports")) == _canonical(group.ports)


def _canonical(ports: list[Object] | None) -> list[tuple[object, ...]]:
    return sorted(
        (port.get("name") or "", port.get("protocol") or "TCP", port.get("port") or 0, port.get("appProtocol") or "")
        for port in ports or ()
    )


def _identity(endpoint: Object) -> str:
    return str((endpoint.get("targetRef") or {}).get("uid") or endpoint.get("addresses"))


class EndpointSliceController(Controller):
    name = "endpoint-slice-controller"

    def setup(self, manager: Manager) -> None:
        self._services = manager.informer(SERVICES)
        self._pods = manager.informer(PODS)
        self._nodes = manager.informer(NODES)
        self._slices = manager.informer(ENDPOINT_SLICES)
        indexes.by_namespace(self._pods)
        indexes.by_node(self._pods)
        self._slices.add_indexer(SERVICE_INDEX, _service_key)
        self._finder = serving.ServiceFinder(self._services)
        self._expectations = Expectations(self._slices, self.clock)
        self._on_pod = self._finder.pod_handler(self.queue.add)
        self._services.add_handler(self.enqueue)
        self._pods.add_handler(self._on_pod)
        self._slices.add_handler(self._on_slice)
        self._nodes.add_handler(self._on_node)

    def _on_slice(self, old: Object | None, new: Object | None) -> None:
        for one in (old, new):
            if one is not None and (key := _service_key(one)) is not None:
                self.queue.add(key)

    def _on_node(self, old: Object | None, new: Object | None) -> None:
        """Pods may be known before their node is; and a node may move to another zone."""
        zones = [pods.labels(node).get(ZONE, "") if node is not None else None for node in (old, new)]
        if zones[0] == zones[1]:
            return
        node = new if new is not None else old
        assert node is not None
        for pod in self._pods.index(indexes.NODE, node["metadata"]["name"]):
            self._on_pod(None, pod)

    def _zone_of(self, node_name: str) -> str | None:
        node = self._nodes.get(node_name)
        if node is None:
            raise KeyError(node_name)
        return pods.labels(node).get(ZONE)

    async def reconcile(self, key: str) -> float | None:
        service = self._services.get(key)
        if service is None:
            self._expectations.forget(key)
            return None
        if pods.is_terminating(service) or not serving.is_selecting(service):
            return None
        if wait_s := self._expectations.wait_s(key):
            return wait_s
        selector = self._finder.selector(service)
        namespace = service["metadata"]["namespace"]
        members = [pod for pod in self._pods.index(indexes.NAMESPACE, namespace) if selector.matches(pods.labels(pod))]
        plan = plan_slices(service, desired(service, members, self._zone_of), self._slices.index(SERVICE_INDEX, key))
        await self._carry_out(key, service, plan)
        return None

    async def _carry_out(self, key: str, service: Object, plan: Plan) -> None:
        writes = [
            *(self._create(key, one) for one in plan.create),
            *(self._update(key, one) for one in plan.update),
            *(self._delete(key, one) for one in plan.delete),
        ]
        failures = [result for result in await asyncio.gather(*writes, return_exceptions=True) if result is not None]
        for failure in failures:
            if isinstance(failure, TransportError) and failure.sent:
                self._expectations.unsure(key)
        if failures:
            if getattr(failures[0], "code", None) not in (404, 409):
                message = f"Error updating Endpoint Slices for Service {key}: {failures[0]}"
                self.recorder.event(service, "Warning", "FailedToUpdateEndpointSlices", message)
            raise failures[0]

    async def _create(self, key: str, one: Object) -> None:
        self._expectations.wrote(key, await self.client.create(ENDPOINT_SLICES, one))

    async def _update(self, key: str, one: Object) -> None:
        self._expectations.wrote(key, await self.client.update(ENDPOINT_SLICES, one))

    async def _delete(self, key: str, one: Object) -> None:
        metadata = one["metadata"]
        await self.client.delete(
            ENDPOINT_SLICES, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"]
        )
        self._expectations.deleted(key, one)


def _service_key(one: Object) -> str | None:
    """The Service that a slice of this controller's belongs to."""
    labels = pods.labels(one)
    if labels.get(MANAGED_BY) != MANAGER or SERVICE_NAME not in labels:
        return None
    return f"{one['metadata']['namespace']}/{labels[SERVICE_NAME]}"
