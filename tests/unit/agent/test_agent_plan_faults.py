"""Whatever goes wrong on a node, and in whatever order: what the plan leads to keeps the promises of Kubernetes."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pod_world import PodWorld

from picluster_agent.sync import spec
from picluster_agent.sync.model import State, latest
from picluster_agent.sync.plan import plan, settled
from picluster_agent.sync.restarts import restart_all_asked_by

SETTLE_STEPS_MAX = 120
QUIET_STEPS = 5
FAULTS = (
    "crash", "crash", "back_off", "cut_power", "lose_sandbox", "restart_agent", "prune", "probe_fails", "change_image",
    "debug", "jump", "lose_server", "find_server", "nothing", "nothing", "nothing",
)  # fmt: skip
RULES = (
    [],
    [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}],
    [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}],
)
INIT = {
    "a": {"name": "a", "image": "i"},
    "b": {"name": "b", "image": "i"},
    "one": {"name": "one", "image": "i", "restartPolicy": "Always"},
    "two": {"name": "two", "image": "i", "restartPolicy": "Always"},
}


@st.composite
def pods(draw: st.DrawFn) -> dict[str, Any]:
    mains = []
    for name in draw(st.sampled_from((("web",), ("web", "log")))):
        main: dict[str, Any] = {"name": name, "image": "i0"}
        if own := draw(st.sampled_from((None, None, None, "Never", "OnFailure", "Always"))):
            main["restartPolicy"] = own
            main["restartPolicyRules"] = draw(st.sampled_from(RULES))
        mains.append(main)
    names = draw(st.sampled_from(((), ("a",), ("a", "b"), ("one",), ("one", "a", "two"), ("a", "one"), ("one", "two"))))
    return {
        "metadata": {"name": "web", "namespace": "default", "uid": "u1"},
        "spec": {
            "restartPolicy": draw(st.sampled_from(("Always", "OnFailure", "Never"))),
            "terminationGracePeriodSeconds": draw(st.sampled_from((0, 2, 10))),
            "initContainers": [dict(INIT[name]) for name in names],
            "containers": mains,
        },
    }


@given(
    pod=pods(),
    seed=st.integers(0, 2**32 - 1),
    faults=st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, 20)), min_size=16, max_size=60),
    deleted_at=st.one_of(st.none(), st.integers(0, 60)),
    end=st.sampled_from(("delete", "forget", None)),
)
@settings(
    max_examples=300,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
def test_no_fault_breaks_a_promise(
    pod: dict[str, Any], seed: int, faults: list[tuple[str, int]], deleted_at: int | None, end: str | None
) -> None:
    world = PodWorld(pod, random.Random(seed))
    for step, (fault, actions_max) in enumerate(faults):
        if step == deleted_at:
            world.delete()
        if fault != "nothing":
            getattr(world, fault)()
        world.look(actions_max if actions_max < 6 else 999)
        world.proceed()
        world.now_s += 1
    world.find_server()
    if end is not None:
        getattr(world, end)()
    _settle(world)
    _check_rest(world, f"seed {seed}, deleted at {deleted_at}, faults {faults}")


def _settle(world: PodWorld) -> None:
    """No more faults: what must end does, and everything comes to rest within bounds."""
    quiet = 0
    for _ in range(SETTLE_STEPS_MAX):
        world.now_s += 2
        if world.pod is not None:
            regular = [one["name"] for one in spec.init_containers(world.pod) if not spec.is_sidecar(one)]
            for one in world.running(*regular) if regular else ():
                world.exit(one.id, 0)
        world.unhealthy.clear()
        doing = world.look()
        world.proceed()
        resting = doing.idle and doing.wake_s is None and not world.pulling and not world.creating
        quiet = quiet + 1 if resting else 0
        if world.finished or quiet > QUIET_STEPS:
            return


def _check_rest(world: PodWorld, story: str) -> None:
    for name in {name for name, _, _ in world.ran}:
        attempts = [attempt for ran, attempt, _ in world.ran if ran == name]
        assert attempts == sorted(set(attempts)), f"{name} ran an attempt twice: {attempts}; {story}"
    pod = world.pod
    if pod is None:
        assert world.finished and not world.containers and world.sandbox is None, f"something is left; {story}"
        return
    assert not pod["metadata"].get("deletionTimestamp"), f"a deleted pod did not end; {story}"
    over = plan(world.view()).outcome is not None
    seen = settled(world.containers.values(), world.sandbox)
    ends = {one["name"]: latest(seen, one["name"]) for one in spec.containers(pod)}
    assert over == bool(world.terminal), f"{over}, {world.terminal}; {story}"
    if over:
        assert not world.running() and world.sandbox is None, f"a pod that is over holds something; {story}"
        return
    assert restart_all_asked_by(world.view(), pod) is None, f"what was asked for did not happen; {story}"
    for name, last in ends.items():
        assert last is not None and last.state is not State.CREATED, f"{name} never ran; {story}"
    assert any(last and last.running for last in ends.values()), f"nothing runs; {story}"
    for sidecar in spec.sidecars(pod):
        assert len(world.running(sidecar["name"])) == 1, f"sidecar {sidecar['name']} does not run; {story}"
