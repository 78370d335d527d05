"""Garbage collection by owner: what nobody owns any more goes, in the order the deletion asked for.

The rules are those of ``pkg/controller/garbagecollector``. The graph is the caches themselves: every kind of the
resource table and every custom resource, indexed by uid and by owner. An owner that the caches show exists; one that
they do not show is asked for at the API server before anything is deleted on its account, so a late cache costs a
request and never an object.

Background: an object whose owners are all gone is deleted. Foreground (finalizer ``foregroundDeletion`` on the owner):
its dependents go first, and the finalizer when the last one that blocks is gone. Orphan (finalizer ``orphan``): its
dependents forget it, then the finalizer goes.
"""

from __future__ import annotations

import enum
import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from picluster.api.errors import ApiError
from picluster.api.meta import key_of, split_key
from picluster.api.resources import BY_KIND, CORE_EVENTS, STORED, Resource
from picluster.api.types import Object
from picluster.client import Informer, PatchType
from picluster.controllers.shared.served import CustomCaches
from picluster.runtime import Controller, Manager, Requeue
from picluster.runtime.manager import only_metadata

log = logging.getLogger(__name__)

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
UID_INDEX = "uid"
OWNER_INDEX = "owner"
ABSENT_MAX = 500
UNKNOWN_KIND_RETRY_S = 30.0
COLLECTED = tuple(resource for resource in STORED if resource is not CORE_EVENTS)
"""Events outlive what they are about, and go by their age."""


class Owner(enum.Enum):
    """What a reference to an owner is worth."""

    SOLID = enum.auto()
    DANGLING = enum.auto()
    WAITING = enum.auto()
    """It is being deleted in the foreground and waits for this dependent."""


@dataclass(slots=True)
class Decision:
    """What to do with a dependent: forget ``drop``ped owners (uids), or delete it with ``propagation``."""

    drop: list[str] = field(default_factory=list)
    unblock: bool = False
    propagation: str | None = None


def decide(obj: Object, owners: Sequence[tuple[Object, Owner]], *, has_dependents: bool) -> Decision:
    """What becomes of ``obj`` whose references to owners are judged in ``owners``."""
    if not owners:
        return Decision()
    if any(state is Owner.SOLID for _, state in owners):
        return Decision(drop=[reference["uid"] for reference, state in owners if state is not Owner.SOLID])
    if any(state is Owner.WAITING for _, state in owners) and has_dependents:
        return Decision(propagation="Foreground", unblock=True)
    finalizers = obj["metadata"].get("finalizers") or ()
    if ORPHAN in finalizers:
        return Decision(propagation="Orphan")
    return Decision(propagation="Foreground" if FOREGROUND in finalizers else "Background")


def is_deleting(obj: Object, finalizer: str) -> bool:
    """Being deleted, and held by ``finalizer``."""
    metadata = obj["metadata"]
    return bool(metadata.get("deletionTimestamp")) and finalizer in (metadata.get("finalizers") or ())


def references(obj: Object) -> list[Object]:
    found: list[Object] = obj["metadata"].get("ownerReferences") or []
    return found


def blocks(dependent: Object, owner_uid: str) -> bool:
    return any(one["uid"] == owner_uid and one.get("blockOwnerDeletion") for one in references(dependent))


