"""What is served at this moment: the rows of the resource table, and those that custom resources add."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from picluster.api.resources import RESOURCES, Resource


class Catalog:
    """``generation`` counts the changes, for whoever keeps something made from the rows."""

    def __init__(self, rows: Iterable[Resource] = RESOURCES) -> None:
        self._rows = tuple(rows)
        self._added: dict[str, tuple[Resource, ...]] = {}
        self._by_plural: dict[tuple[str, str, str], Resource] = {}
        self.generation = 0
        self._index()

    def __iter__(self) -> Iterator[Resource]:
        yield from self._rows
        for added in self._added.values():
            yield from added

    def lookup(self, group: str, version: str, plural: str) -> Resource | None:
        return self._by_plural.get((group, version, plural))

    def set(self, owner: str, rows: Sequence[Resource]) -> None:
        """Serve ``rows`` in place of those that ``owner`` (the name of a definition) had before; none removes it."""
        if tuple(rows) == self._added.get(owner, ()):
            return
        if rows:
            self._added[owner] = tuple(rows)
        else:
            self._added.pop(owner, None)
        self._index()

    def _index(self) -> None:
        self._by_plural = {(r.group, r.version, r.plural): r for r in self}
        self.generation += 1
