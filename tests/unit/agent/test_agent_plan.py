"""What the sync loop decides: a table for each rule (``test_agent_plan_faults`` has what comes of them together)."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api.meta import now_rfc3339
from picluster_agent.sync import spec
from picluster_agent.sync.model import Outcome, Plan, PodView, Seen, Start, State, Stop, Stopping
from picluster_agent.sync.plan import plan, settled
from picluster_agent.sync.restarts import next_round, restarts

NOW_S = 1_700_000_000.0
SANDBOX = "sandbox-1"


def pod(*names: str, policy: str = "Always", init: tuple[Any, ...] = (), **extra: Any) -> dict[str, Any]:
    """A pod with a container of each name; an init container may be a name or a whole container."""
    return {
        "metadata": {"name": "web", "namespace": "default", "uid": "u1", **extra.pop("metadata", {})},
        "spec": {
            "containers": [{"name": name, "image": "i"} for name in names or ("web",)],
            "initContainers": [one if isinstance(one, dict) else {"name": one, "image": "i"} for one in init],
            "restartPolicy": policy,
            **extra.pop("spec", {}),
        },
        "status": extra.pop("status", {}),
    }


def seen(name: str, state: State = State.RUNNING, attempt: int = 0, **fields: Any) -> Seen:
    fields.setdefault("sandbox", SANDBOX)
    fields.setdefault("spec_hash", spec.container_hash({"name": name, "image": "i"}))
    return Seen(id=f"{name}-{attempt}", name=name, attempt=attempt, state=state, **fields)


def view(of: dict[str, Any] | None, *containers: Seen, **fields: Any) -> PodView:
    fields.setdefault("sandbox", SANDBOX)
    return PodView(pod=of, seen=containers, now_s=fields.pop("now_s", NOW_S), **fields)


DELETED = {"deletionTimestamp": now_rfc3339(NOW_S), "deletionGracePeriodSeconds": 7}
SIDECAR = {"name": "side", "image": "i", "restartPolicy": "Always"}
EXITED = State.EXITED


@pytest.mark.parametrize(
    ("world", "starts"),
    [
        (view(pod("web"), sandbox=None), [Start("web", 0)]),
        (view(pod("a", "b"), seen("a")), [Start("b", 0)]),
        (view(pod("web"), seen("web")), []),
        (view(pod("web"), seen("web", EXITED)), [Start("web", 1)]),
        (view(pod("web"), seen("web", EXITED, 4, exit_code=1)), [Start("web", 5)]),
        (view(pod("web"), seen("web", EXITED), not_before={"web": NOW_S + 1}), []),
        (view(pod("web"), seen("web", EXITED), not_before={"web": NOW_S}), [Start("web", 1)]),
        (view(pod("web", policy="OnFailure"), seen("web", EXITED, exit_code=3)), [Start("web", 1)]),
        (view(pod("a", "b", policy="OnFailure"), seen("a", EXITED), seen("b")), []),
        (view(pod("a", "b", policy="Never"), seen("a", EXITED, exit_code=1), seen("b")), []),
        # never started in this sandbox: the same attempt again; another sandbox's is lost, and counts
        (view(pod("web"), seen("web", State.CREATED)), [Start("web", 0)]),
        (view(pod("web"), *settled([seen("web", State.CREATED, sandbox="old")], SANDBOX)), [Start("web", 1)]),
        # init containers: one after the other, again in a new sandbox, not again beside running containers
        (view(pod("web", init=("a", "b"))), [Start("a", 0)]),
        (view(pod("web", init=("a", "b")), seen("a")), []),
        (view(pod("web", init=("a", "b")), seen("a", EXITED)), [Start("b", 0)]),
        (view(pod("web", init=("a",)), seen("a", EXITED, exit_code=1)), [Start("a", 1)]),
        (view(pod("web", init=("a",)), seen("a", EXITED)), [Start("web", 0)]),
        (view(pod("web", init=("a",)), seen("a", EXITED, sandbox="old")), [Start("a", 1)]),
        (view(pod("web", init=("a",)), seen("web")), []),
        (view(pod("web", init=("a",)), seen("web", EXITED)), [Start("web", 1)]),
        # sidecars: the next waits until they have started; they restart while the others run
        (view(pod("web", init=(SIDECAR,)), seen("side")), []),
        (view(pod("web", init=(SIDECAR,)), seen("side"), started=frozenset({"side-0"})), [Start("web", 0)]),
        (view(pod("web", init=(SIDECAR,)), seen("side", EXITED), seen("web")), [Start("side", 1)]),
        (view(pod("web", init=(SIDECAR, "a")), seen("side", EXITED), seen("a")), [Start("side", 1)]),
        (view(pod("web", init=(SIDECAR, "a")), seen("side"), seen("a", EXITED, exit_code=1)), [Start("a", 1)]),
        (
            view(pod("web", init=(SIDECAR, "a")), seen("side", EXITED), seen("a", EXITED, exit_code=1)),
            [Start("side", 1), Start("a", 1)],
        ),
        (view(pod("web", init=(SIDECAR,)), seen("web")), [Start("side", 0)]),
    ],
)
def test_what_starts(world: PodView, starts: list[Start]) -> None:
    assert list(plan(world).start) == starts


def debugged(**extra: Any) -> dict[str, Any]:
    ephemeral = {"name": "debug", "image": "i"}
    return pod("web", spec={"ephemeralContainers": [ephemeral]}, **extra)


KNOWN = {"ephemeralContainerStatuses": [{"name": "debug", "containerID": "podman://x"}]}


@pytest.mark.parametrize(
    ("world", "starts"),
    [
        (view(debugged(), seen("web")), ["debug"]),
        (view(debugged()), ["debug", "web"]),
        (view(debugged(), seen("web"), seen("debug")), []),
        (view(debugged(), seen("web"), seen("debug", EXITED, exit_code=1)), []),
        (view(debugged(), seen("web"), seen("debug", EXITED, sandbox="old")), []),
        (view(debugged(status=KNOWN), seen("web")), []),  # it ran once, and Podman has forgotten it
        (view(debugged(), seen("web"), busy=frozenset({"debug"})), []),
    ],
)
def test_an_ephemeral_container_starts_once(world: PodView, starts: list[str]) -> None:
    assert [start.name for start in plan(world).start] == starts


def test_an_ephemeral_container_counts_in_no_end() -> None:
    of = debugged()
    of["spec"]["restartPolicy"] = "Never"
    doing = plan(view(of, seen("web", EXITED), seen("debug")))
    assert doing.outcome == Outcome("Succeeded")
    assert [stop.name for stop in doing.stop] == ["debug"]


RULE = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
NOT_IN = {"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [0, 1]}}
ALL = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}


@pytest.mark.parametrize(
    ("pods", "own", "rules", "code", "again"),
    [
        ("Always", None, [], 0, True),
        ("OnFailure", None, [], 0, False),
        ("OnFailure", None, [], 1, True),
        ("Never", None, [], 1, False),
        ("Always", "Never", [], 1, False),
        ("Never", "Always", [], 0, True),
        ("Always", "OnFailure", [], 0, False),
        ("Never", "Never", [RULE], 42, True),
        ("Never", "Never", [RULE], 1, False),
        ("Never", "Never", [NOT_IN], 2, True),
        ("Never", "Never", [NOT_IN], 1, False),
        ("Never", "OnFailure", [RULE], 1, True),
        ("Never", "Never", [ALL, RULE], 42, False),  # the first rule that matches; this one is not the container's own
        ("Never", None, [RULE], 42, False),  # rules need a policy of the container's own
    ],
)
def test_restarts_by_rule_then_container_then_pod(
    pods: str, own: str | None, rules: list[Any], code: int, again: bool
) -> None:
    of = pod("web", policy=pods)
    container = {"name": "web", "restartPolicyRules": rules, **({"restartPolicy": own} if own else {})}
    assert restarts(container, of, code) == again


def test_all_containers_begin_anew_when_one_asks_for_it() -> None:
    of = pod("web", "log", policy="Never", init=("a",))
    of["spec"]["containers"][0].update(restartPolicy="Never", restartPolicyRules=[ALL])
    ended = [seen("a", EXITED), seen("web", EXITED, exit_code=42)]
    stopping = plan(view(of, *ended, seen("log")))
    assert [(stop.name, stop.grace_s, stop.hook) for stop in stopping.stop] == [("log", 0.0, False)]
    rest = [*ended, seen("log", EXITED)]
    assert plan(view(of, *rest, busy=frozenset({"log"}))).renew == ""
    held = plan(view(of, *rest, not_before={"web": NOW_S + 10}))
    assert (held.renew, held.wake_s) == ("", NOW_S + 10)
    assert plan(view(of, *rest)).renew == "web"
    anew = next_round(SANDBOX)
    assert plan(view(of, *rest, sandbox=anew)).start == (Start("a", 1),)
    again = seen("a", EXITED, 1, sandbox=anew)
    assert plan(view(of, *rest, again, sandbox=anew)).start == (Start("web", 1), Start("log", 1))
    assert next_round(anew) == f"{SANDBOX}.2"


def test_nothing_is_taken_down_while_a_container_is_being_made() -> None:
    gone = pod("web", metadata=DELETED)
    assert plan(view(gone, busy=frozenset({"web"}))) == Plan()
    assert plan(view(None, busy=frozenset({"web"}))) == Plan()


def test_a_restart_count_survives_the_loss_of_every_container() -> None:
    status = {"containerStatuses": [{"name": "web", "restartCount": 6, "containerID": "podman://x"}]}
    assert plan(view(pod("web", status=status))).start == (Start("web", 7),)
    status = {"containerStatuses": [{"name": "web", "restartCount": 0}]}
    assert plan(view(pod("web", status=status))).start == (Start("web", 0),)


@pytest.mark.parametrize(
    ("policy", "containers", "outcome"),
    [
        ("Always", [seen("a", EXITED), seen("b", EXITED)], None),
        ("OnFailure", [seen("a", EXITED), seen("b", EXITED)], Outcome("Succeeded")),
        ("OnFailure", [seen("a", EXITED, exit_code=1), seen("b", EXITED)], None),
        ("Never", [seen("a", EXITED), seen("b", EXITED)], Outcome("Succeeded")),
        ("Never", [seen("a", EXITED, exit_code=1), seen("b", EXITED)], Outcome("Failed")),
        ("Never", [seen("a", EXITED, exit_code=1), seen("b")], None),
        ("Never", [seen("a", EXITED)], None),
    ],
)
def test_when_a_pod_is_over(policy: str, containers: list[Seen], outcome: Outcome | None) -> None:
    doing = plan(view(pod("a", "b", policy=policy), *containers))
    assert doing.outcome == outcome
    if outcome:
        assert doing.tear_down and not doing.start and not doing.release


def test_an_init_container_that_fails_fails_a_pod_that_never_restarts() -> None:
    doing = plan(view(pod("web", policy="Never", init=("a",)), seen("a", EXITED, exit_code=1)))
    assert doing.outcome == Outcome("Failed")
    assert doing.tear_down


def test_a_pod_past_its_deadline_is_stopped() -> None:
    late = pod("web", spec={"activeDeadlineSeconds": 5}, status={"startTime": now_rfc3339(NOW_S - 5)})
    doing = plan(view(late, seen("web")))
    assert doing.outcome is not None and doing.outcome.reason == "DeadlineExceeded"
    assert [stop.id for stop in doing.stop] == ["web-0"]
    early = pod("web", spec={"activeDeadlineSeconds": 6}, status={"startTime": now_rfc3339(NOW_S - 5)})
    assert plan(view(early, seen("web"))).wake_s == NOW_S + 1


def test_a_pod_that_the_server_calls_over_is_not_started_again() -> None:
    evicted = pod("web", status={"phase": "Failed", "reason": "Evicted", "message": "m"})
    assert plan(view(evicted)).outcome == Outcome("Failed", "Evicted", "m", bare=True)
    assert plan(view(evicted, torn_down=True)) == Plan(outcome=Outcome("Failed", "Evicted", "m", bare=True))


def test_a_deleted_pod_is_told_to_stop_then_killed_then_taken_down_then_let_go() -> None:
    gone = pod("web", metadata=DELETED)
    told = plan(view(gone, seen("web")))
    assert told.stop == (Stop("web-0", "web", 7.0, "Stopping container web"),)
    for told, step in (
        (Stopping(NOW_S + 7), Plan(signal=("web-0",))),
        (Stopping(NOW_S + 7, hooked=False), Plan(wake_s=NOW_S + 7)),
        (Stopping(NOW_S, hooked=False), Plan(signal=("web-0",))),  # preStop has had its time
        (Stopping(NOW_S + 7, signalled_s=NOW_S), Plan(wake_s=NOW_S + 7)),
        (Stopping(NOW_S, signalled_s=NOW_S - 1), Plan(wake_s=NOW_S + 1)),  # never less than two seconds
        (Stopping(NOW_S, signalled_s=NOW_S - 2), Plan(kill=("web-0",))),
        (Stopping(NOW_S, signalled_s=NOW_S - 2, killed_s=NOW_S), Plan(wake_s=NOW_S + 10)),
        (Stopping(NOW_S, signalled_s=NOW_S - 20, killed_s=NOW_S - 10), Plan(kill=("web-0",))),
    ):
        assert plan(view(gone, seen("web"), stopping={"web-0": told})) == step, told
    assert plan(view(gone, seen("web", EXITED))) == Plan(tear_down=True)
    assert plan(view(gone, seen("web", EXITED), torn_down=True)) == Plan(release=True)
    assert plan(view(None, seen("web", EXITED), torn_down=True)) == Plan(remove=("web-0",), release=True)


def test_a_shorter_grace_replaces_a_longer_one() -> None:
    hurried = pod("web", metadata={**DELETED, "deletionGracePeriodSeconds": 0})
    doing = plan(view(hurried, seen("web"), stopping={"web-0": Stopping(NOW_S + 30, signalled_s=NOW_S)}))
    assert doing.stop == (Stop("web-0", "web", 1.0),)


def test_sidecars_stop_after_the_others_the_last_one_first() -> None:
    gone = pod("web", init=({**SIDECAR, "name": "one"}, {**SIDECAR, "name": "two"}), metadata=DELETED)
    everyone = [seen("one"), seen("two"), seen("web")]
    assert [stop.name for stop in plan(view(gone, *everyone)).stop] == ["one", "two", "web"]
    told = {one.id: Stopping(NOW_S + 7) for one in everyone}
    assert plan(view(gone, *everyone, stopping=told)).signal == ("web-0",)
    assert plan(view(gone, *everyone[:2], seen("web", EXITED), stopping=told)).signal == ("two-0",)
    assert plan(view(gone, seen("one"), seen("two", EXITED), seen("web", EXITED), stopping=told)).signal == ("one-0",)
    late = plan(view(gone, *everyone, stopping=told, now_s=NOW_S + 7))
    assert late.signal == ("one-0", "two-0", "web-0"), "the grace is over for all of them"


def test_a_container_that_a_probe_gave_up_on_is_stopped_with_the_probes_grace() -> None:
    probed = pod("web")
    probed["spec"]["containers"][0]["livenessProbe"] = {"terminationGracePeriodSeconds": 3}
    doing = plan(view(probed, seen("web"), unhealthy={"web-0": "Liveness"}))
    message = "Container web failed liveness probe, will be restarted"
    assert doing.stop == (Stop("web-0", "web", 3.0, message, replace=True),)
    assert not doing.start


def test_a_container_with_another_image_is_replaced() -> None:
    doing = plan(view(pod("web"), seen("web", spec_hash="other")))
    message = "Container web definition changed, will be restarted"
    assert doing.stop == (Stop("web-0", "web", 30.0, message, replace=True),)
    never = pod("web", policy="Never")
    assert plan(view(never, seen("web", spec_hash="other"))).stop[0].replace
    ended = seen("web", EXITED, spec_hash="other")
    assert plan(view(never, ended, replacing=frozenset({"web-0"}))).start == (Start("web", 1),)


def test_a_container_of_another_sandbox_is_killed_before_anything_starts() -> None:
    doing = plan(view(pod("web", "log"), seen("web", sandbox="old")))
    assert doing.kill == ("web-0",)
    assert not doing.start


def test_of_the_dead_only_the_newest_stays() -> None:
    dead = [seen("web", EXITED, attempt) for attempt in range(3)]
    assert plan(view(pod("web"), *dead)).remove == ("web-0", "web-1")
    assert plan(view(pod("web"), *dead, seen("web", State.RUNNING, 3))).remove == ("web-0", "web-1")


def test_as_many_dead_containers_are_kept_as_the_settings_say() -> None:
    dead = [seen("web", EXITED, attempt) for attempt in range(4)]
    assert plan(view(pod("web"), *dead, dead_max=3)).remove == ("web-0",)
    assert plan(view(pod("web"), *dead, dead_max=0)).remove == ("web-0", "web-1", "web-2")


def test_a_pod_that_the_node_rules_over_ends_with_what_the_node_gives_it() -> None:
    ruling = Outcome("Failed", "Evicted", "low on memory", disruption="low on memory", grace_s=1.0)
    doing = plan(view(pod("web"), seen("web"), ruling=ruling))
    assert doing.outcome == ruling
    assert [(stop.id, stop.grace_s) for stop in doing.stop] == [("web-0", 1.0)]
    assert plan(view(pod("web"), ruling=Outcome("Failed", "OutOfcpu", bare=True))).tear_down
    assert not plan(view(pod("web"), ruling=Outcome("Failed", "OutOfcpu", bare=True))).start


def test_a_container_that_takes_its_resources_by_a_restart_is_replaced() -> None:
    doing = plan(view(pod("a", "b"), seen("a"), seen("b"), resized=frozenset({"b"})))
    assert [(stop.id, stop.message, stop.replace) for stop in doing.stop] == [
        ("b-0", "Container b resize requires restart", True)
    ]