class GarbageCollector(Controller):
    """Keys are ``<resource id> <namespace/name>``."""

    name = "garbage-collector-controller"
    workers = 8

    def setup(self, manager: Manager) -> None:
        self._caches: dict[str, tuple[Resource, Informer]] = {}
        self._absent: OrderedDict[tuple[str, str], None] = OrderedDict()
        for resource in COLLECTED:
            cache = manager.informer(resource, metadata_only=True)
            cache.add_indexer(UID_INDEX, _uid)
            cache.add_indexer(OWNER_INDEX, _owner_uids)
            self._add(resource, cache)
        self._custom = CustomCaches(manager, only_metadata, self._add_custom, self._remove_custom)

    async def background(self) -> None:
        await self._custom.run()

    def _add_custom(self, resource: Resource, cache: Informer) -> None:
        cache.add_indexer(UID_INDEX, _uid)
        cache.add_indexer(OWNER_INDEX, _owner_uids)
        self._add(resource, cache)

    def _remove_custom(self, resource: Resource) -> None:
        self._caches.pop(resource.id, None)

    def _add(self, resource: Resource, cache: Informer) -> None:
        self._caches[resource.id] = (resource, cache)
        self._watch(resource, cache)

    def _watch(self, resource: Resource, cache: Informer) -> None:
        def on_change(old: Object | None, new: Object | None) -> None:
            if new is None:
                assert old is not None
                self._on_gone(old)
            elif old is None or _links(old) != _links(new):
                self._on_linked(resource, old, new)

        cache.add_handler(on_change)

    def _on_linked(self, resource: Resource, old: Object | None, new: Object) -> None:
        """New, owned by others than before, or on its way out."""
        if references(new) or new["metadata"].get("deletionTimestamp"):
            self.queue.add(_key(resource, new))
        if is_deleting(new, FOREGROUND) and (old is None or not is_deleting(old, FOREGROUND)):
            self._add_dependents(new["metadata"]["uid"])
        if old is not None and references(old) != references(new):
            self._add_owners(old)
        elif new["metadata"].get("deletionTimestamp"):
            self._add_owners(new)

    def _on_gone(self, old: Object) -> None:
        uid = old["metadata"].get("uid", "")
        self._remember_absent(uid, old["metadata"].get("namespace") or "")
        self._add_dependents(uid)
        self._add_owners(old)

    def _add_dependents(self, uid: str) -> None:
        for resource, dependent in self._dependents(uid):
            self.queue.add(_key(resource, dependent))

    def _add_owners(self, obj: Object) -> None:
        """An owner in foreground deletion may have been waiting for this."""
        for reference in references(obj):
            found = self._by_uid(reference["uid"])
            if found is not None and is_deleting(found[1], FOREGROUND):
                self.queue.add(_key(*found))

    def _dependents(self, uid: str) -> Iterator[tuple[Resource, Object]]:
        for resource, cache in list(self._caches.values()):
            for dependent in cache.index(OWNER_INDEX, uid):
                yield resource, dependent

    def _by_uid(self, uid: str) -> tuple[Resource, Object] | None:
        for resource, cache in self._caches.values():
            for obj in cache.index(UID_INDEX, uid):
                return resource, obj
        return None

    async def reconcile(self, key: str) -> float | None:
        resource_id, _, object_key = key.partition(" ")
        if resource_id not in self._caches:
            return None
        resource, cache = self._caches[resource_id]
        obj = cache.get(object_key)
        if obj is None:
            return None
        if is_deleting(obj, ORPHAN):
            await self._orphan_dependents(resource, obj)
            return None
        if is_deleting(obj, FOREGROUND):
            await self._wait_for_dependents(resource, obj)
            return None
        if obj["metadata"].get("deletionTimestamp") or not references(obj):
            return None
        return await self._judge(resource, obj)

    async def _judge(self, resource: Resource, obj: Object) -> float | None:
        if all(self._stands(resource, obj, reference) for reference in references(obj)):
            return None  # the common case costs no request
        live = await self._live(resource, obj)
        if live is None or live["metadata"].get("deletionTimestamp"):
            return None
        judged: list[tuple[Object, Owner]] = []
        for reference in references(live):
            state = await self._state(resource, live, reference)
            if state is None:
                return UNKNOWN_KIND_RETRY_S
            judged.append((reference, state))
        uid = live["metadata"]["uid"]
        decision = decide(live, judged, has_dependents=any(True for _ in self._dependents(uid)))
        await self._carry_out(resource, live, decision)
        return None

    def _stands(self, resource: Resource, obj: Object, reference: Object) -> bool:
        found = self._by_uid(reference["uid"])
        return found is not None and self._may_own(*found, obj) and not is_deleting(found[1], FOREGROUND)

    def _may_own(self, resource: Resource, owner: Object, obj: Object) -> bool:
        """Owners are of the same namespace, or of none."""
        return not resource.namespaced or owner["metadata"].get("namespace") == obj["metadata"].get("namespace")

    async def _state(self, resource: Resource, obj: Object, reference: Object) -> Owner | None:
        """``None`` when it cannot be told: the owner is of a kind that this cluster does not serve."""
        found = self._by_uid(reference["uid"])
        if found is not None and self._may_own(*found, obj):
            return Owner.WAITING if is_deleting(found[1], FOREGROUND) else Owner.SOLID
        kind = (reference["apiVersion"], reference["kind"])
        owner_resource = BY_KIND.get(kind) or self._custom.kinds.get(kind)
        if owner_resource is None:
            log.info("%s is owned by an unknown kind %s; it stays", key_of(obj), reference["kind"])
            return None
        namespace = obj["metadata"].get("namespace") or ""
        if owner_resource.namespaced and (not namespace or found is not None):
            self._report_invalid(obj, reference, namespace)
            if not namespace:
                return None
        if (reference["uid"], namespace) in self._absent:
            return Owner.DANGLING
        return await self._ask(owner_resource, reference, namespace)

    async def _ask(self, resource: Resource, reference: Object, namespace: str) -> Owner:
        scope = namespace if resource.namespaced else None
        try:
            owner = await self.client.get(resource, reference["name"], namespace=scope)
        except ApiError as error:
            if error.code != 404:
                raise
        else:
            if owner["metadata"].get("uid") == reference["uid"]:
                return Owner.WAITING if is_deleting(owner, FOREGROUND) else Owner.SOLID
        self._remember_absent(reference["uid"], namespace)
        return Owner.DANGLING

    def _report_invalid(self, obj: Object, reference: Object, namespace: str) -> None:
        said = ", ".join(f"{name}: {reference.get(name, '')}" for name in ("apiVersion", "kind", "name", "uid"))
        where = f'namespace "{namespace}"' if namespace else "the cluster scope"
        message = f"ownerRef [{said}] does not exist in {where}"
        self.recorder.event(obj, "Warning", "OwnerRefInvalidNamespace", message)

    def _remember_absent(self, uid: str, namespace: str) -> None:
        """A uid is never used again, so what is gone stays gone."""
        self._absent[(uid, namespace)] = None
        while len(self._absent) > ABSENT_MAX:
            self._absent.popitem(last=False)

    async def _carry_out(self, resource: Resource, obj: Object, decision: Decision) -> None:
        metadata = obj["metadata"]
        if decision.drop:
            await self._forget_owners(resource, obj, decision.drop)
        if decision.propagation is None:
            return
        if decision.unblock:
            await self._unblock_cycle(resource, obj)
        log.debug("%s %s is deleted: its owners are gone", resource.id, key_of(obj))
        try:
            await self.client.delete(
                resource,
                metadata["name"],
                namespace=metadata.get("namespace"),
                uid=metadata["uid"],
                propagation=decision.propagation,
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _unblock_cycle(self, resource: Resource, obj: Object) -> None:
        """Two that wait for each other would wait for ever: a dependent that is itself waiting blocks nobody."""
        if not any(is_deleting(dependent, FOREGROUND) for _, dependent in self._dependents(obj["metadata"]["uid"])):
            return
        freed = [{**reference, "blockOwnerDeletion": False} for reference in references(obj)]
        await self._patch(resource, obj, freed, freed)

    async def _wait_for_dependents(self, resource: Resource, owner: Object) -> None:
        uid = owner["metadata"]["uid"]
        blocking = [(kind, one) for kind, one in self._dependents(uid) if blocks(one, uid)]
        if not blocking:
            await self._remove_finalizer(resource, owner, FOREGROUND)
            return
        for kind, dependent in blocking:
            if not dependent["metadata"].get("deletionTimestamp"):
                self.queue.add(_key(kind, dependent))

    async def _orphan_dependents(self, resource: Resource, owner: Object) -> None:
        uid = owner["metadata"]["uid"]
        for kind, dependent in list(self._dependents(uid)):
            await self._forget_owners(kind, dependent, [uid])
        await self._remove_finalizer(resource, owner, ORPHAN)

    async def _forget_owners(self, resource: Resource, obj: Object, uids: Sequence[str]) -> None:
        gone: list[Object] = [{"$patch": "delete", "uid": uid} for uid in uids]
        left = [reference for reference in references(obj) if reference["uid"] not in uids]
        await self._patch(resource, obj, gone, left)

    async def _patch(self, resource: Resource, obj: Object, changes: list[Object], whole: list[Object]) -> None:
        """Change the owners of ``obj``: by ``changes``, or to the ``whole`` where lists are not merged."""
        namespace, name = split_key(key_of(obj))
        metadata: Object = {"uid": obj["metadata"]["uid"], "ownerReferences": changes}
        kind = PatchType.STRATEGIC
        if not resource.schema:
            kind = PatchType.MERGE
            metadata |= {"ownerReferences": whole or None, "resourceVersion": obj["metadata"]["resourceVersion"]}
        try:
            await self.client.patch(resource, name, {"metadata": metadata}, namespace=namespace or None, kind=kind)
        except ApiError as error:
            if error.code != 404:
                raise

    async def _remove_finalizer(self, resource: Resource, obj: Object, finalizer: str) -> None:
        live = await self._live(resource, obj)
        if live is None or finalizer not in (live["metadata"].get("finalizers") or ()):
            return
        if not live["metadata"].get("deletionTimestamp"):
            raise Requeue(f"{key_of(obj)} is not being deleted after all")
        left = [one for one in live["metadata"]["finalizers"] if one != finalizer]
        metadata = {"resourceVersion": live["metadata"]["resourceVersion"], "finalizers": left or None}
        namespace, name = split_key(key_of(obj))
        try:
            await self.client.patch(
                resource, name, {"metadata": metadata}, namespace=namespace or None, kind=PatchType.MERGE
            )
        except ApiError as error:
            if error.code != 404:
                raise

    async def _live(self, resource: Resource, obj: Object) -> Object | None:
        """The object as the server has it; ``None`` when it is gone, or another of its name is there."""
        namespace, name = split_key(key_of(obj))
        try:
            live = await self.client.get(resource, name, namespace=namespace or None)
        except ApiError as error:
            if error.code != 404:
                raise
            return None
        return live if live["metadata"]["uid"] == obj["metadata"]["uid"] else None


def _key(resource: Resource, obj: Object) -> str:
    return f"{resource.id} {key_of(obj)}"


def _uid(obj: Object) -> str | None:
    uid: str | None = obj["metadata"].get("uid")
    return uid


def _owner_uids(obj: Object) -> list[str]:
    return [reference["uid"] for reference in references(obj)]


def _links(obj: Object) -> tuple[object, ...]:
    metadata = obj["metadata"]
    return metadata.get("ownerReferences"), metadata.get("deletionTimestamp"), metadata.get("finalizers")
