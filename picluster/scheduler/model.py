"""Pods and nodes as the scheduler sees them: parsed once, compared often. PURE.

Amounts of resources are nanos (``api.quantity.nanos``). A ``PodInfo`` is immutable; a ``NodeInfo`` changes only
through ``add_pod`` and ``remove_pod``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from picluster.api.podresources import Amounts, held_requests
from picluster.api.quantity import NANO, nanos
from picluster.api.selectors import LabelSelector, from_object
from picluster.api.types import Object
from picluster.api.volumebinding import Mount, mounts

DEFAULT_MILLI_CPU_NANOS = 100 * NANO // 1000
DEFAULT_MEMORY_NANOS = 200 * 1024 * 1024 * NANO
"""What a container without requests counts for in scores, so that such pods are spread too (``nonzero requests``)."""

HOST = "kubernetes.io/hostname"
HostPort = tuple[str, str, int]
DISKS = frozenset({"gcePersistentDisk", "awsElasticBlockStore", "iscsi", "rbd"})


@dataclass(frozen=True, slots=True)
class AffinityTerm:
    """One pod (anti-)affinity term; ``namespaces`` empty means the pod's own, ``None`` means all."""

    selector: LabelSelector | None
    namespaces: frozenset[str] | None
    topology_key: str
    weight: int = 0

    def matches(self, pod: PodInfo) -> bool:
        if self.selector is None or (self.namespaces is not None and pod.namespace not in self.namespaces):
            return False
        return self.selector.matches(pod.labels)


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    topology_key: str
    max_skew: int
    hard: bool
    selector: LabelSelector | None
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class PodInfo:
    """What placing a pod needs to know of it. Pods with equal ``template`` are interchangeable for filters and
    scores."""

    key: str
    uid: str
    namespace: str
    labels: Mapping[str, str]
    node_name: str
    priority: int
    requests: Amounts
    scored_cpu: int
    scored_memory: int
    host_ports: frozenset[HostPort]
    node_selector: Mapping[str, str]
    required_affinity: tuple[Object, ...] | None
    preferred_affinity: tuple[Object, ...]
    tolerations: tuple[Object, ...]
    images: tuple[str, ...]
    affinity: tuple[AffinityTerm, ...]
    anti_affinity: tuple[AffinityTerm, ...]
    preferred_pods: tuple[AffinityTerm, ...]
    spread: tuple[SpreadConstraint, ...]
    claims: tuple[Mount, ...]
    disks: tuple[Object, ...]
    """Volumes of kinds that a node mounts for one pod only, as the pod has them."""
    owner_uid: str
    template: bytes
    demands: bytes
    """Equal for pods that want the same of a node and its room, whoever owns them; images aside."""
    terminating: bool

    @property
    def has_volumes(self) -> bool:
        """Whether it matters to the pod what volumes there are, or to others which it has."""
        return bool(self.claims or self.disks)

    @property
    def choosy(self) -> bool:
        """Whether it says anything about the pods around it, which then holds for pods that come later too."""
        return bool(self.affinity or self.anti_affinity or self.preferred_pods)

    @property
    def all_terms(self) -> tuple[AffinityTerm, ...]:
        return (*self.affinity, *self.anti_affinity, *self.preferred_pods)


def pod_info(pod: Object) -> PodInfo:
    spec, metadata = pod["spec"], pod["metadata"]
    namespace, labels = metadata.get("namespace", ""), metadata.get("labels") or {}
    affinity = spec.get("affinity") or {}
    node_affinity = affinity.get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    pods, anti = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
    preferred = [_term(entry["podAffinityTerm"], namespace, entry["weight"]) for entry in _soft(pods)]
    preferred += [_term(entry["podAffinityTerm"], namespace, -entry["weight"]) for entry in _soft(anti)]
    owner: Object = next((ref for ref in metadata.get("ownerReferences") or () if ref.get("controller")), {})
    cpu, memory = _scored(spec)
    return PodInfo(
        key=f"{namespace}/{metadata['name']}",
        uid=metadata.get("uid", ""),
        namespace=namespace,
        labels=labels,
        node_name=spec.get("nodeName") or "",
        priority=spec.get("priority") or 0,
        requests=held_requests(pod),
        scored_cpu=cpu,
        scored_memory=memory,
        host_ports=_host_ports(spec),
        node_selector=spec.get("nodeSelector") or {},
        required_affinity=None if required is None else tuple(required.get("nodeSelectorTerms") or ()),
        preferred_affinity=tuple(_soft(node_affinity)),
        tolerations=tuple(spec.get("tolerations") or ()),
        images=tuple(_tagged(container.get("image", "")) for group in _GROUPS for container in spec.get(group) or ()),
        affinity=tuple(_term(term, namespace) for term in _hard(pods)),
        anti_affinity=tuple(_term(term, namespace) for term in _hard(anti)),
        preferred_pods=tuple(preferred),
        spread=tuple(_constraint(entry, labels) for entry in spec.get("topologySpreadConstraints") or ()),
        claims=tuple(mounts(pod)) if spec.get("volumes") else (),
        disks=tuple(one for one in spec["volumes"] if not DISKS.isdisjoint(one)) if spec.get("volumes") else (),
        owner_uid=owner.get("uid", ""),
        template=_template(spec, namespace, labels, owner.get("uid", "")),
        demands=_demands(spec, node_affinity),
        terminating=bool(metadata.get("deletionTimestamp")),
    )


def _hard(rules: Object) -> list[Object]:
    return rules.get("requiredDuringSchedulingIgnoredDuringExecution") or []


