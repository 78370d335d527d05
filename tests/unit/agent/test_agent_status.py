"""A pod's status: phases, conditions, container states, as the kubelet has them."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api.meta import get_condition, now_rfc3339
from picluster_agent.podman.users import LinuxUser
from picluster_agent.sync.containerstatus import StatusInput
from picluster_agent.sync.model import Outcome, Seen, State, Waiting
from picluster_agent.sync.status import pod_status
from picluster_agent.sync.writer import covers

NOW_S = 1_700_000_000.0
NOW = now_rfc3339(NOW_S)
UNREADY = "containers with unready status: [web]"
SIDECAR = {"name": "side", "image": "i", "restartPolicy": "Always"}


def pod(*init: Any, policy: str = "Always", status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "d", "uid": "u", "generation": 3, **metadata},
        "spec": {
            "restartPolicy": policy,
            "containers": [{"name": "web", "image": "app:1"}],
            "initContainers": [one if isinstance(one, dict) else {"name": one, "image": "i"} for one in init],
        },
        "status": status or {},
    }


def seen(name: str = "web", state: State = State.RUNNING, attempt: int = 0, **fields: Any) -> Seen:
    fields.setdefault("started_s", NOW_S - 10)
    return Seen(id=f"{name}{attempt}", name=name, attempt=attempt, state=state, image_id="sha", **fields)


def status_of(of: dict[str, Any], *containers: Seen, **fields: Any) -> dict[str, Any]:
    fields = {
        "sandbox": "s",
        "now_s": NOW_S,
        "start_time": NOW,
        "host_ip": "10.0.0.1",
        "pod_ip": "10.42.0.9",
        "attached": True,
        **fields,
    }
    over = fields.get("outcome") is not None or "deletionTimestamp" in of["metadata"]
    fields.setdefault("ended", over and not any(one.running for one in containers))
    return pod_status(of, StatusInput(seen=containers, **fields))


def well(*ids: str) -> dict[str, Any]:
    return {"ready": frozenset(ids), "started": frozenset(ids)}


DEAD = {"exit_code": 1, "finished_s": NOW_S - 5, "reason": "Error"}
LOST = {"exit_code": 255, "reason": "Unknown", "started_s": 0.0}


@pytest.mark.parametrize(
    ("of", "containers", "fields", "phase"),
    [
        (pod(), (), {}, "Pending"),
        (pod(), (seen(),), {}, "Running"),
        (pod(), (seen(state=State.EXITED, **DEAD),), {}, "Running"),
        (pod(), (seen(state=State.EXITED, **DEAD),), {"waiting": {"web": Waiting("CrashLoopBackOff", "")}}, "Running"),
        (pod("init"), (seen("init"),), {}, "Pending"),
        (pod("init"), (seen("init", State.EXITED),), {}, "Pending"),
        (pod("init"), (seen("init", State.EXITED), seen()), {}, "Running"),
        (pod(SIDECAR), (seen("side"),), {}, "Pending"),
        (pod(SIDECAR), (seen("side"), seen()), well("side0", "web0"), "Running"),
        (pod(policy="Never"), (seen(state=State.EXITED),), {"outcome": Outcome("Succeeded")}, "Succeeded"),
        (pod(policy="Never"), (seen(state=State.EXITED, **DEAD),), {"outcome": Outcome("Failed")}, "Failed"),
        (pod(deletionTimestamp=NOW), (seen(),), {}, "Running"),
        (pod(deletionTimestamp=NOW), (seen(state=State.EXITED),), {}, "Succeeded"),
        (pod(deletionTimestamp=NOW), (seen(state=State.EXITED, **DEAD),), {}, "Failed"),
        (pod(deletionTimestamp=NOW), (), {}, "Failed"),
        (pod(status={"phase": "Failed"}), (seen(),), {}, "Failed"),
    ],
)
def test_phase(of: dict[str, Any], containers: tuple[Seen, ...], fields: dict[str, Any], phase: str) -> None:
    assert status_of(of, *containers, **fields)["phase"] == phase


@pytest.mark.parametrize(
    ("of", "containers", "fields", "kind", "expected"),
    [
        (pod(), (seen(),), well("web0"), "Ready", ("True", None, None)),
        (pod(), (seen(),), {}, "Ready", ("False", "ContainersNotReady", UNREADY)),
        (pod(), (seen(),), {}, "ContainersReady", ("False", "ContainersNotReady", UNREADY)),
        (pod(), (), {}, "Initialized", ("True", None, None)),
        (
            pod("a"),
            (),
            {},
            "Initialized",
            ("False", "ContainersNotInitialized", "containers with incomplete status: [a]"),
        ),
        (pod("a"), (seen("a", State.EXITED),), {}, "Initialized", ("True", None, None)),
        (pod("a"), (seen(),), well("web0"), "Initialized", ("True", None, None)),
        (pod(), (), {}, "PodReadyToStartContainers", ("True", None, None)),
        (pod(), (), {"attached": False}, "PodReadyToStartContainers", ("False", None, None)),
        (pod(), (), {}, "PodScheduled", ("True", None, None)),
        (
            pod(policy="Never"),
            (seen(state=State.EXITED),),
            {"outcome": Outcome("Succeeded")},
            "Ready",
            ("False", "PodCompleted", None),
        ),
        (
            pod(policy="Never"),
            (seen(state=State.EXITED, **DEAD),),
            {"outcome": Outcome("Failed")},
            "ContainersReady",
            ("False", "PodFailed", None),
        ),
    ],
)
def test_conditions(
    of: dict[str, Any], containers: tuple[Seen, ...], fields: dict[str, Any], kind: str, expected: tuple[Any, ...]
) -> None:
    condition = get_condition({"status": status_of(of, *containers, **fields)}, kind)
    assert condition is not None
    assert (condition["status"], condition.get("reason"), condition.get("message")) == expected
    assert condition["observedGeneration"] == 3


def test_readiness_gates() -> None:
    gated = pod()
    gated["spec"]["readinessGates"] = [{"conditionType": "x/lb"}]
    condition = get_condition({"status": status_of(gated, seen(), **well("web0"))}, "Ready")
    assert condition is not None and condition["reason"] == "ReadinessGatesNotReady"
    assert condition["message"] == 'corresponding condition of pod readiness gate "x/lb" does not exist.'
    gated["status"] = {"conditions": [{"type": "x/lb", "status": "True"}]}
    condition = get_condition({"status": status_of(gated, seen(), **well("web0"))}, "Ready")
    assert condition is not None and condition["status"] == "True"


def test_a_condition_keeps_the_time_of_its_change() -> None:
    earlier = now_rfc3339(NOW_S - 100)
    conditions = [{"type": kind, "status": "True", "lastTransitionTime": earlier} for kind in ("Ready", "Initialized")]
    status = status_of(pod(status={"conditions": conditions, "startTime": earlier}), seen())
    times = {one["type"]: one["lastTransitionTime"] for one in status["conditions"]}
    assert (times["Initialized"], times["Ready"]) == (earlier, NOW)
    assert status["startTime"] == earlier


def container(of: dict[str, Any], *containers: Seen, **fields: Any) -> dict[str, Any]:
    return dict(status_of(of, *containers, **fields)["containerStatuses"][0])


def test_a_running_container_after_a_crash() -> None:
    one = container(pod(), seen(state=State.EXITED, **DEAD), seen(attempt=1), **well("web1"))
    assert one["state"] == {"running": {"startedAt": now_rfc3339(NOW_S - 10)}}
    assert one["lastState"]["terminated"]["exitCode"] == 1
    assert one["lastState"]["terminated"]["containerID"] == "podman://web0"
    assert (one["restartCount"], one["containerID"], one["ready"], one["started"]) == (1, "podman://web1", True, True)


def test_a_container_in_back_off_waits_and_its_end_is_the_last_state() -> None:
    waiting = Waiting("CrashLoopBackOff", "back-off 10s restarting failed container=web pod=web_d(u)")
    one = container(pod(), seen(state=State.EXITED, **DEAD), waiting={"web": waiting}, messages={"web0": "why"})
    assert one["state"] == {"waiting": {"reason": waiting.reason, "message": waiting.message}}
    assert one["lastState"]["terminated"]["reason"] == "Error"
    assert one["lastState"]["terminated"]["message"] == "why"


def test_a_container_that_the_power_cut_took() -> None:
    one = container(pod(), seen(state=State.EXITED, **LOST), seen(attempt=1))
    assert one["lastState"]["terminated"]["exitCode"] == 255
    assert one["lastState"]["terminated"]["reason"] == "Unknown"
    assert one["lastState"]["terminated"]["finishedAt"] is None
    assert one["restartCount"] == 1


@pytest.mark.parametrize(("init", "reason"), [((), "ContainerCreating"), (("a",), "PodInitializing")])
def test_a_container_that_has_not_begun(init: tuple[str, ...], reason: str) -> None:
    one = container(pod(*init))
    assert one["state"] == {"waiting": {"reason": reason}}
    assert (one["restartCount"], one["started"], "containerID" in one) == (0, False, False)


def test_what_was_never_found_is_said_to_be_lost_at_the_end() -> None:
    ended = container(pod(deletionTimestamp=NOW))["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "ContainerStatusUnknown")


def test_an_eviction_says_why() -> None:
    status = status_of(pod(), outcome=Outcome("Failed", "Evicted", "no room"))
    assert (status["reason"], status["message"]) == ("Evicted", "no room")


def test_resources_and_mounts_are_reported() -> None:
    described = pod()
    described["spec"]["containers"][0].update(
        resources={"requests": {"cpu": "1"}, "limits": {"cpu": "2"}},
        volumeMounts=[{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/w", "readOnly": True}],
    )
    one = container(described, seen())
    assert one["allocatedResources"] == {"cpu": "1"}
    assert one["resources"] == {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}
    assert one["volumeMounts"] == [
        {"name": "v", "mountPath": "/v"},
        {"name": "w", "mountPath": "/w", "readOnly": True, "recursiveReadOnly": "Disabled"},
    ]


@pytest.mark.parametrize(
    ("known", "wanted", "same"),
    [
        ({"phase": "Running", "extra": 1}, {"phase": "Running"}, True),
        ({"phase": "Pending"}, {"phase": "Running"}, False),
        ({"s": [{"a": 1}]}, {"s": [{"a": 1, "b": None}]}, True),
        ({"s": [{"a": 1, "b": 2}]}, {"s": [{"a": 1}]}, False),
        ({"s": [{"ready": False}]}, {"s": [{"ready": True}]}, False),
        ({}, {"s": {}}, True),
        (
            {"conditions": [{"type": "B", "status": "True"}, {"type": "A", "status": "True", "x": 1}]},
            {"conditions": [{"type": "A", "status": "True"}]},
            True,
        ),
        ({"conditions": []}, {"conditions": [{"type": "A", "status": "True"}]}, False),
    ],
)
def test_only_a_difference_is_written(known: dict[str, Any], wanted: dict[str, Any], same: bool) -> None:
    assert covers(known, wanted) is same


def test_a_pod_that_the_node_did_not_take_says_nothing_but_why() -> None:
    status = status_of(pod(), outcome=Outcome("Failed", "OutOfcpu", "Pod was rejected: no", bare=True))
    assert status == {
        "observedGeneration": 3,
        "phase": "Failed",
        "reason": "OutOfcpu",
        "message": "Pod was rejected: no",
        "qosClass": "BestEffort",
    }


def test_conditions_of_a_resize_are_there_while_they_are_true() -> None:
    pending = {"type": "PodResizePending", "status": "True", "reason": "Deferred", "observedGeneration": 2}
    status = status_of(pod(), seen(), notices=(pending,))
    found = get_condition({"status": status}, "PodResizePending")
    assert found is not None and (found["reason"], found["observedGeneration"]) == ("Deferred", 2)
    later = status_of(pod(status=status), seen())
    assert {"$patch": "delete", "type": "PodResizePending"} in later["conditions"]
    assert not covers(status, later)
    without = {**status, "conditions": [one for one in status["conditions"] if one["type"] != "PodResizePending"]}
    assert covers(without, later)


def test_what_a_container_has_is_told_beside_what_it_was_granted() -> None:
    of = pod()
    of["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2"}}
    told = status_of(of, seen(), given={"web": {"requests": {"cpu": "1"}}})["containerStatuses"][0]
    assert (told["allocatedResources"], told["resources"]) == ({"cpu": "2"}, {"requests": {"cpu": "1"}})


def test_a_pod_that_the_node_ended_is_said_to_be_disrupted_once_it_has_ended() -> None:
    outcome = Outcome("Failed", "Evicted", "low", disruption="low")
    assert get_condition({"status": status_of(pod(), seen(), outcome=outcome)}, "DisruptionTarget") is None
    target = get_condition({"status": status_of(pod(), outcome=outcome)}, "DisruptionTarget")
    assert target is not None and (target["reason"], target["message"]) == ("TerminationByKubelet", "low")


def remembered(state: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "containerStatuses": [
            {"name": "web", "restartCount": 3, "containerID": "podman://web3", "state": state, **fields}
        ]
    }


RUNNING = {"running": {"startedAt": NOW}}
ENDED = {"terminated": {"exitCode": 3}}
USED_TO_RUN = "The container could not be located when the pod was deleted.  The container used to be Running"


@pytest.mark.parametrize(
    ("state", "count", "identity", "last"),
    [
        (RUNNING, 4, None, USED_TO_RUN),  # it counts as a restart, as with the kubelet
        ({"waiting": {"reason": "CrashLoopBackOff"}}, 3, "podman://web3", None),
    ],
)
def test_what_podman_forgot_is_not_counted_twice(
    state: dict[str, Any], count: int, identity: str | None, last: str | None
) -> None:
    one = status_of(pod(status=remembered(state)))["containerStatuses"][0]
    assert (one["restartCount"], one.get("containerID")) == (count, identity)
    assert one["lastState"].get("terminated", {}).get("message") == last
    assert one["state"] == {"waiting": {"reason": "ContainerCreating"}}


def test_an_end_that_was_told_of_stays_though_podman_forgot_it() -> None:
    of = pod(status=remembered(ENDED))
    for left in ((), (seen("web", State.EXITED, 2, **DEAD),)):
        one = status_of(of, *left)["containerStatuses"][0]
        assert (one["state"], one["restartCount"], one["containerID"]) == (ENDED, 3, "podman://web3")


def test_statuses_are_sorted_by_name_and_share_the_room_for_messages() -> None:
    of = pod("init")
    of["spec"]["containers"] = [{"name": name, "image": "i"} for name in ("web", "db")]
    of["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "i"}]
    ended = [seen(name, State.EXITED, **DEAD) for name in ("web", "db")]
    status = status_of(of, *ended, messages={one.id: "x" * 4096 for one in ended})
    assert [one["name"] for one in status["containerStatuses"]] == ["db", "web"]
    assert {len(one["state"]["terminated"]["message"]) for one in status["containerStatuses"]} == {3 * 1024}
    assert status["ephemeralContainerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


def test_as_whom_a_container_runs_is_kept() -> None:
    user = LinuxUser(1000, 1000, (1000, 2000))
    linux = {"linux": {"uid": 1000, "gid": 1000, "supplementalGroups": [1000, 2000]}}
    told = status_of(pod(), seen(user=user))["containerStatuses"][0]
    assert told["user"] == linux
    later = pod(status={"containerStatuses": [told]})
    assert status_of(later, seen(state=State.EXITED, **DEAD))["containerStatuses"][0]["user"] == linux
    assert "user" not in status_of(later, seen(attempt=1))["containerStatuses"][0]


def test_a_running_init_container_is_not_ready_and_a_reason_waits_for_the_end() -> None:
    status = status_of(pod("init"), seen("init"), **well("init0"))
    assert (status["initContainerStatuses"][0]["ready"], status["initContainerStatuses"][0]["started"]) == (False, True)
    late = Outcome("Failed", "DeadlineExceeded", "m")
    assert "reason" not in status_of(pod(status={"phase": "Running"}), seen(), outcome=late)
    assert status_of(pod(), seen(state=State.EXITED), outcome=late)["reason"] == "DeadlineExceeded"
