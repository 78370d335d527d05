"""Pods. The Status column tells the most telling reason, as kubectl's readers know it."""

from __future__ import annotations

from typing import Any

from picluster.api import meta
from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, human_duration, name_of, wide

COLUMNS = (
    NAME,
    Column("Ready", description="The aggregate readiness state of this pod for accepting traffic."),
    Column("Status", description="The aggregate status of the containers in this pod."),
    Column(
        "Restarts",
        description="The number of times the containers in this pod have been restarted and when the last container in"
        " this pod has restarted.",
    ),
    AGE,
    wide("IP"),
    wide("Node"),
    wide("Nominated Node"),
    wide("Readiness Gates"),
)
FINISHED = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}


def row(pod: Object, now_s: float) -> list[Any]:
    spec, status = pod["spec"], pod.get("status") or {}
    statuses = status.get("containerStatuses") or []
    sidecars = {c["name"] for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"}
    started_sidecars = [s for s in status.get("initContainerStatuses") or [] if s.get("name") in sidecars]
    counted = [*started_sidecars, *statuses]
    ready = sum(bool(s.get("ready")) and "running" in (s.get("state") or {}) for s in counted)
    ips = status.get("podIPs") or []
    return [
        name_of(pod),
        f"{ready}/{len(spec['containers']) + len(sidecars)}",
        reason_of(pod),
        _restarts(counted if _initialized(status) else status.get("initContainerStatuses") or counted, now_s),
        age(pod, now_s),
        (ips[0]["ip"] if ips else status.get("podIP")) or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        _readiness_gates(spec, status),
    ]


def reason_of(pod: Object) -> str:
    """The Status column: initialising, a container's reason, the phase, or that it terminates."""
    status = pod.get("status") or {}
    reason = str(status.get("reason") or status.get("phase") or "")
    if any(c.get("reason") == "SchedulingGated" for c in status.get("conditions") or []):
        reason = "SchedulingGated"
    initializing = _init_reason(pod)
    reason = _containers_reason(status, reason) if initializing is None else initializing
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            return "Unknown"
        if status.get("phase") not in FINISHED:
            return "Terminating"
    return reason


def _init_reason(pod: Object) -> str | None:
    """The reason of the first init container that is not done, or ``None`` when all are."""
    init_containers = pod["spec"].get("initContainers") or []
    restartable = {c["name"] for c in init_containers if c.get("restartPolicy") == "Always"}
    for index, container in enumerate((pod.get("status") or {}).get("initContainerStatuses") or []):
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated and terminated.get("exitCode") == 0:
            continue
        if container.get("name") in restartable and container.get("started"):
            continue
        if terminated:
            return "Init:" + (terminated.get("reason") or _exit(terminated))
        if waiting and waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{len(init_containers)}"
    return None


def _containers_reason(status: Object, reason: str) -> str:
    running = False
    for container in reversed(status.get("containerStatuses") or []):
        state = container.get("state") or {}
        waiting, terminated = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif terminated:
            reason = terminated.get("reason") or _exit(terminated)
        elif container.get("ready") and "running" in state:
            running = True
    if reason == "Completed" and running:
        ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or [])
        return "Running" if ready else "NotReady"
    return reason


def _exit(terminated: Object) -> str:
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _initialized(status: Object) -> bool:
    return any(c.get("type") == "Initialized" and c.get("status") == "True" for c in status.get("conditions") or [])


def _restarts(statuses: list[Object], now_s: float) -> str:
    count = sum(int(s.get("restartCount") or 0) for s in statuses)
    ends = [((s.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for s in statuses]
    last_s = max((meta.parse_time(end) for end in ends if end), default=None)
    if not count or last_s is None:
        return str(count)
    return f"{count} ({human_duration(now_s - last_s)} ago)"


def _readiness_gates(spec: Object, status: Object) -> str:
    gates = spec.get("readinessGates") or []
    if not gates:
        return "<none>"
    met = {c.get("type") for c in status.get("conditions") or [] if c.get("status") == "True"}
    return f"{sum(gate['conditionType'] in met for gate in gates)}/{len(gates)}"


def conditions(pod: Object) -> list[Object]:
    """A finished pod's row says so, and kubectl leaves it out of sums."""
    phase = (pod.get("status") or {}).get("phase")
    if phase not in FINISHED:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": FINISHED[phase]}]


PRINTER = Printer(COLUMNS, row, conditions)