def _soft(rules: Object) -> list[Object]:
    return rules.get("preferredDuringSchedulingIgnoredDuringExecution") or []


def _term(term: Object, namespace: str, weight: int = 0) -> AffinityTerm:
    selector = term.get("labelSelector")
    names = frozenset(term.get("namespaces") or ())
    everywhere = term.get("namespaceSelector") == {}
    return AffinityTerm(
        from_object(selector) if selector is not None else None,
        None if everywhere else names or frozenset({namespace}),
        term["topologyKey"],
        weight,
    )


def _constraint(entry: Object, labels: Mapping[str, str]) -> SpreadConstraint:
    selector = entry.get("labelSelector")
    same = {key: labels[key] for key in entry.get("matchLabelKeys") or () if key in labels}
    if same:
        selector = {**(selector or {}), "matchLabels": {**((selector or {}).get("matchLabels") or {}), **same}}
    return SpreadConstraint(
        entry["topologyKey"],
        int(entry["maxSkew"]),
        entry["whenUnsatisfiable"] == "DoNotSchedule",
        from_object(selector) if selector is not None else None,
        int(entry.get("minDomains") or 1),
        entry.get("nodeAffinityPolicy", "Honor") == "Honor",
        entry.get("nodeTaintsPolicy", "Ignore") == "Honor",
    )


_GROUPS = ("initContainers", "containers")


def _tagged(image: str) -> str:
    """An image's name as nodes report it: without tag or digest it means ``:latest``."""
    return image if image.rfind(":") > image.rfind("/") else f"{image}:latest"


def _scored(spec: Object) -> tuple[int, int]:
    cpu = memory = 0
    for container in spec.get("containers") or ():
        requests = (container.get("resources") or {}).get("requests") or {}
        cpu += nanos(requests["cpu"]) if "cpu" in requests else DEFAULT_MILLI_CPU_NANOS
        memory += nanos(requests["memory"]) if "memory" in requests else DEFAULT_MEMORY_NANOS
    return cpu, memory


def _host_ports(spec: Object) -> frozenset[HostPort]:
    return frozenset(
        (port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), port["hostPort"])  # noqa: S104 - a wildcard
        for container in spec.get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


_UNIMPORTANT = ("nodeName", "hostname", "serviceAccountName", "terminationGracePeriodSeconds")


def _template(spec: Object, namespace: str, labels: Mapping[str, str], owner_uid: str) -> bytes:
    """Equal for pods that every filter and score treats alike."""
    seen: dict[str, Any] = {key: value for key, value in spec.items() if key not in _UNIMPORTANT}
    return orjson.dumps((namespace, labels, owner_uid, seen), option=orjson.OPT_SORT_KEYS)


def _demands(spec: Object, node_affinity: Object) -> bytes:
    rooms = [
        (container.get("resources"), container.get("ports"), container.get("restartPolicy"))
        for group in _GROUPS
        for container in spec.get(group) or ()
    ]
    whole = [spec.get(key) for key in ("resources", "overhead", "nodeSelector", "tolerations")]
    first = len(spec.get("initContainers") or ())
    return orjson.dumps((rooms, first, whole, node_affinity), option=orjson.OPT_SORT_KEYS)


@dataclass(slots=True, eq=False)
class NodeInfo:
    """A node with the pods on it, assumed ones included."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Object, ...]
    unschedulable: bool
    allocatable: Amounts
    images: Mapping[str, int]
    pods: dict[str, PodInfo] = field(default_factory=dict)
    requested: Amounts = field(default_factory=dict)
    pods_max: int = 0
    cpu: int = 0
    memory: int = 0
    """Allocatable; like the next two a copy of what the maps say, because scores ask all the time."""
    used_cpu: int = 0
    used_memory: int = 0
    scored_cpu: int = 0
    scored_memory: int = 0
    ports: dict[HostPort, int] = field(default_factory=dict)

    def add_pod(self, pod: PodInfo) -> None:
        self._count(pod, 1)
        self.pods[pod.key] = pod

    def remove_pod(self, key: str) -> None:
        """Safe for a pod that is not there."""
        pod = self.pods.pop(key, None)
        if pod is not None:
            self._count(pod, -1)

    def _count(self, pod: PodInfo, sign: int) -> None:
        for name, amount in pod.requests.items():
            self.requested[name] = self.requested.get(name, 0) + sign * amount
        self.used_cpu += sign * pod.requests.get("cpu", 0)
        self.used_memory += sign * pod.requests.get("memory", 0)
        self.scored_cpu += sign * pod.scored_cpu
        self.scored_memory += sign * pod.scored_memory
        for port in pod.host_ports:
            self.ports[port] = self.ports.get(port, 0) + sign
            if not self.ports[port]:
                del self.ports[port]


def node_info(node: Object) -> NodeInfo:
    spec, status = node.get("spec") or {}, node.get("status") or {}
    amounts = status.get("allocatable") or status.get("capacity") or {}
    allocatable = {name: nanos(amount) for name, amount in amounts.items()}
    return NodeInfo(
        name=node["metadata"]["name"],
        labels=node["metadata"].get("labels") or {},
        taints=tuple(spec.get("taints") or ()),
        unschedulable=bool(spec.get("unschedulable")),
        allocatable=allocatable,
        pods_max=allocatable.get("pods", 0) // NANO,
        cpu=allocatable.get("cpu", 0),
        memory=allocatable.get("memory", 0),
        images={
            name: image.get("sizeBytes", 0) for image in status.get("images") or () for name in image.get("names") or ()
        },
    )
