"""How many pods a ReplicaSet makes, which it gives up, and what it says of itself."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.api.meta import now_rfc3339
from picluster.controllers.replicaset import BURST_REPLICAS, new_status, plan, pod_from_template
from picluster.controllers.replicaset_ranking import DELETION_COST, deletion_cost, pods_to_delete

NOW_S = 1_700_000_000.0


def pod(
    name: str,
    *,
    node: str = "pi-1",
    phase: str = "Running",
    ready_s: float | None = 600.0,
    age_s: float = 3600.0,
    restarts: int = 0,
    cost: str | None = None,
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    """``ready_s`` and ``age_s`` are how long ago."""
    metadata: dict[str, Any] = {
        "name": name,
        "uid": name,
        "namespace": "default",
        "creationTimestamp": now_rfc3339(NOW_S - age_s),
        "labels": labels if labels is not None else {"app": "web"},
    }
    if cost is not None:
        metadata["annotations"] = {DELETION_COST: cost}
    condition = {"type": "Ready", "status": "False"}
    if ready_s is not None:
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": now_rfc3339(NOW_S - ready_s)}
    status = {"phase": phase, "conditions": [condition], "containerStatuses": [{"restartCount": restarts}]}
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}, "status": status}


FIRST_AND_THEN = [
    ("without a node", pod("a", node="", phase="Pending", ready_s=None), pod("b", phase="Pending", ready_s=None)),
    ("pending", pod("a", phase="Pending", ready_s=None), pod("b", ready_s=None)),
    ("unknown", pod("a", phase="Unknown", ready_s=None), pod("b", ready_s=None)),
    ("not ready", pod("a", ready_s=None), pod("b")),
    ("cheaper", pod("a", cost="-5"), pod("b", cost="3")),
    ("without a cost", pod("a"), pod("b", cost="3")),
    ("ready for less time", pod("a", ready_s=60), pod("b", ready_s=6000)),
    ("restarted more", pod("a", restarts=3), pod("b", restarts=1)),
    ("younger", pod("a", age_s=600), pod("b", age_s=60_000)),
]


@pytest.mark.parametrize(("why", "first", "then"), FIRST_AND_THEN, ids=[case[0] for case in FIRST_AND_THEN])
def test_who_goes_first(why: str, first: dict[str, Any], then: dict[str, Any]) -> None:
    for pods in ([first, then], [then, first]):
        assert pods_to_delete(pods, pods, 1, NOW_S) == [first]


def test_the_fuller_node_gives_first() -> None:
    mine = [pod("a", node="pi-1"), pod("b", node="pi-2")]
    siblings = [*mine, pod("c", node="pi-2")]
    assert pods_to_delete(mine, siblings, 1, NOW_S) == [mine[1]]


def test_about_one_age_is_one_age() -> None:
    """600 s and 700 s are in one power of two, so the uids decide."""
    assert pods_to_delete([pod("b", ready_s=600), pod("a", ready_s=700)], [], 1, NOW_S)[0]["metadata"]["name"] == "a"


@given(st.permutations([case[1] for case in FIRST_AND_THEN]), st.integers(0, 12))
def test_the_order_is_total(pods: list[dict[str, Any]], count: int) -> None:
    for index, one in enumerate(pods):
        one["metadata"]["uid"] = f"{one['metadata']['name']}{index}"
    shuffled = random.Random(count).sample(pods, len(pods))
    assert pods_to_delete(pods, pods, count, NOW_S)[:3] == pods_to_delete(shuffled, pods, count, NOW_S)[:3] or (
        count >= len(pods)
    )


@pytest.mark.parametrize(
    ("text", "cost"), [("7", 7), ("-7", -7), ("0", 0), ("07", 0), ("x", 0), ("", 0), ("99999999999", 0), ("+1", 0)]
)
def test_deletion_costs(text: str, cost: int) -> None:
    assert deletion_cost(pod("a", cost=text)) == cost


def test_a_plan_makes_what_is_missing_or_deletes_what_is_too_many() -> None:
    assert plan(3, [pod("a")], [], NOW_S).create == 2
    assert plan(10_000, [], [], NOW_S).create == BURST_REPLICAS
    assert plan(1, [pod("a")], [], NOW_S).create == 0
    deleted = plan(0, [pod("a"), pod("b")], [], NOW_S).delete
    assert {one["metadata"]["name"] for one in deleted} == {"a", "b"}


def replica_set(**spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "default", "uid": "rs", "generation": 4},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }


def test_the_status_counts() -> None:
    active = [pod("a"), pod("b", ready_s=5, labels={}), pod("c", ready_s=None)]
    status = new_status(replica_set(minReadySeconds=30), active, 1, None, False, NOW_S)
    assert status == {
        "replicas": 3,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "terminatingReplicas": 1,
        "observedGeneration": 4,
    }
    assert new_status(replica_set(), [], 0, None, False, NOW_S) == {
        "replicas": 0,
        "terminatingReplicas": 0,
        "observedGeneration": 4,
    }


def test_a_failure_becomes_a_condition_and_goes_with_it() -> None:
    failed = replica_set()
    failed["status"] = new_status(failed, [], 0, "no quota", True, NOW_S)
    (condition,) = failed["status"]["conditions"]
    assert condition == {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": "no quota",
        "lastTransitionTime": now_rfc3339(NOW_S),
    }
    assert new_status(failed, [], 0, "no quota again", True, NOW_S + 9)["conditions"] == [condition]
    assert "conditions" not in new_status(failed, [], 0, None, False, NOW_S + 10)


def test_a_pod_is_its_template_and_has_its_controller() -> None:
    made = pod_from_template(replica_set())
    assert made["metadata"] == {
        "generateName": "web-",
        "namespace": "default",
        "labels": {"app": "web"},
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "web",
                "uid": "rs",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
