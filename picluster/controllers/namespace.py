"""Namespaces on their way out: first their pods, then everything else, then the finalizer that holds them.

Order, conditions and wording are those of ``pkg/controller/namespace/deletion``. What there is to delete the
server says, so that custom resources go too. While something remains, the namespace is looked at again, less and less
often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from picluster.api.errors import ApiError
from picluster.api.meta import now_rfc3339, set_condition
from picluster.api.resources import NAMESPACES, PODS, Resource
from picluster.api.types import Object
from picluster.client import list_all
from picluster.client.discovery import collections, served
from picluster.runtime import Controller, Manager, Requeue

FINALIZER = "kubernetes"


@dataclass(slots=True)
class Remains:
    """What a round of deletion left: instances by resource, finalizers by name, and what could not be deleted."""

    instances: dict[str, int] = field(default_factory=dict)
    finalizers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, resource: Resource, items: Sequence[Object]) -> None:
        if items:
            self.instances[f"{resource.plural}.{resource.group}"] = len(items)
        for item in items:
            self.finalizers.update(item["metadata"].get("finalizers") or ())


def conditions(remains: Remains) -> list[Object]:
    """The five conditions of a namespace that is being deleted."""
    failures = sorted(remains.failures)
    return [
        _condition("DeletionDiscoveryFailure", "", "", "ResourcesDiscovered", "All resources successfully discovered"),
        _condition(
            "DeletionGroupVersionParsingFailure",
            "",
            "",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        _condition(
            "DeletionContentFailure",
            "ContentDeletionFailed",
            f"Failed to delete all resource types, {len(failures)} remaining: {', '.join(failures)}"
            if failures
            else "",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        _condition(
            "ContentRemaining",
            "SomeResourcesRemain",
            _listed("Some resources are remaining: ", remains.instances, "has {} resource instances"),
            "ContentRemoved",
            "All content successfully removed",
        ),
        _condition(
            "FinalizersRemaining",
            "SomeFinalizersRemain",
            _listed(
                "Some content in the namespace has finalizers remaining: ",
                remains.finalizers,
                "in {} resource instances",
            ),
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    ]


def _condition(kind: str, bad_reason: str, problem: str, good_reason: str, good: str) -> Object:
    return {
        "type": f"Namespace{kind}",
        "status": "True" if problem else "False",
        "reason": bad_reason if problem else good_reason,
        "message": problem or good,
    }


def _listed(prefix: str, counts: Mapping[str, int], suffix: str) -> str:
    listed = [f"{name} {suffix.format(count)}" for name, count in sorted(counts.items())]
    return prefix + ", ".join(listed) if listed else ""


class NamespaceController(Controller):
    name = "namespace-controller"
    workers = 2
    retry_max_s = 2.0

    def setup(self, manager: Manager) -> None:
        self._namespaces = manager.informer(NAMESPACES)
        self._namespaces.add_handler(self._on_namespace)

    def _on_namespace(self, old: Object | None, new: Object | None) -> None:
        if new is not None and new["metadata"].get("deletionTimestamp"):
            self.queue.add(new["metadata"]["name"])

    async def reconcile(self, key: str) -> float | None:
        try:
            namespace = await self.client.get(NAMESPACES, key)
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        if not namespace["metadata"].get("deletionTimestamp") or not namespace["spec"].get("finalizers"):
            return None
        remains = await self._delete_contents(key)
        namespace = await self._note(namespace, remains)
        if remains.instances or remains.failures:
            raise Requeue(f"{sum(remains.instances.values())} objects remain in {key}")
        await self._finalize(namespace)
        return None

    async def _delete_contents(self, namespace: str) -> Remains:
        """One round: pods first, and the rest when the last of them is gone."""
        remains = Remains()
        await self._delete_all(PODS, namespace, remains)
        if not remains.instances and not remains.failures:
            for resource in collections(await served(self.client)):
                if resource.namespaced and resource is not PODS and "deletecollection" in resource.verbs:
                    await self._delete_all(resource, namespace, remains)
        return remains

    async def _delete_all(self, resource: Resource, namespace: str, remains: Remains) -> None:
        try:
            before = await self.client.list(resource, namespace=namespace, limit=1)
            if not before["items"]:
                return
            await self.client.delete_collection(resource, namespace=namespace, propagation="Background")
            left = await list_all(self.client, resource, namespace=namespace)
        except ApiError as error:
            remains.failures.append(f"{resource.id}: {error}")
            return
        remains.add(resource, left["items"])

    async def _note(self, namespace: Object, remains: Remains) -> Object:
        status = namespace.get("status") or {}
        noted = list(status.get("conditions") or ())
        now = now_rfc3339(self.clock.now())
        changes = [set_condition(noted, condition, now) for condition in conditions(remains)]
        if not any(changes):
            return namespace
        changed = {**namespace, "status": {**status, "phase": "Terminating", "conditions": noted}}
        return await self.client.update(NAMESPACES, changed, subresource="status")

    async def _finalize(self, namespace: Object) -> None:
        left = [finalizer for finalizer in namespace["spec"]["finalizers"] if finalizer != FINALIZER]
        changed = {**namespace, "spec": {**namespace["spec"], "finalizers": left}}
        try:
            await self.client.update(NAMESPACES, changed, subresource="finalize")
        except ApiError as error:
            if error.code != 404:
                raise
