"""Whether a container that ended shall run again. Pure.

A container's own ``restartPolicyRules`` come first, then its own ``restartPolicy`` (KEP-5307), then the pod's; the
action RestartAllContainers begins the whole pod anew in its sandbox (KEP-5532).
"""

from __future__ import annotations

from picluster.api.types import Object
from picluster_agent.sync.model import PodView, Seen, State, latest
from picluster_agent.sync.spec import containers, init_containers, restart_policy

RESTART = "Restart"
RESTART_ALL = "RestartAllContainers"


def restarts(container: Object, pod: Object, exit_code: int) -> bool:
    """Whether ``container`` is started again after an end with ``exit_code``."""
    own = container.get("restartPolicy")
    if own is not None and matching_action(container, exit_code) == RESTART:
        return True
    policy = own if own is not None else restart_policy(pod)
    if policy == "OnFailure":
        return exit_code != 0
    return policy != "Never"


def matching_action(container: Object, exit_code: int) -> str:
    """The action of the first rule that speaks of ``exit_code``."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes")
        if codes is None:
            continue
        among = exit_code in (codes.get("values") or ())
        if (codes.get("operator") == "In" and among) or (codes.get("operator") == "NotIn" and not among):
            return str(rule.get("action"))
    return ""


def may_restart_all(pod: Object) -> bool:
    rules = (rule for one in _restartable(pod) for rule in one.get("restartPolicyRules") or ())
    return any(rule.get("action") == RESTART_ALL for rule in rules)


def restart_all_asked_by(view: PodView, pod: Object) -> Seen | None:
    """The container whose end in this sandbox asks for all containers to begin anew."""
    for container in _restartable(pod):
        last = latest(view.seen, container["name"])
        if last is None or last.state is not State.EXITED or last.sandbox != view.sandbox:
            continue
        if matching_action(container, last.exit_code) == RESTART_ALL:
            return last
    return None


def starts_again(view: PodView, pod: Object, container: Object, last: Seen) -> bool:
    """Whether ``last``, which does not run, is followed by another attempt."""
    if last.state is State.CREATED or last.id in view.replacing:
        return True
    return of_earlier_round(last.sandbox, view.sandbox) or restarts(container, pod, last.exit_code)


# A sandbox's id is "<uid>" or, once all containers began anew in it, "<uid>.<round>".


def same_sandbox(one: str, other: str | None) -> bool:
    """Whether two ids mean the same namespaces, in whatever round."""
    return other is not None and one.partition(".")[0] == other.partition(".")[0]


def of_earlier_round(one: str, now: str | None) -> bool:
    return one != now and same_sandbox(one, now)


def next_round(sandbox: str) -> str:
    base, _, number = sandbox.partition(".")
    return f"{base}.{int(number or 0) + 1}"


def _restartable(pod: Object) -> list[Object]:
    return [*init_containers(pod), *containers(pod)]
