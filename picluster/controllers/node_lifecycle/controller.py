"""The detector at work: one cheap look at all nodes several times a second, and a task for each that is suspect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from picluster.api.errors import ApiError
from picluster.api.meta import condition_is, get_condition
from picluster.api.profiles import Profile
from picluster.api.resources import LEASES, NODES, PODS
from picluster.api.types import Object
from picluster.client import LeaseRenewer, TransportError
from picluster.controllers.node_lifecycle import effects, evidence
from picluster.controllers.node_lifecycle.effects import Effects
from picluster.controllers.node_lifecycle.freshness import Freshness
from picluster.controllers.node_lifecycle.restart import AgentRestarter
from picluster.controllers.node_lifecycle.verdict import Standing, Verdict, decide, is_partition
from picluster.controllers.shared import indexes
from picluster.controllers.shared import pods as judge
from picluster.power.outlet import Outlet, OutletError, OutletState, read, switch
from picluster.runtime import Controller, Manager
from picluster.util.tasks import Tasks

log = logging.getLogger(__name__)

LEASE_NAMESPACE = "kube-node-lease"
AGENT_PORT = 10250
FENCE_TIMEOUT_S = 10.0
FENCE_RETRY_S = 30.0
RETRY_S = 0.5
RESTART_AFTER_S = 5.0
"""How long an agent may take to come back by itself (systemd starts it again) before it is restarted."""
PARTITION_MARK_S = 5.0
MISWIRED_RETRY_S = 2.0
CANARY = "picluster-failure-detector"
BLIND_AFTER_BEATS = 2.0


@dataclass(slots=True)
class _Suspect:
    """A node that is being looked at; ``since_s`` is when its present verdict was reached."""

    task: asyncio.Task[None]
    verdict: Verdict = Verdict.WAIT
    since_s: float = 0.0
    fenced_s: float | None = None
    fence_tried_s: float | None = None


class NodeLifecycleController(Controller):
    name = "node-controller"
    workers = 1

    def __init__(self, profile: Profile, outlets: Mapping[str, Outlet], ssh_config: Path | None = None) -> None:
        self._profile = profile
        self._outlets = outlets
        self._ssh_config = ssh_config
        self._freshness = Freshness(CANARY, BLIND_AFTER_BEATS * profile.lease_interval_s)
        self._suspects: dict[str, _Suspect] = {}
        self._tasks = Tasks("node-lifecycle")

    def setup(self, manager: Manager) -> None:
        self._nodes = manager.informer(NODES)
        self._pods = manager.informer(PODS)
        leases = manager.informer(LEASES, namespace=LEASE_NAMESPACE)
        indexes.by_node(self._pods)
        self._effects = Effects(self.client, self.clock)
        self._restarter = AgentRestarter(self._ssh_config, self.clock)
        self._nodes.add_handler(self._on_node)
        leases.add_handler(self._on_lease)

    def _on_lease(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self._freshness.see(new, self.clock.monotonic())

    def _on_node(self, old: Object | None, new: Object | None) -> None:
        node = new if new is not None else old
        assert node is not None
        name = node["metadata"]["name"]
        if new is None:
            self._freshness.forget(name)
            return
        self._freshness.expect(name, self.clock.monotonic())
        if condition_is(new, "Ready") and old is not None and not condition_is(old, "Ready"):
            self._note(new, "Normal", "NodeReady", f"Node {name} status is now: NodeReady")
        self.queue.add(name)

    async def background(self) -> None:
        """Look at every node's silence; who is suspect gets a task of its own."""
        self._tasks.spawn(self._sing(), "canary")
        try:
            while True:
                now_s = self.clock.monotonic()
                for name in self._names():
                    if name not in self._suspects and self._is_silent(name, now_s):
                        task = self._tasks.spawn(self._attend(name), name)
                        self._suspects[name] = _Suspect(task)
                await self.clock.sleep(self._profile.check_interval_s)
        finally:
            await self._tasks.close()

    async def _sing(self) -> None:
        """Renew the canary's lease, so that our own trouble is not taken for the nodes'."""
        profile = self._profile
        await LeaseRenewer(
            self.client,
            name=CANARY,
            holder=self.name,
            interval_s=profile.lease_interval_s,
            duration_s=profile.lease_duration_s,
        ).run()

    async def reconcile(self, key: str) -> float | None:
        """A node that is heard of: its taints follow its own Ready condition. A suspect's task sees to the others."""
        node = self._nodes.get(key)
        if node is None or key in self._suspects or self._is_silent(key, self.clock.monotonic()):
            return None
        ready = get_condition(node, "Ready")
        if ready is None or ready.get("status") == "Unknown":
            return None  # it was given up and has not spoken for itself again
        if await self._is_miswired(node):
            return MISWIRED_RETRY_S
        wanted = frozenset() if ready.get("status") == "True" else effects.NOT_READY_TAINTS
        await self._effects.set_taints(node, wanted | effects.pressure_taints(node))
        if ready["status"] != "True":
            await self._effects.mark_pods_not_ready(self._pods_on(key))
        return None

    async def _is_miswired(self, node: Object) -> bool:
        """Whether a node that was taken for dead speaks while its outlet reads off: then one of the two is wrong."""
        name = node["metadata"]["name"]
        outlet = self._outlets.get(name)
        if outlet is None or not effects.is_given_up_for_dead(node) or await read(outlet) is not OutletState.OFF:
            return False
        message = f"Node {name} renews its lease but its outlet reads off: it stays out of service; check outlets.yaml"
        self._note(node, "Warning", "OutletContradictsNode", message)
        return True

    def _names(self) -> list[str]:
        return list(self._nodes.keys())

    def _is_silent(self, name: str, now_s: float) -> bool:
        return self._freshness.silent_s(name, now_s) > self._profile.suspect_after_s

    def _pods_on(self, name: str) -> list[Object]:
        return self._pods.index(indexes.NODE, name)

    async def _attend(self, name: str) -> None:
        """Follow one suspect until it is heard of again, or gone."""
        try:
            while self._nodes.get(name) is not None and self._is_silent(name, self.clock.monotonic()):
                try:
                    await self._judge(name)
                except (ApiError, TransportError) as error:
                    log.warning("%s: %s; trying again", name, error)
                await self.clock.sleep(RETRY_S)
        finally:
            self._suspects.pop(name, None)
            self.queue.add(name)

    async def _judge(self, name: str) -> None:
        node = self._nodes.get(name)
        if node is None:
            return
        silent_s = self._freshness.silent_s(name, self.clock.monotonic())
        found = await evidence.gather(_address(node), _agent_port(node), self._outlets.get(name), silent_s)
        if not self._is_silent(name, self.clock.monotonic()):
            return
        verdict = decide(found, partition=self._is_partition(), fence_after_s=self._profile.fence_after_s)
        suspect = self._suspects[name]
        if verdict is not suspect.verdict and not (verdict is Verdict.FENCE and suspect.verdict is Verdict.UNREACHABLE):
            suspect.verdict, suspect.since_s = verdict, self.clock.monotonic()
            log.warning("%s has been silent for %.1f s: %s (%s)", name, silent_s, verdict, found)
            if verdict is Verdict.AGENT_DOWN:
                self._note(node, "Warning", "AgentDown", f"Node {name} answers, but its agent is silent; pods run on")
        if verdict is Verdict.FENCE:
            verdict = suspect.verdict = await self._fence(node, suspect)
        await self._act(name, verdict, self.clock.monotonic() - suspect.since_s)

    def _is_partition(self) -> bool:
        """Whether most of the rack is silent at once, as far as no outlet explains it."""
        now_s = self.clock.monotonic()
        silent = [name for name in self._names() if self._is_silent(name, now_s)]
        return is_partition(len(self._nodes) - len(silent), [self._standing(name, now_s) for name in silent])

    def _standing(self, name: str, now_s: float) -> Standing:
        suspect = self._suspects.get(name)
        if suspect is None:
            return Standing(Verdict.WAIT, 0.0)
        fenced_s = None if suspect.fenced_s is None else now_s - suspect.fenced_s
        return Standing(suspect.verdict, now_s - suspect.since_s, fenced_s)

    async def _fence(self, node: Object, suspect: _Suspect) -> Verdict:
        """Make sure that a board that does not answer is dead, or leave it as unreachable."""
        name, now_s = node["metadata"]["name"], self.clock.monotonic()
        if suspect.fence_tried_s is not None and now_s - suspect.fence_tried_s < FENCE_RETRY_S:
            return Verdict.UNREACHABLE
        suspect.fence_tried_s = now_s
        try:
            await switch(self._outlets[name], OutletState.OFF, FENCE_TIMEOUT_S, self.clock)
        except OutletError as error:
            self._note(node, "Warning", "FencingFailed", f"Node {name} does not answer; fencing failed: {error}")
            return Verdict.UNREACHABLE
        suspect.fenced_s = self.clock.monotonic()
        message = (
            f"Node {name} did not answer; its outlet was switched off and reads off. Switch it on when it is mended"
        )
        self._note(node, "Warning", "NodeFenced", message)
        return Verdict.DEAD

    async def _act(self, name: str, verdict: Verdict, held_s: float) -> None:
        node = self._nodes.get(name)
        if node is None:
            return
        match verdict:
            case Verdict.DEAD:
                await self._give_up(node, effects.DEAD_TAINTS)
                removed = await self._effects.remove_pods(self._pods_on(name))
                if removed:
                    log.warning("%s is dead: removed its %d pods", name, removed)
            case Verdict.UNREACHABLE:
                await self._give_up(node, effects.UNREACHABLE_TAINTS)
                await self._effects.mark_pods_not_ready(self._pods_on(name))
            case Verdict.AGENT_DOWN:
                await self._agent_down(node, held_s)
            case Verdict.PARTITION:
                message = "Most of the rack is silent at once; nobody is fenced or evicted until this is over"
                self._note(node, "Warning", "ControlPlanePartitioned", message)
                if held_s >= PARTITION_MARK_S:
                    await self._give_up(node, effects.AGENT_DOWN_TAINTS)
            case Verdict.WAIT | Verdict.FENCE:
                pass

    async def _agent_down(self, node: Object, held_s: float) -> None:
        """Its pods run on and stay in their Services; only when the agent stays away is it given up."""
        name = node["metadata"]["name"]
        given_up = held_s >= self._profile.agent_grace_s
        await self._give_up(node, effects.UNREACHABLE_TAINTS if given_up else effects.AGENT_DOWN_TAINTS)
        if held_s >= RESTART_AFTER_S and self._restarter.is_due(name):
            self._tasks.spawn(self._restart_agent(node), f"restart {name}")
        if given_up:
            await self._effects.mark_pods_not_ready(self._pods_on(name))

    async def _restart_agent(self, node: Object) -> None:
        name = node["metadata"]["name"]
        said = await self._restarter.restart(name)
        self._note(node, "Warning", "AgentRestart", f"The agent of node {name} stayed silent; {said}")

    async def _give_up(self, node: Object, taints: frozenset[effects.Taint]) -> None:
        """Taints first, so that no replacement is put there; the status goes beside what follows."""
        await self._effects.set_taints(node, taints | effects.pressure_taints(node))
        if await self._effects.mark_unknown(node):
            name = node["metadata"]["name"]
            self._note(node, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady")
            for pod in self._pods_on(name):
                if not judge.is_finished(pod):
                    self.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")

    def _note(self, node: Object, kind: str, reason: str, message: str) -> None:
        self.recorder.event(node, kind, reason, message)


def _address(node: Object) -> str | None:
    addresses = (node.get("status") or {}).get("addresses") or []
    return next((entry.get("address") for entry in addresses if entry.get("type") == "InternalIP"), None)


def _agent_port(node: Object) -> int:
    endpoints = (node.get("status") or {}).get("daemonEndpoints") or {}
    return int((endpoints.get("kubeletEndpoint") or {}).get("Port") or AGENT_PORT)
