"""ReplicaSets: as many pods as asked for, no more, made and deleted at once.

Behaviour, events and conditions are those of ``pkg/controller/replicaset``. Deciding is ``plan`` and ``new_status``;
``Expectations`` keeps a stale cache from making pods twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from picluster.api.errors import ApiError
from picluster.api.meta import controller_of, key_of, now_rfc3339, owner_reference
from picluster.api.resources import PODS, REPLICASETS, Resource
from picluster.api.selectors import LabelSelector, from_map, from_object
from picluster.api.types import Object
from picluster.client import TransportError
from picluster.controllers.replicaset_ranking import pods_to_delete
from picluster.controllers.shared import indexes, owned, pods
from picluster.controllers.shared.claim import claim
from picluster.controllers.shared.expectations import Expectations
from picluster.runtime import Controller, Manager

BURST_REPLICAS = 500
SLOW_START_INITIAL = 1
NAMESPACE_TERMINATING = "NamespaceTerminating"


@dataclass(frozen=True, slots=True)
class Plan:
    """Either pods to make or pods to delete."""

    create: int = 0
    delete: tuple[Object, ...] = ()


def plan(replicas: int, active: Sequence[Object], related: Sequence[Object], now_s: float) -> Plan:
    """What to do for ``replicas`` when ``active`` are there; ``related`` are the siblings' pods too."""
    missing = replicas - len(active)
    if missing >= 0:
        return Plan(create=min(missing, BURST_REPLICAS))
    return Plan(delete=tuple(pods_to_delete(active, related, min(-missing, BURST_REPLICAS), now_s)))


def new_status(
    replica_set: Object, active: Sequence[Object], terminating: int, failure: str | None, making: bool, now_s: float
) -> Object:
    """The status that ``active`` pods give; ``failure`` is what went wrong when ``making`` or deleting pods."""
    spec, old = replica_set["spec"], replica_set.get("status") or {}
    template = from_map(_template_labels(replica_set))
    min_ready_s = int(spec.get("minReadySeconds") or 0)
    fully = [pod for pod in active if template.matches(pods.labels(pod)) or not _template_labels(replica_set)]
    status: Object = {"replicas": len(active)}
    counts = {
        "fullyLabeledReplicas": len(fully),
        "readyReplicas": sum(1 for pod in active if pods.is_ready(pod)),
        "availableReplicas": sum(1 for pod in active if pods.is_available(pod, min_ready_s, now_s)),
    }
    status |= {name: count for name, count in counts.items() if count}
    status["terminatingReplicas"] = terminating
    status["observedGeneration"] = replica_set["metadata"].get("generation", 0)
    if conditions := _conditions(old.get("conditions") or [], failure, making, now_s):
        status["conditions"] = conditions
    return status


def _conditions(old: list[Any], failure: str | None, making: bool, now_s: float) -> list[Object]:
    kept = [condition for condition in old if condition.get("type") != "ReplicaFailure"]
    if failure is None:
        return kept
    if len(kept) < len(old):
        return old
    return [
        *kept,
        {
            "type": "ReplicaFailure",
            "status": "True",
            "reason": "FailedCreate" if making else "FailedDelete",
            "message": failure,
            "lastTransitionTime": now_rfc3339(now_s),
        },
    ]


def _template_labels(replica_set: Object) -> dict[str, str]:
    metadata = replica_set["spec"].get("template", {}).get("metadata") or {}
    found: dict[str, str] = metadata.get("labels") or {}
    return found


