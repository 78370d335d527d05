"""A pod on a simulated node: what the agent plans is done here, one action at a time, and everything may go wrong.

The world keeps its own books of what happened (who started when, who was told to stop how long ago) and holds the
agent to the promises of Kubernetes at every action; a broken promise is an ``AssertionError`` at the moment it breaks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from picluster.api.meta import now_rfc3339
from picluster_agent.sync import spec
from picluster_agent.sync.containerstatus import StatusInput
from picluster_agent.sync.ending import SIGNAL_MIN_S
from picluster_agent.sync.model import Plan, PodView, Seen, Start, State, Stop, Stopping
from picluster_agent.sync.plan import plan, settled
from picluster_agent.sync.restarts import next_round, same_sandbox
from picluster_agent.sync.status import pod_status

NOW_S = 1_700_000_000.0
BACK_OFF_S = 7.0
TERMINAL = ("Succeeded", "Failed")

Action = Callable[[], None]


@dataclass
class PodWorld:
    pod: dict[str, Any] | None
    rng: random.Random
    now_s: float = NOW_S
    sandboxes: int = 0
    sandbox: str | None = None
    containers: dict[str, Seen] = field(default_factory=dict)
    finished: bool = False
    reachable: bool = True
    """Whether the API server hears what the agent reports."""

    # what the agent remembers, and loses when it is killed
    stopping: dict[str, Stopping] = field(default_factory=dict)
    replacing: set[str] = field(default_factory=set)
    pulling: dict[str, Start] = field(default_factory=dict)
    meant_for: dict[str, str | None] = field(default_factory=dict)
    """The sandbox that each start was decided for."""
    creating: dict[str, Start] = field(default_factory=dict)
    not_before: dict[str, float] = field(default_factory=dict)
    unhealthy: dict[str, str] = field(default_factory=dict)
    torn_down: bool = False

    # the books
    ran: list[tuple[str, int, str]] = field(default_factory=list)
    """Name, attempt and sandbox of everything that ran."""
    through: set[tuple[str, str]] = field(default_factory=set)
    """Init containers that ended well, by name and sandbox."""
    granted_s: dict[str, float] = field(default_factory=dict)
    """Until when a container had been promised to live, at least."""
    signalled_s: dict[str, float] = field(default_factory=dict)
    ended_well: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)
    """Names that were to be replaced or begun anew, whatever their restart policy."""
    counts: dict[str, int] = field(default_factory=dict)
    terminal: str = ""

    def running(self, *names: str) -> list[Seen]:
        return [one for one in self.containers.values() if one.running and (not names or one.name in names)]

    def view(self) -> PodView:
        alive = {one.id for one in self.running()}
        self.stopping = {key: value for key, value in self.stopping.items() if key in alive}
        self.unhealthy = {key: value for key, value in self.unhealthy.items() if key in alive}
        return PodView(
            pod=self.pod,
            seen=settled(self.containers.values(), self.sandbox),
            sandbox=self.sandbox,
            now_s=self.now_s,
            started=frozenset(alive),
            unhealthy=dict(self.unhealthy),
            stopping=dict(self.stopping),
            replacing=frozenset(self.replacing),
            not_before=dict(self.not_before),
            busy=frozenset((*self.pulling, *self.creating)),
            torn_down=self.torn_down,
            removed_grace_s=5,
        )

    def look(self, actions_max: int = 999) -> Plan:
        """One look of the agent, which is killed after ``actions_max`` actions."""
        view = self.view()
        doing = plan(view)
        if self.pod is None or self.pod["metadata"].get("deletionTimestamp") or doing.outcome:
            self.pulling.clear()
        actions = list(self._actions(doing))
        for act in actions[:actions_max]:
            act()
        if len(actions) > actions_max:
            self.restart_agent()
        else:
            self._report(doing)
        return doing

    def _report(self, doing: Plan) -> None:
        if self.pod is None or not self.reachable:
            return
        view = self.view()
        over = doing.outcome is not None or bool(self.pod["metadata"].get("deletionTimestamp"))
        world = StatusInput(
            seen=view.seen,
            sandbox=self.sandbox,
            now_s=self.now_s,
            start_time=now_rfc3339(NOW_S),
            host_ip="10.0.0.1",
            started=view.started,
            ready=view.started,
            outcome=doing.outcome,
            ended=over and not view.busy and not self.running(),
        )
        status = pod_status(self.pod, world)
        for one in [*status.get("initContainerStatuses", ()), *status["containerStatuses"]]:
            assert one["restartCount"] >= self.counts.get(one["name"], 0), f"{one['name']}: a restart count fell"
            self.counts[one["name"]] = one["restartCount"]
        assert not self.terminal or status["phase"] == self.terminal, "a pod that was over is not any more"
        if status["phase"] in TERMINAL:
            self.terminal = status["phase"]
            assert not self.running(), "a pod was called over while something of it ran"
        self.pod["status"] = status

    def _actions(self, doing: Plan) -> Iterator[Action]:
        for one in doing.remove:
            yield lambda one=one: self._remove(one)
        for stop in doing.stop:
            yield lambda stop=stop: self._stop(stop)
        for one in doing.signal:
            yield lambda one=one: self._signal(one)
        for one in doing.kill:
            yield lambda one=one: self._kill(one)
        if doing.renew:
            yield self._renew
        elif doing.tear_down:
            yield self._tear_down
        elif doing.release:
            yield self._release
        elif doing.prepare:
            for start in doing.start:
                yield lambda start=start: self._begin(start)
            yield self._prepare

    # -- what the agent does -------------------------------------------------------------------------------------------

    def _remove(self, container_id: str) -> None:
        one = self.containers.pop(container_id, None)
        assert one is None or not one.running, f"{container_id} was removed while it ran"

    def _stop(self, stop: Stop) -> None:
        told = self.stopping.get(stop.id)
        assert self.containers[stop.id].running
        deadline_s = self.now_s + stop.grace_s
        self.granted_s[stop.id] = min(self.granted_s.get(stop.id, deadline_s), deadline_s)
        hooked = told.hooked if told else self.rng.random() < 0.5
        self.stopping[stop.id] = replace(told or Stopping(0.0), deadline_s=deadline_s, hooked=hooked)
        if stop.replace:
            self.replacing.add(stop.id)
            self.replaced.add(stop.name)

    def _signal(self, container_id: str) -> None:
        assert container_id in self.granted_s, f"{container_id} was signalled before it was told to stop"
        one, told = self.containers[container_id], self.stopping[container_id]
        if self.pod and one.name in {sidecar["name"] for sidecar in spec.sidecars(self.pod)} and self._is_ending():
            mains = [main["name"] for main in spec.containers(self.pod)]
            assert not self.running(*mains) or self.now_s >= told.deadline_s, f"{container_id}: not its turn"
        self.stopping[container_id] = replace(told, hooked=True, signalled_s=self.now_s)
        self.signalled_s[container_id] = min(self.signalled_s.get(container_id, self.now_s), self.now_s)  # clocks jump
        if self.rng.random() < 0.5:
            self.exit(container_id, self.rng.choice((0, 0, 143)))

    def _kill(self, container_id: str) -> None:
        one = self.containers[container_id]
        if same_sandbox(one.sandbox, self.sandbox):
            assert container_id in self.signalled_s, f"{container_id} was killed without a signal"
            early = self.now_s < self.granted_s[container_id]
            assert not early, f"{container_id} was killed before its grace was over"
            assert self.now_s >= self.signalled_s[container_id] + SIGNAL_MIN_S, f"{container_id} was killed at once"
        told = self.stopping.get(container_id, Stopping(self.now_s, signalled_s=self.now_s))
        self.stopping[container_id] = replace(told, killed_s=self.now_s)
        if self.rng.random() < 0.9:
            self.exit(container_id, 137)

    def _renew(self) -> None:
        assert not self.running() and self.sandbox is not None
        self.sandbox = next_round(self.sandbox)
        self.replaced |= {one["name"] for one in spec.all_containers(self.pod or {"spec": {}})}

    def _tear_down(self) -> None:
        assert not self.running(), "a running container lost its sandbox"
        assert not self.creating, "a container that is being made lost its sandbox"
        self.sandbox, self.torn_down = None, True

    def _release(self) -> None:
        assert not self.running() and self.sandbox is None
        if self.pod is None:
            self.finished = not self.containers
        else:
            self.pod = None

    def _prepare(self) -> None:
        self.torn_down = False
        if self.sandbox is None:
            self.sandboxes += 1
            self.sandbox = f"sandbox-{self.sandboxes}"
        self.meant_for = {name: sandbox or self.sandbox for name, sandbox in self.meant_for.items()}

    def _begin(self, start: Start) -> None:
        assert start.name not in self.pulling and start.name not in self.creating, f"{start.name} is begun twice"
        self.pulling[start.name] = start
        self.meant_for[start.name] = self.sandbox

    def _is_ending(self) -> bool:
        assert self.pod is not None
        return bool(self.pod["metadata"].get("deletionTimestamp")) or bool(self.terminal)

    # -- what happens beside it ----------------------------------------------------------------------------------------

    def proceed(self) -> None:
        """Starts come a step further: an image arrives, a container is made, runs, or cannot."""
        for name, start in list(self.creating.items()):
            del self.creating[name]
            one = self.containers[f"{name}-{start.attempt}"]
            if self.rng.random() < 0.1:
                del self.containers[one.id]
                self.not_before[name] = self.now_s + BACK_OFF_S
            else:
                self._run(one)
        for name, start in list(self.pulling.items()):
            if self.sandbox is None or self.rng.random() < 0.2:
                continue
            del self.pulling[name]
            if self.rng.random() < 0.1:
                self.not_before[name] = self.now_s + BACK_OFF_S
            elif self.meant_for[name] == self.sandbox:
                self._create(start)
        for key, told in list(self.stopping.items()):
            if not told.hooked and self.rng.random() < 0.3:
                self.stopping[key] = replace(told, hooked=True)

    def _create(self, start: Start) -> None:
        container_id = f"{start.name}-{start.attempt}"
        left = self.containers.get(container_id)
        assert left is None or left.state is State.CREATED, f"{container_id} would run twice"
        definition = spec.container(self.pod or {}, start.name) if self.pod else None
        if definition is None:
            return
        hash_ = spec.container_hash(definition)
        self.containers[container_id] = Seen(
            container_id, start.name, start.attempt, State.CREATED, self.sandbox or "", hash_
        )
        self.creating[start.name] = start

    def _run(self, one: Seen) -> None:
        assert not self.running(one.name), f"two containers {one.name}"
        assert not self.terminal, f"{one.name} ran though the pod was over"
        pod = self.pod
        if pod is not None and not pod["metadata"].get("deletionTimestamp"):
            self._check_order(pod, one)
            self._check_policy(pod, one)
        self.containers[one.id] = replace(one, state=State.RUNNING, started_s=self.now_s)
        self.ran.append((one.name, one.attempt, one.sandbox))

    def _check_order(self, pod: dict[str, Any], one: Seen) -> None:
        ephemeral = [each["name"] for each in spec.ephemeral_containers(pod)]
        init = spec.init_containers(pod)
        names = [each["name"] for each in init]
        if one.name in ephemeral:
            assert one.name not in {name for name, _, _ in self.ran}, f"{one.name}: an ephemeral container ran twice"
            return
        for each in init[: names.index(one.name)] if one.name in names else init:
            if spec.is_sidecar(each):
                before = (each["name"], one.sandbox) in {(name, sandbox) for name, _, sandbox in self.ran}
            else:
                before = (each["name"], one.sandbox) in self.through
                assert not self.running(each["name"]), f"{one.name} ran beside {each['name']}"
            assert before, f"{one.name} ran before {each['name']} was through"

    def _check_policy(self, pod: dict[str, Any], one: Seen) -> None:
        if one.name in self.replaced:
            return
        regular = {each["name"] for each in spec.init_containers(pod) if not spec.is_sidecar(each)}
        if one.name in regular and pod["spec"]["restartPolicy"] == "Never":
            assert one.name not in self.failed, f"{one.name} failed for good, and ran again"
        definition = next((each for each in spec.containers(pod) if each["name"] == one.name), None)
        if definition is None or definition.get("restartPolicyRules"):
            return
        policy = definition.get("restartPolicy") or pod["spec"]["restartPolicy"]
        if policy == "Never":
            assert one.name not in {name for name, _, _ in self.ran}, f"{one.name} ran again"
        if policy == "OnFailure":
            assert one.name not in self.ended_well, f"{one.name} ran again after it had ended well"

    def exit(self, container_id: str, code: int) -> None:
        one = self.containers.get(container_id)
        if one is None or not one.running:
            return
        self.containers[container_id] = replace(
            one, state=State.EXITED, exit_code=code, finished_s=self.now_s, reason="Error" if code else "Completed"
        )
        if code == 0:
            self.through.add((one.name, one.sandbox))
            self.ended_well.add(one.name)
        else:
            self.failed.add(one.name)

    # -- faults --------------------------------------------------------------------------------------------------------

    def crash(self) -> None:
        for one in self.running():
            if self.rng.random() < 0.5:
                self.exit(one.id, self.rng.choice((0, 1, 42, 137)))

    def back_off(self) -> None:
        for one in self.containers.values():
            self.not_before[one.name] = self.now_s + BACK_OFF_S

    def cut_power(self) -> None:
        """Podman calls what ran ``created`` after a boot; the run directory is empty."""
        self.sandbox = None
        self.restart_agent()
        self.containers = {
            key: replace(one, state=State.CREATED) if one.running else one for key, one in self.containers.items()
        }

    def lose_sandbox(self) -> None:
        """The run directory is emptied under containers that go on running."""
        self.sandbox = None

    def prune(self) -> None:
        """Somebody tidies up: Podman forgets containers that have ended, and that the API server has been told of."""
        status = (self.pod or {}).get("status", {})
        groups = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
        told = {one.get("containerID") for group in groups for one in status.get(group, ())}
        for one in list(self.containers.values()):
            known = f"podman://{one.id}" in told
            if one.state is State.EXITED and known and self.rng.random() < 0.5:
                del self.containers[one.id]
                self.replaced.add(one.name)

    def restart_agent(self) -> None:
        self.stopping, self.not_before, self.unhealthy, self.torn_down = {}, {}, {}, False
        self.replacing, self.pulling, self.creating = set(), {}, {}

    def probe_fails(self) -> None:
        for one in self.running():
            if self.rng.random() < 0.3 and not one.name.startswith("debug"):
                self.unhealthy[one.id] = self.rng.choice(("Liveness", "Startup"))

    def change_image(self) -> None:
        if self.pod is not None:
            one = self.rng.choice(self.pod["spec"]["containers"])
            one["image"] = f"i{self.rng.randrange(3)}"

    def debug(self) -> None:
        if self.pod is not None:
            listed = self.pod["spec"].setdefault("ephemeralContainers", [])
            listed.append({"name": f"debug-{len(listed)}", "image": "i"})

    def jump(self) -> None:
        self.now_s += self.rng.choice((-20, 1, 5, 60, 3600))
        if self.now_s < min([*self.granted_s.values(), NOW_S]):
            self.now_s = NOW_S

    def lose_server(self) -> None:
        self.reachable = False

    def find_server(self) -> None:
        self.reachable = True

    def delete(self) -> None:
        if self.pod is not None:
            grace_s = self.rng.choice((0, 1, 3, 30))
            before = self.pod["metadata"].get("deletionGracePeriodSeconds", grace_s)
            stamp = now_rfc3339(self.now_s)
            self.pod["metadata"].update(deletionTimestamp=stamp, deletionGracePeriodSeconds=min(grace_s, before))

    def forget(self) -> None:
        self.pod = None
