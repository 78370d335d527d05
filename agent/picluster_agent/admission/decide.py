"""May this pod run on this node? PURE.

Reasons and messages are those of ``pkg/kubelet/lifecycle/predicate.go``, ``eviction_manager.go`` and
``sysctl/allowlist.go`` in Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from picluster.api.podresources import Amounts, pod_requests, qos_class
from picluster.api.quantity import nanos
from picluster.api.selectors import nodes
from picluster.api.tolerations import tolerates
from picluster.api.types import Object
from picluster_agent.admission import sysctls
from picluster_agent.admission.critical import NotEnough, is_critical, is_static, shown, to_preempt
from picluster_agent.podman import confinement

OS_LABEL = "kubernetes.io/os"
MEMORY_TAINT = {"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"}
ANY = ("", "0.0.0.0", "::")  # noqa: S104 - the wildcard addresses, as pods write them
FIRST = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True, slots=True)
class NodeView:
    """What is known of the node. ``labels`` and ``taints`` are ``None`` until the API server has told them."""

    name: str
    allocatable: Amounts
    pods_max: int
    labels: dict[str, str] | None = None
    taints: Sequence[Object] = ()
    pressures: Sequence[str] = ()
    """Types of the node's conditions that are true now: ``MemoryPressure`` and the like."""
    unsafe_sysctls: Sequence[str] = ()
    apparmor: bool = False
    """Whether the kernel confines by AppArmor."""
    shutting_down: bool = False


@dataclass(frozen=True, slots=True)
class Rejection:
    reason: str
    message: str


SHUTDOWN = Rejection("NodeShutdown", "Pod was rejected as the node is shutting down.")


@dataclass(frozen=True, slots=True)
class Shortage:
    """Of one resource; amounts in nanos."""

    resource: str
    requested: int
    used: int
    capacity: int

    @property
    def message(self) -> str:
        requested, used, capacity = (shown(self.resource, one) for one in (self.requested, self.used, self.capacity))
        return (
            f"Node didn't have enough resource: {self.resource}, requested: {requested}, used: {used}, "
            f"capacity: {capacity}"
        )

    @property
    def missing(self) -> int:
        return self.requested - (self.capacity - self.used)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``rejection`` is why the pod may not run; it may when there is none, once ``preempt`` are gone."""

    rejection: Rejection | None = None
    preempt: Sequence[Object] = ()


def amounts(resources: Object) -> Amounts:
    """A resource list in nanos."""
    return {name: nanos(amount) for name, amount in resources.items()}


def admit(pod: Object, others: Sequence[Object], node: NodeView) -> Verdict:
    """``others`` are the pods that have their place here already, with the resources that they were given."""
    refused = SHUTDOWN if node.shutting_down else None
    refused = refused or _pressure(pod, node) or _sysctls(pod, node) or _kind(pod, node)
    if refused is not None:
        return Verdict(refused)
    short, wrong = shortages(pod, others, node), misfits(pod, others, node)
    if is_critical(pod) and (short or wrong):
        if wrong:
            return Verdict(wrong[0])
        try:
            return Verdict(preempt=to_preempt(pod, others, {one.resource: one.missing for one in short}))
        except NotEnough as error:
            message = f"Unexpected error while attempting to recover from admission failure: {error}"
            return Verdict(Rejection("UnexpectedAdmissionError", message))
    if short:
        return Verdict(Rejection(f"OutOf{short[0].resource}", short[0].message))
    return Verdict(wrong[0]) if wrong else Verdict()


def _pressure(pod: Object, node: NodeView) -> Rejection | None:
    """Under memory pressure only best-effort pods are kept out, under any other all that are not critical."""
    if not node.pressures or is_critical(pod):
        return None
    if list(node.pressures) == ["MemoryPressure"]:
        spared = tolerates(pod["spec"].get("tolerations") or (), MEMORY_TAINT)
        if qos_class(pod["spec"]) != "BestEffort" or spared:
            return None
    return Rejection("Evicted", f"The node had condition: [{' '.join(node.pressures)}]. ")


def _sysctls(pod: Object, node: NodeView) -> Rejection | None:
    why = sysctls.forbidden(pod["spec"], node.unsafe_sysctls)
    return Rejection("SysctlForbidden", why) if why else None


def _kind(pod: Object, node: NodeView) -> Rejection | None:
    """What no room can cure: another operating system, a confinement that the kernel lacks."""
    if (pod["metadata"].get("labels") or {}).get(OS_LABEL, "linux") != "linux":
        message = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"
        return Rejection("PodOSSelectorNodeLabelDoesNotMatch", message)
    if (pod["spec"].get("os") or {}).get("name", "linux") != "linux":
        return Rejection("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
    if not node.apparmor and confinement.needs_apparmor(pod):
        return Rejection("AppArmor", confinement.APPARMOR_REFUSED)
    return None


def shortages(pod: Object, others: Sequence[Object], node: NodeView) -> list[Shortage]:
    """What the node has too little of, in the scheduler's order. Resources that it does not know are not its."""
    found = []
    one = 1_000_000_000
    if len(others) + 1 > node.pods_max:
        found.append(Shortage("pods", one, len(others) * one, node.pods_max * one))
    wanted = pod_requests(pod["spec"])
    used: Amounts = {}
    for other in others:
        for name, amount in pod_requests(other["spec"]).items():
            used[name] = used.get(name, 0) + amount
    for name in [*FIRST, *sorted(set(wanted) - set(FIRST))]:
        capacity = node.allocatable.get(name)
        if wanted.get(name) and capacity is not None and wanted[name] > capacity - used.get(name, 0):
            found.append(Shortage(name, wanted[name], used.get(name, 0), capacity))
    return found


def misfits(pod: Object, others: Sequence[Object], node: NodeView) -> list[Rejection]:
    """Where the pod does not belong: labels, name, ports, taints that evict."""
    spec, found = pod["spec"], []
    if node.labels is not None and not nodes.wants(spec, node.labels, node.name):
        found.append(_predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector"))
    if spec.get("nodeName", node.name) != node.name:
        found.append(_predicate("NodeName", "node(s) didn't match the requested node name"))
    taken = [port for other in others for port in _host_ports(other["spec"])]
    if any(_clash(port, other) for port in _host_ports(spec) for other in taken):
        found.append(_predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports"))
    evicting = [taint for taint in node.taints if taint.get("effect") == "NoExecute"]
    if not is_static(pod) and any(not tolerates(spec.get("tolerations") or (), taint) for taint in evicting):
        found.append(_predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate"))
    return found


def _predicate(name: str, description: str) -> Rejection:
    return Rejection(name, f"Predicate {name} failed: {description}")


def _host_ports(spec: Object) -> list[tuple[str, str, int]]:
    return [
        (port.get("hostIP") or "", port.get("protocol") or "TCP", int(port["hostPort"]))
        for container in spec.get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]


def _clash(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    return one[1:] == other[1:] and (one[0] == other[0] or one[0] in ANY or other[0] in ANY)
