"""ResourceQuota: the last word before an object is stored; what it uses is charged to its namespace's quotas.

Usage is written by compare-and-swap before the object is: of two creates that race for the last pod one is refused. If
the object is not stored after all, the quota controller gives back what was charged. Source:
``apiserver/pkg/admission/plugin/resourcequota``. Nothing is looked at in a cluster without quotas.
"""

from __future__ import annotations

from dataclasses import dataclass

from picluster.api import errors, quota
from picluster.api.quota import amounts
from picluster.api.quota.amounts import Amounts
from picluster.api.resources import RESOURCE_QUOTAS, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, UPDATE, Attributes, Basis
from picluster.apiserver.admission.live import Live
from picluster.apiserver.registry.store import Store
from picluster.storage.backend import RevisionMismatch
from picluster.util.clock import Clock

ATTEMPTS_MAX = 20


@dataclass(frozen=True, slots=True)
class Charge:
    """A quota, and what it will have used when the object is there."""

    quota: Object
    used: Object


class ResourceQuota:
    name = "ResourceQuota"
    basis = Basis(only_without=(RESOURCE_QUOTAS,))

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._quotas = Live(store.cache, RESOURCE_QUOTAS)

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        if not resource.namespaced or not resource.stored:
            return False
        if operation == UPDATE:
            return quota.counts_updates(resource) and subresource in ("", "resize")
        return operation == CREATE and not subresource

    async def validate(self, attributes: Attributes) -> None:
        if not self._quotas:
            return
        charged: set[str] = set()
        for _ in range(ATTEMPTS_MAX):
            charges = self._charges(attributes, charged)
            if attributes.dry_run or await self._charge(charges, charged):
                return
        resource = attributes.resource
        raise errors.conflict(
            resource.group, resource.plural, attributes.name, "its quotas are in great demand; please try again"
        )

    def _charges(self, attributes: Attributes, charged: set[str]) -> list[Charge]:
        """What is to be written to which quota yet; raises ``ApiError`` 403 when one would be exceeded."""
        found = []
        for each in self._quotas.within(attributes.namespace):
            if each["metadata"]["uid"] in charged:
                continue
            used = self._used_after(each, attributes)
            if used is not None:
                found.append(Charge(each, used))
        return found

    def _used_after(self, each: Object, attributes: Attributes) -> Object | None:
        resource, obj = attributes.resource, attributes.obj
        assert obj is not None
        spec, status = each.get("spec") or {}, each.get("status") or {}
        if not quota.selects(spec, resource, obj):
            return None
        hard = status.get("hard") or {}
        requested = amounts.only(self._delta(spec, attributes), hard)
        name = each["metadata"]["name"]
        if attributes.operation == CREATE and (lacking := quota.missing(resource, obj, hard)):
            raise _refusal(attributes, f"failed quota: {name}: must specify {lacking}")
        if not requested:
            return None
        known = status.get("used") or {}
        if unknown := sorted(set(requested) - set(known)):
            raise _refusal(attributes, f"status unknown for quota: {name}, resources: {','.join(unknown)}")
        after = amounts.add(amounts.only(amounts.read(known), requested), requested)
        self._check(name, requested, known, hard, after, attributes)
        return {**known, **amounts.write(after, hard)}

    def _delta(self, spec: Object, attributes: Attributes) -> Amounts:
        """What the request adds, without zeros; an object that the quota did not count before adds all of it."""
        now_s, old = self._clock.now(), attributes.old
        assert attributes.obj is not None
        delta = quota.usage(attributes.resource, attributes.obj, now_s)
        if attributes.operation == UPDATE and old is not None and quota.selects(spec, attributes.resource, old):
            delta = amounts.subtract(delta, quota.usage(attributes.resource, old, now_s))
        return {name: amount for name, amount in delta.items() if amount}

    def _check(
        self, name: str, requested: Amounts, known: Object, hard: Object, after: Amounts, attributes: Attributes
    ) -> None:
        allowed = amounts.read(hard)
        exceeded = [each for each, amount in after.items() if amount > allowed[each] and requested[each] > 0]
        if not exceeded:
            return
        said = [
            amounts.shown(values)
            for values in (
                amounts.write(amounts.only(requested, exceeded), hard),
                {each: known[each] for each in exceeded},
                {each: hard[each] for each in exceeded},
            )
        ]
        raise _refusal(attributes, f"exceeded quota: {name}, requested: {said[0]}, used: {said[1]}, limited: {said[2]}")

    async def _charge(self, charges: list[Charge], charged: set[str]) -> bool:
        """Write them, and note the uids; ``False`` when somebody else has changed a quota meanwhile."""
        for charge in charges:
            metadata = charge.quota["metadata"]
            entry = self._store.cache.get(RESOURCE_QUOTAS, metadata["namespace"], metadata["name"])
            if entry is None:
                continue  # it went; the next look will not see it
            if str(entry.revision) != metadata["resourceVersion"]:
                return False
            status = {**charge.quota["status"], "used": charge.used}
            try:
                await self._store.replace(RESOURCE_QUOTAS, entry, {**charge.quota, "status": status})
            except RevisionMismatch:
                return False
            charged.add(metadata["uid"])
        return True


def _refusal(attributes: Attributes, why: str) -> errors.ApiError:
    resource = attributes.resource
    assert attributes.obj is not None
    return errors.forbidden(resource.group, resource.plural, attributes.obj["metadata"].get("name", ""), why)
