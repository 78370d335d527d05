"""Field selectors of custom resources look at objects in the version that is asked for.

Where versions differ by more than their names, what one shows is not what is stored. Without a webhook the index of the
watch cache simply has the values of all versions (``view``). What a webhook converts is known only once it is
converted: then lists and watches are selected afterwards (``later``, ``LateSelection``).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple

import orjson

from picluster.api.resources import Resource
from picluster.api.selectors.fields import FieldSelector, parse_fields
from picluster.api.types import Object
from picluster.apiserver.cache.collection import ReadView
from picluster.apiserver.cache.index import METADATA_FIELDS, View, indexer_of, texts
from picluster.apiserver.crd.kind import CustomKind
from picluster.apiserver.requestinfo import Query

log = logging.getLogger(__name__)


def view(kinds: Mapping[str, CustomKind]) -> ReadView | None:
    """What reads the selectable fields of all versions; ``None`` where they are to be seen in what is stored."""
    some = next(iter(kinds.values()))
    fields = [(path.partition("/")[0], path.partition("/")[2].split(".")) for path in some.resource.indexed]
    wanted = {version: [steps for of, steps in fields if of == version] for version, _ in fields}
    if not fields or some.view().fetch is not None or all(kinds[each].view().convert is None for each in wanted):
        return None
    stored = indexer_of(some.resource).view

    def read(wire: bytes) -> View:
        try:
            obj = orjson.loads(wire)
            # ``indexed`` is sorted, so that the fields of one version follow each other.
            values = [texts(kinds[version].from_stored(obj), steps) for version, steps in wanted.items()]
            return View(obj["metadata"].get("labels"), tuple(value for found in values for value in found))
        except Exception:  # the cache goes on, whatever an object holds
            log.exception("the selectable fields of an object of %s cannot be read", some.resource.id)
            return stored(wire)

    return read


class Later(NamedTuple):
    """``query`` selects by what is known without a webhook; ``fields`` are to be matched after the conversion."""

    query: Query
    fields: FieldSelector

    def selection(self) -> LateSelection:
        """Of a watch."""
        query = self.query
        return LateSelection(
            self.fields, whole="sendInitialEvents" in query or query.get("resourceVersion", "") in ("", "0")
        )


def later(resource: Resource, query: Query) -> Later | None:
    """What is left to select by once objects are converted, if anything; raises ``ApiError`` 400."""
    selector = parse_fields(resource, query.get("fieldSelector", ""))
    known = tuple(each for each in selector.requirements if each.path in METADATA_FIELDS)
    if len(known) == len(selector.requirements):
        return None
    return Later({**query, "fieldSelector": str(FieldSelector(resource, known))}, selector)


class LateSelection:
    """What converted changes mean to a watch with a field selector.

    A watch that began with everything (``whole``) knows what it has shown. Another does not know what its client has
    seen before, and says of each object once that it is gone when it does not match.
    """

    def __init__(self, fields: FieldSelector, *, whole: bool) -> None:
        self._fields = fields
        self._whole = whole
        self._shown: dict[str, bool] = {}

    def meaning(self, event_type: str, obj: Object) -> str:
        """The type of the event to send, empty for none."""
        uid = str(obj["metadata"].get("uid"))
        before = self._shown.get(uid)
        matches = self._fields.matches_object(obj)
        if event_type == "DELETED":
            self._shown.pop(uid, None)
            return "DELETED" if before or (before is None and matches and not self._whole) else ""
        self._shown[uid] = matches
        if matches:
            return "MODIFIED" if before else "ADDED" if self._whole or before is False else event_type
        return "DELETED" if before or (before is None and not self._whole and event_type != "ADDED") else ""
