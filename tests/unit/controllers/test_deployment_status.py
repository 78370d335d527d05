"""What a Deployment says in every state of a roll-out: ``kubectl rollout status`` reads it."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api.meta import now_rfc3339
from picluster.controllers import deployment_status as statuses
from picluster.controllers.deployment_rollout import Strategy
from picluster.controllers.deployment_status import Member

NOW_S = 1_700_000_000.0
STRATEGY = Strategy(3, 1, 1)


def deployment(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "default", "generation": 2},
        "spec": {"replicas": 3, "progressDeadlineSeconds": 600, **spec},
        "status": status or {},
    }


def progressing(reason: str, status: str = "True", ago_s: float = 0.0) -> dict[str, Any]:
    return statuses.condition("Progressing", status, reason, "…", NOW_S - ago_s)


def run(given: dict[str, Any], new: Member | None, *olds: Member, now_s: float = NOW_S) -> dict[str, Any]:
    counted = statuses.counted(given, STRATEGY, new, olds, now_s)
    return statuses.progressed(given, counted, "web-1" if new else None, [], now_s)


def said(status: dict[str, Any], kind: str) -> tuple[str, str, str]:
    condition = statuses.find(status["conditions"], kind)
    assert condition is not None
    return condition["status"], condition["reason"], condition["message"]


def test_counts_are_sums_and_nought_is_left_out() -> None:
    status = statuses.counted(deployment(), STRATEGY, Member(2, 2, 1, 1, 1), [Member(2, 2, 2, 2)], NOW_S)
    counts = {name: value for name, value in status.items() if name != "conditions"}
    assert counts == {
        "observedGeneration": 2,
        "replicas": 4,
        "updatedReplicas": 2,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "unavailableReplicas": 1,
        "terminatingReplicas": 1,
    }


@pytest.mark.parametrize(
    ("available", "expected"),
    [
        (2, ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")),
        (1, ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")),
    ],
)
def test_availability(available: int, expected: tuple[str, str, str]) -> None:
    status = statuses.counted(deployment(), STRATEGY, Member(3, 3, available, available), [], NOW_S)
    assert said(status, "Available") == expected


def test_complete() -> None:
    given = deployment({"conditions": [progressing("ReplicaSetUpdated")]})
    status = run(given, Member(3, 3, 3, 3))
    assert said(status, "Progressing") == (
        "True",
        "NewReplicaSetAvailable",
        'ReplicaSet "web-1" has successfully progressed.',
    )


def test_progress_moves_the_update_time_and_not_the_transition() -> None:
    given = deployment({"conditions": [progressing("ReplicaSetUpdated", ago_s=100)], "replicas": 3})
    status = run(given, Member(1, 1, 0, 0), Member(3, 3, 3, 3))
    condition = statuses.find(status["conditions"], "Progressing")
    assert condition is not None
    assert condition["message"] == 'ReplicaSet "web-1" is progressing.'
    assert condition["lastUpdateTime"] == now_rfc3339(NOW_S)
    assert condition["lastTransitionTime"] == now_rfc3339(NOW_S - 100)


def standing(ago_s: float, reason: str = "ReplicaSetUpdated") -> dict[str, Any]:
    """A roll-out in which nothing has moved for so long."""
    given = deployment()
    given["status"] = run(given, Member(1, 1, 0, 0), Member(3, 3, 3, 3))
    conditions = statuses.without_condition(given["status"]["conditions"], "Progressing")
    given["status"]["conditions"] = [*conditions, progressing(reason, ago_s=ago_s)]
    return given


def test_a_rollout_that_stands_still_times_out_once() -> None:
    members = Member(1, 1, 0, 0), Member(3, 3, 3, 3)
    status = run(standing(599), *members)
    assert said(status, "Progressing")[1] == "ReplicaSetUpdated"
    assert statuses.check_again_s(standing(599), status, NOW_S) == 2.0
    status = run(standing(601), *members)
    assert said(status, "Progressing") == (
        "False",
        "ProgressDeadlineExceeded",
        'ReplicaSet "web-1" has timed out progressing.',
    )
    assert statuses.check_again_s(standing(601), status, NOW_S) is None


def test_what_is_complete_does_not_time_out_when_a_pod_fails_later() -> None:
    given = deployment({"conditions": [progressing("NewReplicaSetAvailable", ago_s=5000)], "readyReplicas": 3})
    status = run(given, Member(3, 3, 2, 2))
    assert said(status, "Progressing")[1] == "NewReplicaSetAvailable"
    assert statuses.check_again_s(given, status, NOW_S) is None


def test_without_a_deadline_there_is_no_progress_to_speak_of() -> None:
    given = deployment({"conditions": [progressing("ReplicaSetUpdated")]}, progressDeadlineSeconds=2**31 - 1)
    assert [one["type"] for one in run(given, Member(3, 3, 3, 3))["conditions"]] == ["Available"]


def test_a_replica_failure_is_passed_on_and_taken_back() -> None:
    given = deployment()
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "no quota"}
    counted = statuses.counted(given, STRATEGY, Member(3, 0, 0, 0), [], NOW_S)
    status = statuses.progressed(given, counted, "web-1", [failure], NOW_S)
    assert said(status, "ReplicaFailure") == ("True", "FailedCreate", "no quota")
    given["status"] = status
    assert statuses.find(run(given, Member(3, 3, 3, 3))["conditions"], "ReplicaFailure") is None


def test_pausing_and_resuming() -> None:
    paused = statuses.pause_condition(deployment(paused=True), NOW_S)
    assert paused is not None
    assert (paused["status"], paused["reason"], paused["message"]) == (
        "Unknown",
        "DeploymentPaused",
        "Deployment is paused",
    )
    given = deployment({"conditions": [paused]}, paused=True)
    assert statuses.pause_condition(given, NOW_S) is None
    given["spec"]["paused"] = False
    resumed = statuses.pause_condition(given, NOW_S)
    assert resumed is not None
    assert (resumed["reason"], resumed["message"]) == ("DeploymentResumed", "Deployment is resumed")
    assert statuses.pause_condition(deployment(), NOW_S) is None
