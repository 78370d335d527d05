"""What the node is like, as conditions with the kubelet's reasons and messages. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from picluster.api.meta import get_condition
from picluster.api.types import Object
from picluster_agent.machine import Pressure

OWN = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
TIMES = ("lastHeartbeatTime", "lastTransitionTime")


def conditions(
    previous: Object, pressure: Pressure, problems: Sequence[str], board: Iterable[Object], now: str
) -> list[Object]:
    """Everything that the agent says of its node. ``problems`` keep it from being Ready; ``board`` are conditions
    (type, status, reason, message) of the hardware; ``previous`` is the status that the API server has.
    """
    listed = [
        _pressure("MemoryPressure", "Memory", "memory available", pressure.memory),
        _disk_pressure(pressure.disk),
        _pressure("PIDPressure", "PID", "PID available", pressure.pids),
        *(dict(one) for one in board),
        _ready(problems),
    ]
    for condition in listed:
        before = get_condition({"status": previous}, condition["type"])
        same = before is not None and before.get("status") == condition["status"]
        condition["lastHeartbeatTime"] = now
        condition["lastTransitionTime"] = before.get("lastTransitionTime", now) if same and before else now
    return listed


def _ready(problems: Sequence[str]) -> Object:
    message = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
    return {
        "type": "Ready",
        "status": "False" if problems else "True",
        "reason": "KubeletNotReady" if problems else "KubeletReady",
        "message": message if problems else "kubelet is posting ready status",
    }


def _pressure(kind: str, name: str, what: str, short: bool) -> Object:
    """``KubeletHasSufficientMemory`` / ``kubelet has sufficient memory available``, and their opposites."""
    amount = "Insufficient" if short else "Sufficient"
    message = f"kubelet has {amount.lower()} {what}"
    return {"type": kind, "status": _truth(short), "reason": f"KubeletHas{amount}{name}", "message": message}


def _disk_pressure(short: bool) -> Object:
    reason = "KubeletHasDiskPressure" if short else "KubeletHasNoDiskPressure"
    message = "kubelet has disk pressure" if short else "kubelet has no disk pressure"
    return {"type": "DiskPressure", "status": _truth(short), "reason": reason, "message": message}


def _truth(value: bool) -> str:
    return "True" if value else "False"


def essence(listed: Iterable[Object], own: Iterable[str]) -> list[Object]:
    """Conditions of the agent's without their times: what is worth a write when it differs."""
    wanted = frozenset(own)
    return [
        {key: value for key, value in one.items() if key not in TIMES}
        for one in sorted(listed, key=lambda one: str(one["type"]))
        if one["type"] in wanted
    ]


def as_patch(listed: Sequence[Object], current: Object, own: Iterable[str]) -> list[Object]:
    """``listed`` as a strategic merge patch of ``current``, which takes away what is no longer said."""
    said = {one["type"] for one in listed}
    there = {one["type"] for one in current.get("conditions") or ()}
    return [*listed, *({"type": kind, "$patch": "delete"} for kind in sorted(set(own) & there - said))]
