"""What a list or a watch asks for, compiled to one function over index entries."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from picluster.api.resources import Resource
from picluster.api.selectors import FieldSelector, LabelSelector, parse_fields, parse_labels
from picluster.apiserver.cache.index import Entry, indexer_of

Match = Callable[[Entry], bool]
NODE_NAME = "spec.nodeName"


class Selection(NamedTuple):
    """``match`` is ``None`` when the namespace says it all.

    ``key`` and ``node`` narrow the search when they are not empty: only that object, only that node's pods can match.
    """

    namespace: str
    key: str
    node: str
    match: Match | None

    @property
    def span(self) -> tuple[str, str | None]:
        """The keys that can match: from the first inclusive to the second exclusive."""
        if not self.namespace:
            return "", None
        return self.namespace + "/", self.namespace + "0"  # "0" is what follows "/"


@lru_cache(maxsize=1024)
def select(resource: Resource, namespace: str, label_selector: str, field_selector: str) -> Selection:
    """Compile; ``namespace`` empty means all of them. Raises ``ApiError`` 400 for a selector that cannot be read."""
    labels, fields = parse_labels(label_selector), parse_fields(resource, field_selector)
    name, node = fields.exact("metadata.name") or "", fields.exact(NODE_NAME) or ""
    wanted = namespace or fields.exact("metadata.namespace") or ""
    checks = _field_checks(resource, fields)
    if not labels.empty:
        checks.append(_label_check(labels))
    if node and wanted:
        checks.append(lambda entry: entry.namespace == wanted)
    key = f"{wanted}/{name}" if name and (wanted or not resource.namespaced) else ""
    return Selection(wanted, key, node, _all_of(checks))


def _label_check(labels: LabelSelector) -> Match:
    matches = labels.matches
    return lambda entry: matches(entry.labels)


def _field_checks(resource: Resource, fields: FieldSelector) -> list[Match]:
    return [_field_check(resource, path, equal, value) for path, equal, value in fields.requirements]


def _field_check(resource: Resource, path: str, equal: bool, value: str) -> Match:
    if path == "metadata.name":
        return lambda entry: (entry.name == value) is equal
    if path == "metadata.namespace":
        return lambda entry: (entry.namespace == value) is equal
    at = indexer_of(resource).position(path)
    return lambda entry: (entry.fields[at] == value) is equal


def _all_of(checks: list[Match]) -> Match | None:
    if not checks:
        return None
    if len(checks) == 1:
        return checks[0]
    return lambda entry: all(check(entry) for check in checks)
