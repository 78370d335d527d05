"""A cache with what this process has written itself, before the watch brings it back.

A controller that writes an object and soon looks again would else see the old one and do its work twice, or wrongly.
What was written stays in front until the informer has it, or something newer (``pv_controller``'s own caches, and
client-go's ``MutationCache``).
"""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api.meta import key_of
from picluster.api.types import Object
from picluster.client import Informer


class Ahead:
    """Reads like the informer; ``wrote`` what the API server answered."""

    def __init__(self, informer: Informer) -> None:
        self._informer = informer
        self._written: dict[str, Object] = {}
        informer.add_handler(self._caught_up)

    def get(self, key: str) -> Object | None:
        return self._written.get(key) or self._informer.get(key)

    def values(self) -> Iterator[Object]:
        for key in list(self._informer.keys()):
            found = self.get(key)
            if found is not None:
                yield found

    def wrote(self, obj: Object) -> None:
        key = key_of(obj)
        known = self._informer.get(key)
        if known is not None and _uid(known) == _uid(obj) and _revision(known) < _revision(obj):
            self._written[key] = obj

    def _caught_up(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            assert old is not None
            self._written.pop(key_of(old), None)
            return
        key = key_of(new)
        written = self._written.get(key)
        if written is not None and (_uid(new) != _uid(written) or _revision(new) >= _revision(written)):
            del self._written[key]


def _revision(obj: Object) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)


def _uid(obj: Object) -> str:
    return str(obj["metadata"].get("uid"))
