"""``metadata.managedFields``: who owns what, read and written (``apimachinery/pkg/util/managedfields``).

A manager is known by its name, whether it applies or updates, the version it writes (for updates), and the subresource
it writes to. Fields of metadata that the server sets belong to nobody.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from picluster.api import meta
from picluster.api.apply.fieldsets import FieldSet, difference, ordered, read, union
from picluster.api.types import Object

APPLY, UPDATE = "Apply", "Update"
UPDATERS_MAX = 10
"""Above this, the oldest updaters of a version are counted as one."""
ANCIENT = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"
UNKNOWN = "unknown"
NAME_MAX_BYTES = 128

SERVER_METADATA = frozenset(
    "f:" + name
    for name in (
        "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
        "resourceVersion",
    )
)  # fmt: skip


class Manager(NamedTuple):
    """``version`` is empty for appliers: they stay the same when they change it."""

    name: str
    operation: str
    version: str
    subresource: str = ""

    def __str__(self) -> str:
        """As a conflict names it."""
        text = f'"{self.name}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.version}" if self.operation == UPDATE else text


class Claim(NamedTuple):
    """What a manager owns, in the words of ``version``; ``time`` is empty when it is not known."""

    fields: FieldSet
    version: str
    time: str = ""


Managed = dict[Manager, Claim]


def manager(name: str, operation: str, version: str, subresource: str = "") -> Manager:
    return Manager(name or UNKNOWN, operation, version if operation == UPDATE else "", subresource)


@lru_cache(maxsize=256)
def from_user_agent(user_agent: str) -> str:
    """The manager of a request that names none: its program, cut to what is printable and fits."""
    name = ""
    for character in user_agent.partition("/")[0]:
        if character.isprintable():
            if len((name + character).encode()) > NAME_MAX_BYTES:
                break
            name += character
    return name


def decode(entries: Any) -> Managed:
    """Raises ``ValueError`` for what is no list of ``managedFields``, in the words of ``DecodeManagedFields``."""
    managed: Managed = {}
    for index, entry in enumerate(entries or ()):
        operation, version, form = (entry.get(field, "") for field in ("operation", "apiVersion", "fieldsType"))
        if operation not in (APPLY, UPDATE):
            raise ValueError("operation must be `Apply` or `Update`")
        if not version:
            raise ValueError("apiVersion must not be empty")
        if form != "FieldsV1":
            what = f'invalid fieldsType "{form}"' if form else "missing fieldsType"
            raise ValueError(f"{what} in managed fields entry {index}")
        who = Manager(
            entry.get("manager", ""), operation, version if operation == UPDATE else "", entry.get("subresource", "")
        )
        managed[who] = Claim(entry.get("fieldsV1") or {}, version, entry.get("time") or "")
    return managed


def decode_sent(entries: Any) -> Managed:
    """``decode`` for what a client wrote: its paths are read too."""
    return {who: claim._replace(fields=read(claim.fields)) for who, claim in decode(entries).items()}


def encode(managed: Managed, before: Managed | None = None, known: dict[Manager, Object] | None = None) -> list[Object]:
    """The entries in their order; claims and fields that are as in ``before`` are taken as they were written."""
    before, known = before or {}, known or {}
    return [
        known[who] if who in known and before.get(who) is claim else _written(who, claim, before.get(who))
        for who, claim in sorted(managed.items(), key=_place)
    ]


def _written(who: Manager, claim: Claim, before: Claim | None) -> Object:
    kept = before is not None and claim.fields is before.fields
    return entry(who, claim.version, claim.time, claim.fields if kept else ordered(claim.fields))


def _place(each: tuple[Manager, Claim]) -> tuple[str, int, str, str, str]:
    who, claim = each
    return who.operation, _seconds(claim.time), who.name, claim.version, who.subresource


def entry(who: Manager, version: str, time: str, fields: FieldSet) -> Object:
    """One element of ``managedFields``; ``fields`` are in order already."""
    made: Object = {"manager": who.name, "operation": who.operation, "apiVersion": version}
    if time:
        made["time"] = time
    made["fieldsType"] = "FieldsV1"
    made["fieldsV1"] = fields
    if who.subresource:
        made["subresource"] = who.subresource
    return made


def stripped(fields: FieldSet) -> FieldSet:
    """``fields`` without those that are nobody's."""
    if fields.keys().isdisjoint(_TOP):
        return fields
    return difference(fields, _SERVERS)


def cap(managed: Managed) -> Managed:
    """At most ``UPDATERS_MAX`` updaters: the oldest of each version become ``ancient-changes``."""
    updaters = [who for who in managed if who.operation == UPDATE]
    left = len(updaters)
    if left <= UPDATERS_MAX:
        return managed
    managed = dict(managed)
    first_of: dict[str, Manager] = {}
    for who in sorted(updaters, key=lambda each: (_seconds(managed[each].time), each)):
        if left <= UPDATERS_MAX:
            break
        claim = managed[who]
        if claim.version not in first_of:
            first_of[claim.version] = who
            continue
        bucket = Manager(ANCIENT, UPDATE, claim.version)
        if bucket not in managed:
            managed[bucket] = managed.pop(first_of[claim.version])
        fields = union(claim.fields, managed[bucket].fields)
        del managed[who]
        managed[bucket] = Claim(fields, claim.version, claim.time)
        left -= 1
    return managed


def claimed(managed: Managed) -> FieldSet:
    """What anybody owns."""
    result: FieldSet = {}
    for claim in managed.values():
        result = union(result, claim.fields)
    return result


def _seconds(time: str) -> int:
    return int(meta.parse_time(time)) if time else 0


_TOP = frozenset(("f:apiVersion", "f:kind", "f:metadata"))
_SERVERS: FieldSet = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {".": {}, **{element: {} for element in SERVER_METADATA}},
}