class ReplicaSetController(Controller):
    name = "replicaset-controller"
    workers = 8
    resource: ClassVar[Resource] = REPLICASETS

    def selector_of(self, replica_set: Object) -> LabelSelector:
        return from_object(replica_set["spec"].get("selector"))

    def setup(self, manager: Manager) -> None:
        self._sets = manager.informer(self.resource)
        self._pods = manager.informer(PODS)
        owned.add_indexers(self._pods)
        owned.add_indexers(self._sets)
        indexes.by_namespace(self._sets)
        self._expectations = Expectations(self._pods, self.clock)
        self._selectors: dict[str, tuple[tuple[str, int], LabelSelector]] = {}
        self._sets.add_handler(self.enqueue)
        self._pods.add_handler(self._on_pod)

    def _on_pod(self, old: Object | None, new: Object | None) -> None:
        for pod in (old, new):
            if pod is not None and (owner := self._owner(pod)) is not None:
                self.queue.add(owner)
        if new is not None and controller_of(new) is None and not pods.is_terminating(new):
            self._enqueue_matching(new)

    def _owner(self, pod: Object) -> str | None:
        reference = controller_of(pod)
        if reference is None or reference.get("kind") != self.resource.kind:
            return None
        key = f"{pod['metadata']['namespace']}/{reference['name']}"
        owner = self._sets.get(key)
        return key if owner is not None and owner["metadata"]["uid"] == reference["uid"] else None

    def _enqueue_matching(self, orphan: Object) -> None:
        for replica_set in self._sets.index(indexes.NAMESPACE, orphan["metadata"]["namespace"]):
            if self._selector(replica_set).matches(pods.labels(orphan)):
                self.queue.add(key_of(replica_set))

    def _selector(self, replica_set: Object) -> LabelSelector:
        """Compiled once per generation."""
        key, metadata = key_of(replica_set), replica_set["metadata"]
        made_of = (metadata["uid"], metadata.get("generation", 0))
        known = self._selectors.get(key)
        if known is None or known[0] != made_of:
            known = self._selectors[key] = (made_of, self.selector_of(replica_set))
        return known[1]

    async def reconcile(self, key: str) -> float | None:
        replica_set = self._sets.get(key)
        if replica_set is None:
            self._expectations.forget(key)
            self._selectors.pop(key, None)
            return None
        wait_s = self._expectations.wait_s(key)
        candidates = owned.dependents(self._pods, replica_set)
        terminating = sum(1 for pod in candidates if pods.is_terminating_still(pod) and self._owner(pod) == key)
        active = await claim(
            self.client,
            self.resource,
            replica_set,
            self._selector(replica_set),
            PODS,
            [pod for pod in candidates if pods.is_active(pod)],
        )
        failures: list[Exception] = []
        planned = Plan()
        if not wait_s and not pods.is_terminating(replica_set):
            replicas = int(replica_set["spec"].get("replicas", 1))
            related = self._related(replica_set, active) if replicas < len(active) else ()
            planned = plan(replicas, active, related, self.clock.now())
            failures = await self._carry_out(key, replica_set, planned)
        failure = str(failures[0]) if failures else None
        now_s = self.clock.now()
        status = new_status(replica_set, active, terminating, failure, bool(planned.create), now_s)
        await self.update_status(replica_set, status)
        if failures:
            raise failures[0]
        return _earliest(wait_s or None, _next_available_s(replica_set, active, now_s))

    def _related(self, replica_set: Object, active: Sequence[Object]) -> Sequence[Object]:
        """The pods of every ReplicaSet of the same owner (of one Deployment), its own included."""
        reference = controller_of(replica_set)
        if reference is None:
            return active
        siblings = owned.controlled_by(self._sets, reference["uid"])
        return [
            pod for sibling in siblings for pod in owned.controlled_by(self._pods, sibling["metadata"]["uid"])
        ] or active

    async def _carry_out(self, key: str, replica_set: Object, planned: Plan) -> list[Exception]:
        if planned.create:
            return await self._create(key, replica_set, planned.create)
        results = await asyncio.gather(*(self._delete(key, replica_set, pod) for pod in planned.delete))
        return [failure for failure in results if failure is not None]

    async def _create(self, key: str, replica_set: Object, count: int) -> list[Exception]:
        """Batches of 1, 2, 4, … so that a quota or a broken template costs one refusal, not hundreds."""
        pod = pod_from_template(replica_set)
        size = SLOW_START_INITIAL
        while count > 0:
            size = min(size, count)
            results = await asyncio.gather(*(self._create_one(key, replica_set, pod) for _ in range(size)))
            failures = [failure for failure in results if failure is not None]
            if failures:
                return failures
            count -= size
            size *= 2
        return []

    async def _create_one(self, key: str, replica_set: Object, pod: Object) -> Exception | None:
        try:
            created = await self.client.create(PODS, pod)
        except (ApiError, TransportError) as error:
            if isinstance(error, ApiError) and _namespace_terminating(error):
                return None
            if isinstance(error, TransportError) and error.sent:
                self._expectations.unsure(key)
            self.recorder.event(replica_set, "Warning", "FailedCreate", f"Error creating: {error}")
            return error
        self._expectations.wrote(key, created)
        name = created["metadata"]["name"]
        self.recorder.event(replica_set, "Normal", "SuccessfulCreate", f"Created pod: {name}")
        return None

    async def _delete(self, key: str, replica_set: Object, pod: Object) -> Exception | None:
        name = pod["metadata"]["name"]
        self._expectations.deleted(key, pod)
        try:
            await self.client.delete(PODS, name, namespace=pod["metadata"]["namespace"], uid=pod["metadata"]["uid"])
        except (ApiError, TransportError) as error:
            if isinstance(error, ApiError) and error.code in (404, 409):
                return None  # gone already, or a namesake
            self._expectations.undeleted(key, pod)
            self.recorder.event(replica_set, "Warning", "FailedDelete", f"Error deleting: {error}")
            return error
        self.recorder.event(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")
        return None

    async def update_status(self, replica_set: Object, status: Object) -> None:
        if status == replica_set.get("status"):
            return
        changed = {**replica_set, "status": status}
        await self.client.update(self.resource, changed, subresource="status")


def pod_from_template(replica_set: Object) -> Object:
    """A pod of ``replica_set``: its template, a generated name, and the set as its controller."""
    metadata, template = replica_set["metadata"], replica_set["spec"]["template"]
    given = template.get("metadata") or {}
    made: Object = {
        "generateName": f"{metadata['name']}-",
        "namespace": metadata["namespace"],
        "ownerReferences": [owner_reference(replica_set)],
    }
    made |= {name: given[name] for name in ("labels", "annotations", "finalizers") if given.get(name)}
    return {"apiVersion": PODS.api_version, "kind": PODS.kind, "metadata": made, "spec": template["spec"]}


def _next_available_s(replica_set: Object, active: Sequence[Object], now_s: float) -> float | None:
    """In how many seconds the next ready pod has been ready for long enough."""
    min_ready_s = int(replica_set["spec"].get("minReadySeconds") or 0)
    if not min_ready_s:
        return None
    due = [since_s + min_ready_s - now_s for pod in active if (since_s := pods.ready_since_s(pod)) is not None]
    return min((due_s for due_s in due if due_s > 0), default=None)


def _earliest(*delays_s: float | None) -> float | None:
    return min((delay_s for delay_s in delays_s if delay_s is not None), default=None)


def _namespace_terminating(error: ApiError) -> bool:
    causes = (error.details or {}).get("causes") or ()
    return error.code == 403 and any(cause.get("reason") == NAMESPACE_TERMINATING for cause in causes)
