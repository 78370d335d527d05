"""Has the cache caught up with what this controller wrote itself?

A ReplicaSet that made three pods must not count before its cache shows them, or it makes three more. Kubernetes counts
expected events; here every write remembers what will prove it in the cache. A created object is proved when the cache
has reached its resourceVersion, a deleted one when the cache shows it gone or going. What a lost answer may have done
cannot be proved, so it is waited out for a moment. Nothing is waited for longer than ``EXPIRES_S``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from picluster.api.meta import key_of
from picluster.api.types import Object
from picluster.client import Informer
from picluster.util.clock import Clock

EXPIRES_S = 300.0
UNSURE_S = 1.0


@dataclass(slots=True)
class _Pending:
    expires_s: float
    revision: int = 0
    deleted: dict[str, str] = field(default_factory=dict)
    """uid by key"""
    unsure_until_s: float = 0.0


class Expectations:
    """One controller's, by its own keys, over the cache of its dependents."""

    def __init__(self, cache: Informer, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock
        self._pending: dict[str, _Pending] = {}

    def wrote(self, key: str, obj: Object) -> None:
        """``obj`` is the answer to a create or an update."""
        pending = self._for(key)
        pending.revision = max(pending.revision, int(obj["metadata"]["resourceVersion"]))

    def deleted(self, key: str, obj: Object) -> None:
        self._for(key).deleted[key_of(obj)] = obj["metadata"]["uid"]

    def undeleted(self, key: str, obj: Object) -> None:
        """The deletion was refused after all."""
        self._for(key).deleted.pop(key_of(obj), None)

    def unsure(self, key: str) -> None:
        """A write's answer was lost."""
        self._for(key).unsure_until_s = self._clock.monotonic() + UNSURE_S

    def forget(self, key: str) -> None:
        self._pending.pop(key, None)

    def wait_s(self, key: str) -> float:
        """0 when the cache is fit to be counted; else when to look again, unless an event comes first."""
        pending = self._pending.get(key)
        if pending is None:
            return 0.0
        now_s = self._clock.monotonic()
        if now_s >= pending.expires_s:
            del self._pending[key]
            return 0.0
        if now_s < pending.unsure_until_s:
            return pending.unsure_until_s - now_s
        if pending.revision > int(self._cache.resource_version or 0):
            return pending.expires_s - now_s
        pending.deleted = {key: uid for key, uid in pending.deleted.items() if self._stands(key, uid)}
        if pending.deleted:
            return pending.expires_s - now_s
        del self._pending[key]
        return 0.0

    def _stands(self, key: str, uid: str) -> bool:
        obj = self._cache.get(key)
        return obj is not None and obj["metadata"].get("uid") == uid and not obj["metadata"].get("deletionTimestamp")

    def _for(self, key: str) -> _Pending:
        pending = self._pending.get(key)
        if pending is None:
            pending = self._pending[key] = _Pending(0.0)
        pending.expires_s = self._clock.monotonic() + EXPIRES_S
        return pending
