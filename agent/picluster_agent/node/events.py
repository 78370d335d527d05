"""What is told of a node as events, in the kubelet's words. PURE.

Source: ``pkg/kubelet/events/event.go``, ``recordNodeStatusEvent`` and the setters of ``pkg/kubelet/nodestatus``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from picluster.api.types import Object

NORMAL, WARNING = "Normal", "Warning"
STATES = {
    "MemoryPressure": {"True": "NodeHasInsufficientMemory", "False": "NodeHasSufficientMemory"},
    "DiskPressure": {"True": "NodeHasDiskPressure", "False": "NodeHasNoDiskPressure"},
    "PIDPressure": {"True": "NodeHasInsufficientPID", "False": "NodeHasSufficientPID"},
    "Ready": {"True": "NodeReady", "False": "NodeNotReady"},
}


class NodeEvent(NamedTuple):
    type: str
    reason: str
    message: str


PRESSURES = tuple(STATES)[:3]
STARTING = NodeEvent(NORMAL, "Starting", "Starting kubelet.")


def reference(name: str) -> Object:
    """What the kubelet's events of its node are about: the uid is the node's name, and ``kubectl describe`` knows."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": name}}


def state(name: str, reason: str) -> NodeEvent:
    return NodeEvent(NORMAL, reason, f"Node {name} status is now: {reason}")


def rebooted(name: str, known: Object, boot_id: str) -> list[NodeEvent]:
    """Whether ``known``, the status that the API server has, is of an earlier boot."""
    before = (known.get("nodeInfo") or {}).get("bootID")
    if not before or not boot_id or before == boot_id:
        return []
    return [NodeEvent(WARNING, "Rebooted", f"Node {name} has been rebooted, boot id: {boot_id}")]


def transitions(name: str, before: Iterable[Object], after: Iterable[Object]) -> list[NodeEvent]:
    """The conditions that say something else than before; one that was never there counts, but for Ready.

    Conditions of the board bring their own reason and message: a warning when something is wrong.
    """
    known = {one["type"]: one.get("status") for one in before}
    found = []
    for one in after:
        kind, status = one["type"], one["status"]
        told = known[kind] != status if kind in known else kind in PRESSURES or (kind != "Ready" and status == "True")
        if told and kind in STATES:
            found.append(state(name, STATES[kind][status]))
        elif told:
            found.append(NodeEvent(WARNING if status == "True" else NORMAL, one["reason"], one["message"]))
    return found


def schedulable(name: str, before: Object, after: Object) -> list[NodeEvent]:
    """Somebody has cordoned the node, or uncordoned it."""
    was, now = (bool(one["spec"].get("unschedulable")) for one in (before, after))
    return [] if was == now else [state(name, "NodeNotSchedulable" if now else "NodeSchedulable")]
