"""Whether a pod is over, and how: by its restart policies, its deadline, or what the API server says already. Pure."""

from __future__ import annotations

from picluster.api.meta import parse_time
from picluster.api.types import Object
from picluster_agent.sync.model import Outcome, PodView, Seen, State, latest
from picluster_agent.sync.restarts import restart_all_asked_by, starts_again
from picluster_agent.sync.spec import containers, init_containers, is_sidecar

DEADLINE = Outcome("Failed", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


def outcome_of(view: PodView, pod: Object) -> Outcome | None:
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        bare = not view.seen and not status.get("startTime") and bool(status.get("reason"))
        return Outcome(status["phase"], status.get("reason", ""), status.get("message", ""), bare=bare)
    if view.ruling is not None:
        return view.ruling
    deadline_s = deadline_of(view, pod)
    if deadline_s is not None and view.now_s >= deadline_s:
        return DEADLINE
    if restart_all_asked_by(view, pod):
        return None
    if any(_failed_for_good(view, pod, container) for container in init_containers(pod)):
        return Outcome("Failed")
    ends = [_end(view, pod, container) for container in containers(pod)]
    if any(end is None for end in ends):
        return None
    return Outcome("Failed" if any(end and end.exit_code for end in ends) else "Succeeded")


def deadline_of(view: PodView, pod: Object) -> float | None:
    active_s = pod["spec"].get("activeDeadlineSeconds")
    start = (pod.get("status") or {}).get("startTime") or view.start_time
    return parse_time(start) + float(active_s) if active_s is not None and start else None


def _failed_for_good(view: PodView, pod: Object, container: Object) -> bool:
    last = latest(view.seen, container["name"])
    if is_sidecar(container) or last is None or last.state is not State.EXITED or not last.exit_code:
        return False
    return not starts_again(view, pod, container, last)


def _end(view: PodView, pod: Object, container: Object) -> Seen | None:
    """The last attempt of ``container``, where it ended and no other follows."""
    last = latest(view.seen, container["name"])
    if last is None or last.state is not State.EXITED:
        return None
    return None if starts_again(view, pod, container, last) else last
