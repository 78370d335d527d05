"""What a Deployment says of itself: counts and the conditions Available, Progressing and ReplicaFailure. Pure.

Reasons and messages are those of ``pkg/controller/deployment`` (``progress.go``, ``sync.go``) because ``kubectl rollout
status`` and people read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from picluster.api.meta import now_rfc3339, parse_time
from picluster.api.types import Object
from picluster.controllers.deployment_rollout import INT32_MAX, Strategy

AVAILABLE = "Available"
PROGRESSING = "Progressing"
REPLICA_FAILURE = "ReplicaFailure"

NEW_AVAILABLE = "NewReplicaSetAvailable"
UPDATED = "ReplicaSetUpdated"
TIMED_OUT = "ProgressDeadlineExceeded"
CREATED = "NewReplicaSetCreated"
FOUND = "FoundNewReplicaSet"
CREATE_FAILED = "ReplicaSetCreateError"
PAUSED = "DeploymentPaused"
RESUMED = "DeploymentResumed"

COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")


@dataclass(frozen=True, slots=True)
class Member:
    """What the status needs of one ReplicaSet."""

    asked: int
    replicas: int
    ready: int
    available: int
    terminating: int = 0
    failure: Object | None = None


def member_of(replica_set: Object) -> Member:
    status = replica_set.get("status") or {}
    conditions = status.get("conditions") or ()
    return Member(
        asked=int(replica_set["spec"].get("replicas", 1)),
        replicas=int(status.get("replicas") or 0),
        ready=int(status.get("readyReplicas") or 0),
        available=int(status.get("availableReplicas") or 0),
        terminating=int(status.get("terminatingReplicas") or 0),
        failure=next((condition for condition in conditions if condition.get("type") == REPLICA_FAILURE), None),
    )


def has_deadline(deployment: Object) -> bool:
    deadline_s = deployment["spec"].get("progressDeadlineSeconds")
    return deadline_s is not None and deadline_s != INT32_MAX


def find(conditions: Sequence[Object], kind: str) -> Object | None:
    return next((condition for condition in conditions if condition.get("type") == kind), None)


def condition(kind: str, status: str, reason: str, message: str, now_s: float) -> Object:
    now = now_rfc3339(now_s)
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def with_condition(conditions: Sequence[Object], new: Object) -> list[Object]:
    """``conditions`` with ``new``, unless status and reason are as before; a transition is a change of status."""
    old = find(conditions, new["type"])
    if old is not None and (old["status"], old.get("reason")) == (new["status"], new["reason"]):
        return list(conditions)
    if old is not None and old.get("status") == new["status"]:
        new = {**new, "lastTransitionTime": old.get("lastTransitionTime", new["lastTransitionTime"])}
    return [*without_condition(conditions, new["type"]), new]


def without_condition(conditions: Sequence[Object], kind: str) -> list[Object]:
    return [condition for condition in conditions if condition.get("type") != kind]


def counted(deployment: Object, strategy: Strategy, new: Member | None, olds: Sequence[Member], now_s: float) -> Object:
    """The status by the numbers, with the condition Available; Progressing stays as it was."""
    old_status = deployment.get("status") or {}
    members = [member for member in (new, *olds) if member is not None]
    available = sum(member.available for member in members)
    asked = sum(member.asked for member in members)
    numbers = {
        "replicas": sum(member.replicas for member in members),
        "updatedReplicas": new.replicas if new is not None else 0,
        "readyReplicas": sum(member.ready for member in members),
        "availableReplicas": available,
        "unavailableReplicas": max(0, asked - available),
    }
    enough = available >= strategy.min_available
    minimum = condition(
        AVAILABLE,
        "True" if enough else "False",
        "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        "Deployment has minimum availability." if enough else "Deployment does not have minimum availability.",
        now_s,
    )
    status: Object = {"observedGeneration": deployment["metadata"].get("generation", 0)}
    status |= {name: numbers[name] for name in COUNTS if numbers[name]}
    status["terminatingReplicas"] = sum(member.terminating for member in members)
    if old_status.get("collisionCount") is not None:
        status["collisionCount"] = old_status["collisionCount"]
    status["conditions"] = with_condition(old_status.get("conditions") or (), minimum)
    return status


def progressed(
    deployment: Object, status: Object, new_name: str | None, failures: Sequence[Object], now_s: float
) -> Object:
    """``status`` with Progressing and ReplicaFailure brought up to date during a roll-out."""
    conditions: list[Object] = status["conditions"]
    current = find(conditions, PROGRESSING)
    if not has_deadline(deployment):
        conditions = without_condition(conditions, PROGRESSING)
    elif not _settled(status, current):
        conditions = _progress(deployment, status, current, new_name, now_s)
    if failures:
        first = failures[0]
        replica_failure = condition(
            REPLICA_FAILURE, first["status"], first.get("reason", ""), first.get("message", ""), now_s
        )
        conditions = with_condition(conditions, replica_failure)
    else:
        conditions = without_condition(conditions, REPLICA_FAILURE)
    return {**status, "conditions": conditions}


def _settled(status: Object, current: Object | None) -> bool:
    complete = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    return complete and current is not None and current.get("reason") == NEW_AVAILABLE


def _progress(
    deployment: Object, status: Object, current: Object | None, new_name: str | None, now_s: float
) -> list[Object]:
    conditions: list[Object] = status["conditions"]
    subject = f'ReplicaSet "{new_name}"' if new_name else f'Deployment "{deployment["metadata"]["name"]}"'
    if is_complete(deployment, status):
        done = condition(PROGRESSING, "True", NEW_AVAILABLE, f"{subject} has successfully progressed.", now_s)
        return with_condition(conditions, done)
    if moves(deployment.get("status") or {}, status):
        new = condition(PROGRESSING, "True", UPDATED, f"{subject} is progressing.", now_s)
        if current is not None and current.get("status") == "True":
            new["lastTransitionTime"] = current.get("lastTransitionTime", new["lastTransitionTime"])
        return [*without_condition(conditions, PROGRESSING), new]  # also when only its update time is new
    if is_timed_out(deployment, status, now_s):
        late = condition(PROGRESSING, "False", TIMED_OUT, f"{subject} has timed out progressing.", now_s)
        return with_condition(conditions, late)
    return conditions


def is_complete(deployment: Object, status: Object) -> bool:
    """All pods are new, available, and nothing else is left."""
    replicas = int(deployment["spec"].get("replicas", 1))
    counts = (status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas"))
    return all(count == replicas for count in counts) and status.get("observedGeneration", 0) >= deployment[
        "metadata"
    ].get("generation", 0)


def moves(old: Object, new: Object) -> bool:
    """More new pods, fewer old ones, more ready or more available than before."""

    def count(status: Object, name: str) -> int:
        return int(status.get(name) or 0)

    def old_pods(status: Object) -> int:
        return count(status, "replicas") - count(status, "updatedReplicas")

    return (
        count(new, "updatedReplicas") > count(old, "updatedReplicas")
        or old_pods(new) < old_pods(old)
        or count(new, "readyReplicas") > count(old, "readyReplicas")
        or count(new, "availableReplicas") > count(old, "availableReplicas")
    )


def is_timed_out(deployment: Object, status: Object, now_s: float) -> bool:
    current = find(status["conditions"], PROGRESSING)
    if not has_deadline(deployment) or current is None or current.get("reason") == NEW_AVAILABLE:
        return False
    if current.get("reason") == TIMED_OUT:
        return True
    return _deadline_s(deployment, current) < now_s


def check_again_s(deployment: Object, status: Object, now_s: float) -> float | None:
    """When a roll-out that stands still will have timed out; ``None`` when there is nothing to wait for."""
    current = find(status["conditions"], PROGRESSING)
    if not has_deadline(deployment) or current is None:
        return None
    if is_complete(deployment, status) or current.get("reason") in (TIMED_OUT, NEW_AVAILABLE):
        return None
    return max(0.0, _deadline_s(deployment, current) - now_s) + 1.0


def _deadline_s(deployment: Object, current: Object) -> float:
    return parse_time(current["lastUpdateTime"]) + float(deployment["spec"]["progressDeadlineSeconds"])


def pause_condition(deployment: Object, now_s: float) -> Object | None:
    """The Progressing condition to set when a Deployment was just paused or resumed, so its deadline stands still."""
    conditions: Any = (deployment.get("status") or {}).get("conditions") or ()
    current = find(conditions, PROGRESSING)
    if not has_deadline(deployment) or (current is not None and current.get("reason") == TIMED_OUT):
        return None
    was_paused = current is not None and current.get("reason") == PAUSED
    paused = bool(deployment["spec"].get("paused"))
    if paused and not was_paused:
        return condition(PROGRESSING, "Unknown", PAUSED, "Deployment is paused", now_s)
    if was_paused and not paused:
        return condition(PROGRESSING, "Unknown", RESUMED, "Deployment is resumed", now_s)
    return None
