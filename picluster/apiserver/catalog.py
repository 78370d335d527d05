"""What is served at this moment: the rows of the resource table, and those that custom resources add."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from picluster.api.resources import RESOURCES, Resource
from picluster.api.types import Object

_VERSION_RE = re.compile(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?")
_STAGES = {None: 3, "beta": 2, "alpha": 1}

Definitions = Mapping[str, Callable[[], Object]]
"""What makes OpenAPI definitions, by name: in v3 form, with references as v2 has them."""


class Catalog:
    """``generation`` counts the changes, for whoever keeps something made from the rows.

    ``delegated`` are the group-versions that other servers serve (``aggregation``).
    """

    def __init__(self, rows: Iterable[Resource] = RESOURCES) -> None:
        self._rows = tuple(rows)
        self._added: dict[str, tuple[tuple[Resource, ...], Definitions]] = {}
        self._sorted: tuple[Resource, ...] = ()
        self._by_plural: dict[tuple[str, str, str], Resource] = {}
        self.generation = 0
        self.delegated: frozenset[tuple[str, str]] = frozenset()
        self._index()

    def __iter__(self) -> Iterator[Resource]:
        yield from self._rows
        yield from self._sorted

    def lookup(self, group: str, version: str, plural: str) -> Resource | None:
        return self._by_plural.get((group, version, plural))

    def set(self, owner: str, rows: Sequence[Resource], definitions: Definitions | None = None) -> None:
        """Serve ``rows`` in place of those that ``owner`` (the name of a definition) had before; none removes it."""
        added = (tuple(rows), definitions or {})
        if added == self._added.get(owner, ((), {})):
            return
        if rows:
            self._added[owner] = added
        else:
            del self._added[owner]
        self._index()

    def delegate(self, group_versions: frozenset[tuple[str, str]]) -> None:
        """Leave ``group_versions``, whole, to other servers."""
        if group_versions != self.delegated:
            self.delegated = group_versions
            self.generation += 1

    def changed(self) -> None:
        """Say that what is served elsewhere, or in which order all of it is shown, has changed."""
        self.generation += 1

    def definitions(self) -> Definitions:
        """What the added rows are described by in OpenAPI."""
        return {name: body for _, definitions in self._added.values() for name, body in definitions.items()}

    def _index(self) -> None:
        added = [row for rows, _ in self._added.values() for row in rows]
        self._sorted = tuple(sorted(added, key=lambda row: (row.group, version_order(row.version), row.plural)))
        self._by_plural = {(r.group, r.version, r.plural): r for r in (*self._sorted, *self._rows)}
        self.generation += 1


def version_order(version: str) -> tuple[int, int, int, str]:
    """A key that sorts versions as Kubernetes prefers them: ``v10``, ``v2``, ``v1beta1``, ``v1alpha1``, others."""
    found = _VERSION_RE.fullmatch(version)
    if found is None:
        return (0, 0, 0, version)
    return (-_STAGES[found[2]], -int(found[1]), -int(found[3] or 0), "")
