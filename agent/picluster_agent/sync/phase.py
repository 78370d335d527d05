"""A pod's phase, from its containers' statuses. Pure; the kubelet's ``getPhase`` (Kubernetes 1.36)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from picluster.api.types import Object
from picluster_agent.sync import spec
from picluster_agent.sync.restarts import restarts


def phase_of(pod: Object, init: Sequence[Object], main: Sequence[Object], *, ended: bool) -> str:
    """``ended``: nothing of the pod runs, and nothing of it will run again, whatever its restart policies say."""
    listed = spec.init_containers(pod)
    regular = [(one, status) for one, status in zip(listed, init, strict=True) if not spec.is_sidecar(one)]
    if any(_fails_for_good(pod, one, status) for one, status in regular):
        return "Failed"
    sidecars = [status for one, status in zip(listed, init, strict=True) if spec.is_sidecar(one)]
    counts = Counter(_kind(status) for status in main)
    counts["running"] += sum("running" in status["state"] for status in sidecars)
    counts["waiting"] += sum(_kind(status) == "waiting" for status in sidecars)
    pending = any(_is_pending(status) for _, status in regular) or any(_is_starting(status) for status in sidecars)
    begun = any("running" in one["state"] or "terminated" in one["state"] for one in main)
    if (pending and not begun) or counts["waiting"]:
        return "Pending"
    if counts["running"] or not counts["stopped"]:
        return "Running" if counts["running"] else "Pending"
    by_name = {one["name"]: one for one in spec.containers(pod)}
    codes = {status["name"]: _exit_code(status) for status in main}
    if not ended and any(restarts(by_name[name], pod, code) for name, code in codes.items()):
        return "Running"
    return "Failed" if any(codes.values()) else "Succeeded"


def _kind(status: Object) -> str:
    if "running" in status["state"]:
        return "running"
    if "terminated" in status["state"] or "terminated" in status["lastState"]:
        return "stopped"
    return "waiting"


def _exit_code(status: Object) -> int:
    terminated = status["state"].get("terminated") or status["lastState"].get("terminated") or {}
    return int(terminated.get("exitCode", 0))


def _fails_for_good(pod: Object, container: Object, status: Object) -> bool:
    code = _exit_code(status)
    return _kind(status) == "stopped" and code != 0 and not restarts(container, pod, code)


def _is_pending(status: Object) -> bool:
    """An init container that is not through; one that failed waits for its next attempt."""
    return _kind(status) != "stopped" or _exit_code(status) != 0


def _is_starting(status: Object) -> bool:
    """A sidecar that has not started; one that ended is being restarted and does not count."""
    return (_kind(status) == "running" and not status["started"]) or _kind(status) == "waiting"
