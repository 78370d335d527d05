"""Deployments: one ReplicaSet per template, moved from the old one to the new one step by step.

Behaviour, events and conditions are those of ``pkg/controller/deployment``. What to do is decided in
``deployment_rollout`` (sizes), ``deployment_revision`` (which ReplicaSet is which) and ``deployment_status``; this file
reads the caches and writes. A step is at most one round of scaling; what it changes brings the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from picluster.api.errors import ApiError
from picluster.api.meta import controller_of, is_controlled_by, key_of
from picluster.api.resources import DEPLOYMENTS, PODS, REPLICASETS
from picluster.api.selectors import from_object
from picluster.api.types import Object
from picluster.client import PatchType
from picluster.controllers import deployment_revision as revisions
from picluster.controllers import deployment_rollout as rollout
from picluster.controllers import deployment_status as statuses
from picluster.controllers.shared import indexes, owned, pods
from picluster.controllers.shared.claim import claim
from picluster.runtime import Controller, Manager, Requeue

SCALING = "ScalingReplicaSet"


class DeploymentController(Controller):
    name = "deployment-controller"

    def setup(self, manager: Manager) -> None:
        self._deployments = manager.informer(DEPLOYMENTS)
        self._sets = manager.informer(REPLICASETS)
        self._pods = manager.informer(PODS)
        indexes.by_namespace(self._deployments)
        owned.add_indexers(self._sets)
        owned.add_indexers(self._pods)
        self._deployments.add_handler(self.enqueue)
        self._sets.add_handler(self._on_set)
        self._pods.add_handler(self._on_pod)

    def _on_set(self, old: Object | None, new: Object | None) -> None:
        for replica_set in (old, new):
            if replica_set is not None and (owner := self._owner(replica_set)) is not None:
                self.queue.add(key_of(owner))
        if new is not None and controller_of(new) is None and not pods.is_terminating(new):
            for deployment in self._deployments.index(indexes.NAMESPACE, new["metadata"]["namespace"]):
                if from_object(deployment["spec"].get("selector")).matches_object(new):
                    self.queue.add(key_of(deployment))

    def _on_pod(self, old: Object | None, new: Object | None) -> None:
        """Only Recreate waits for pods: its new ones come when the last old one is gone."""
        if new is not None or old is None:
            return
        reference = controller_of(old)
        if reference is None:
            return
        replica_set = self._sets.get(f"{old['metadata']['namespace']}/{reference['name']}")
        owner = self._owner(replica_set) if replica_set is not None else None
        if owner is not None and not rollout.strategy_of(owner).rolling:
            self.queue.add(key_of(owner))

    def _owner(self, replica_set: Object) -> Object | None:
        reference = controller_of(replica_set)
        if reference is None or reference.get("kind") != DEPLOYMENTS.kind:
            return None
        owner = self._deployments.get(f"{replica_set['metadata']['namespace']}/{reference['name']}")
        return owner if owner is not None and owner["metadata"]["uid"] == reference["uid"] else None

    async def reconcile(self, key: str) -> float | None:
        deployment = self._deployments.get(key)
        if deployment is None:
            return None
        selector = from_object(deployment["spec"].get("selector"))
        if selector.empty:
            message = "This deployment is selecting all pods. A non-empty selector is required."
            self.recorder.event(deployment, "Warning", "SelectingAll", message)
            return None
        sets = await claim(
            self.client,
            DEPLOYMENTS,
            deployment,
            selector,
            REPLICASETS,
            owned.dependents(self._sets, deployment),
        )
        return await _Rollout(self, deployment, sets).step()

    def pods_of(self, replica_sets: Iterable[Object]) -> list[Object]:
        return [pod for rs in replica_sets for pod in owned.controlled_by(self._pods, rs["metadata"]["uid"])]


class _Rollout:
    """One look at one Deployment and its ReplicaSets; ``step`` does what is due, and writes the status."""

    def __init__(self, controller: DeploymentController, deployment: Object, sets: list[Object]) -> None:
        self._controller = controller
        self._client = controller.client
        self._deployment = deployment
        self._strategy = rollout.strategy_of(deployment)
        self._sets = {rs["metadata"]["name"]: rs for rs in sets}
        new = revisions.find_new(deployment, sets)
        self._new_name = new["metadata"]["name"] if new is not None else None

    @property
    def _new(self) -> Object | None:
        return self._sets[self._new_name] if self._new_name is not None else None

    @property
    def _olds(self) -> list[Object]:
        return [rs for name, rs in self._sets.items() if name != self._new_name]

    async def step(self) -> float | None:
        if pods.is_terminating(self._deployment):
            return await self._finish(rolling_out=False)
        await self._note_pause()
        await self._adopt_revision()
        if self._deployment["spec"].get("paused") or self._scaling():
            sizes = rollout.plan_scale(self._strategy, self._generation(), self._old_generations())
            await self._resize(self._present_sizes() | sizes)
            if self._deployment["spec"].get("paused"):
                await self._clean_up()
            return await self._finish(rolling_out=False)
        moved = await (self._roll() if self._strategy.rolling else self._recreate())
        if not moved and statuses.is_complete(self._deployment, self._deployment.get("status") or {}):
            await self._clean_up()
        return await self._finish(rolling_out=True)

    async def _roll(self) -> bool:
        """Whether anything was scaled; then the rest waits for that to show."""
        if self._new is None:
            await self._create_new()
        new = self._generation()
        assert new is not None
        sizes = rollout.plan_rollout(self._strategy, new, self._old_generations())
        await self._resize(sizes)
        return bool(sizes)

    async def _recreate(self) -> bool:
        sizes = rollout.plan_recreate(self._old_generations())
        if sizes:
            await self._resize(sizes)
            return True
        olds = self._olds
        running = any((rs.get("status") or {}).get("replicas") for rs in olds) or any(
            not pods.is_finished(pod) for pod in self._controller.pods_of(olds)
        )
        if running:
            return True
        if self._new is None:
            await self._create_new()
        assert self._new_name is not None
        await self._resize({self._new_name: self._strategy.replicas})
        return False

    def _generation(self) -> rollout.Generation | None:
        return revisions.generation_of(self._new) if self._new is not None else None

    def _old_generations(self) -> list[rollout.Generation]:
        return [revisions.generation_of(rs) for rs in self._olds]

    def _present_sizes(self) -> rollout.Sizes:
        """Resized to these, active ReplicaSets stay as they are but note what they were last sized for."""
        return {name: size for name, rs in self._sets.items() if (size := int(rs["spec"].get("replicas", 1))) > 0}

    def _scaling(self) -> bool:
        """Whether ``spec.replicas`` differs from what the active ReplicaSets were last sized for."""
        return any(
            (desired := revisions.number(rs, revisions.DESIRED)) is not None and desired != self._strategy.replicas
            for rs in self._sets.values()
            if rs["spec"].get("replicas", 1) > 0
        )

    async def _adopt_revision(self) -> None:
        """Bring the annotations of the newest ReplicaSet and of the Deployment up to its revision."""
        new = self._new
        if new is None:
            return
        wanted = revisions.new_annotations(self._deployment, new, revisions.next_revision(self._olds))
        min_ready_s = self._deployment["spec"].get("minReadySeconds", 0)
        if wanted != revisions.annotations_of(new) or new["spec"].get("minReadySeconds", 0) != min_ready_s:
            changed = {
                **new,
                "metadata": {**new["metadata"], "annotations": wanted},
                "spec": {**new["spec"], "minReadySeconds": min_ready_s},
            }
            new = self._sets[new["metadata"]["name"]] = await self._client.update(REPLICASETS, changed)
        await self._note_revision(revisions.annotations_of(new).get(revisions.REVISION, "1"))
        current = statuses.find(self._conditions, statuses.PROGRESSING)
        if statuses.has_deadline(self._deployment) and current is None:
            await self._set_progressing("True", statuses.FOUND, f'Found new replica set "{new["metadata"]["name"]}"')

    async def _create_new(self) -> None:
        olds = self._olds
        number = revisions.next_revision(olds)
        total = sum(rs["spec"].get("replicas", 1) for rs in olds)
        replicas = rollout.new_replicas(self._strategy, 0, total)
        wanted = revisions.new_replica_set(self._deployment, replicas, self._strategy, number)
        name = wanted["metadata"]["name"]
        try:
            created = await self._client.create(REPLICASETS, wanted)
        except ApiError as error:
            if error.code == 409 and error.reason == "AlreadyExists":
                created = await self._existing(name)
            else:
                await self._note_failure(name, error)
                raise
        else:
            if replicas:
                self._event("Normal", SCALING, f"Scaled up replica set {name} from 0 to {replicas}")
        self._sets[name] = created
        self._new_name = name
        await self._note_revision(str(number))
        if statuses.has_deadline(self._deployment):
            await self._set_progressing("True", statuses.CREATED, f'Created new replica set "{name}"')

    async def _existing(self, name: str) -> Object:
        """The one of that name if it is ours, made before the cache showed it; else the next hash is tried."""
        namespace = self._deployment["metadata"]["namespace"]
        existing = await self._client.get(REPLICASETS, name, namespace=namespace)
        template = self._deployment["spec"]["template"]
        if is_controlled_by(existing, self._deployment) and revisions.same_template(
            existing["spec"]["template"], template
        ):
            return existing
        status = self._deployment.get("status") or {}
        await self._write_status({**status, "collisionCount": int(status.get("collisionCount") or 0) + 1})
        raise Requeue(f"the hash of {name} is taken")

    async def _note_failure(self, name: str, error: ApiError) -> None:
        message = f'Failed to create new replica set "{name}": {error}'
        if statuses.has_deadline(self._deployment):
            await self._set_progressing("False", statuses.CREATE_FAILED, message)
        self._event("Warning", statuses.CREATE_FAILED, message)

    async def _note_revision(self, number: str) -> None:
        """``kubectl rollout`` reads the Deployment's own revision from its annotation."""
        metadata = self._deployment["metadata"]
        if revisions.annotations_of(self._deployment).get(revisions.REVISION) == number:
            return
        patch = {"metadata": {"uid": metadata["uid"], "annotations": {revisions.REVISION: number}}}
        self._deployment = await self._client.patch(
            DEPLOYMENTS, metadata["name"], patch, namespace=metadata["namespace"], kind=PatchType.MERGE
        )

    async def _note_pause(self) -> None:
        if (condition := statuses.pause_condition(self._deployment, self._controller.clock.now())) is not None:
            await self._set_condition(condition)

    async def _set_progressing(self, status: str, reason: str, message: str) -> None:
        now_s = self._controller.clock.now()
        await self._set_condition(statuses.condition(statuses.PROGRESSING, status, reason, message, now_s))

    async def _set_condition(self, condition: Object) -> None:
        conditions = statuses.with_condition(self._conditions, condition)
        await self._write_status({**(self._deployment.get("status") or {}), "conditions": conditions})

    @property
    def _conditions(self) -> Sequence[Object]:
        conditions: Sequence[Object] = (self._deployment.get("status") or {}).get("conditions") or ()
        return conditions

    async def _write_status(self, status: Object) -> None:
        if status != self._deployment.get("status"):
            changed = {**self._deployment, "status": status}
            self._deployment = await self._client.update(DEPLOYMENTS, changed, subresource="status")

    async def _resize(self, sizes: rollout.Sizes) -> None:
        annotations = revisions.size_annotations(self._strategy)
        for name, size in sizes.items():
            rs = self._sets[name]
            before = int(rs["spec"].get("replicas", 1))
            present = revisions.annotations_of(rs)
            if before == size and annotations.items() <= present.items():
                continue
            changed = {
                **rs,
                "metadata": {**rs["metadata"], "annotations": {**present, **annotations}},
                "spec": {**rs["spec"], "replicas": size},
            }
            self._sets[name] = await self._client.update(REPLICASETS, changed)
            if before != size:
                direction = "up" if size > before else "down"
                self._event("Normal", SCALING, f"Scaled {direction} replica set {name} from {before} to {size}")

    async def _clean_up(self) -> None:
        for rs in revisions.to_clean_up(self._deployment, self._olds):
            metadata = rs["metadata"]
            try:
                await self._client.delete(
                    REPLICASETS, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"]
                )
            except ApiError as error:
                if error.code != 404:
                    raise

    async def _finish(self, *, rolling_out: bool) -> float | None:
        """Write the status; returns when a roll-out that stands still is to be looked at again."""
        now_s = self._controller.clock.now()
        new = statuses.member_of(self._new) if self._new is not None else None
        olds = [statuses.member_of(rs) for rs in self._olds]
        status = statuses.counted(self._deployment, self._strategy, new, olds, now_s)
        if rolling_out:
            members = ([new] if new is not None else []) + olds
            failures = [member.failure for member in members if member.failure is not None]
            status = statuses.progressed(self._deployment, status, self._new_name, failures, now_s)
        again_s = statuses.check_again_s(self._deployment, status, now_s)
        await self._write_status(status)
        return again_s

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._controller.recorder.event(self._deployment, kind, reason, message)
