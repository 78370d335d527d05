"""Creates of what differs from what was created before in nothing but its name, without doing all of it once more.

Pods are made in numbers from few templates. What becomes of a body (decoded, checked against its schema, defaulted,
admitted, validated, encoded) depends on the body, on the objects that admission looks at, and on nothing else, but for
the name, the uid and the time. So the bytes that were stored last time are kept as a mould with three kinds of holes,
by the body with the name taken out, and the next object is cast from it. Everything is forgotten as soon as one of the
objects changes that admission looks at (``Basis``), and nothing is remembered while one is there that has to be asked
each time: a quota, a webhook, a policy. Whatever is unusual about a request goes the long way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from picluster.api import meta, serialize
from picluster.api.resources import PODS, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, Chain
from picluster.apiserver.cache.history import Change
from picluster.apiserver.cache.watchcache import WatchCache

if TYPE_CHECKING:
    from picluster.apiserver.registry.registry import Write

CAST = frozenset({PODS})
MOULDS_MAX = 128
SEEN_MAX = 1024
BODY_MAX_BYTES = 16 << 10
_HOLE = b"\0"
"""Stands where the name was; no JSON text has it."""
_NAME = re.compile("[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
"""Names that are right for everything: DNS labels of RFC 1035."""
_OWN_OWNERS = b'"managedFields"'

Key = tuple[Resource, str, str, bytes]


class _Metadata(msgspec.Struct, gc=False):
    name: str = ""
    generateName: str = ""  # noqa: N815 - as it is on the wire


class _Head(msgspec.Struct, gc=False):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class Mould(NamedTuple):
    """Stored bytes as pieces; before each but the first stands the value of the same place in ``holes``."""

    pieces: tuple[bytes, ...]
    holes: tuple[int, ...]


class Draft(NamedTuple):
    """A body that may be cast, or learned from: ``epoch`` is that of what admission looks at."""

    key: Key
    name: str
    prefix: str
    epoch: int
    annotations: int


class Cast(NamedTuple):
    key: str
    stored: bytes


_decode_head = msgspec.json.Decoder(_Head).decode


class Casts:
    """``draft`` a body, ``cast`` it, or go the long way and ``learn`` from it."""

    def __init__(self, cache: WatchCache, admission: Chain) -> None:
        self._moulds: dict[Key, Mould] = {}
        self._seen: dict[int, None] = {}
        self._epoch = 0
        self._cache = cache
        self._basis = {resource: admission.basis(resource, CREATE) for resource in CAST}
        relied_on = {each for basis in self._basis.values() if basis is not None for each in basis.all()}
        for resource in relied_on:
            cache.collection(resource).listeners.append(self._on_change)

    def draft(self, write: Write, body: bytes) -> Draft | None:
        """What identifies a body; ``None`` for one that has to go the long way and is not learned from."""
        usual = write.resource in CAST and not write.dry_run and not write.user.node
        if not usual or write.field_validation == "Ignore":  # which keeps quiet of what others are to be told
            return None
        if len(body) > BODY_MAX_BYTES or _OWN_OWNERS in body:
            return None
        try:
            metadata = _decode_head(body).metadata
        except msgspec.DecodeError:
            return None  # told what is wrong with it on the long way
        name = metadata.name
        if name and not _NAME.fullmatch(name):
            return None
        text = body.replace(b'"%b"' % name.encode(), _HOLE) if name else body
        key = (write.resource, write.namespace, write.manager, text)
        return Draft(key, name, metadata.generateName, self._epoch, len(write.annotations))

    def cast(self, draft: Draft, now: str) -> Cast | None:
        """The object of a known body, as it is to be stored; ``None`` if the body is not known."""
        mould = self._moulds.get(draft.key)
        if mould is None:
            return None
        name = draft.name or meta.generate_name(draft.prefix)
        values = (f'"{name}"'.encode(), f'"{meta.new_uid()}"'.encode(), f'"{now}"'.encode())
        parts = [mould.pieces[0]]
        for hole, piece in zip(mould.holes, mould.pieces[1:], strict=True):
            parts += (values[hole], piece)
        return Cast(f"{draft.key[1]}/{name}", b"".join(parts))

    def learn(self, draft: Draft, write: Write, obj: Object) -> None:
        """``obj`` is what became of the body; a body is remembered when it comes for the second time."""
        seen = hash(draft.key)
        if seen not in self._seen:
            if len(self._seen) >= SEEN_MAX:
                del self._seen[next(iter(self._seen))]
            self._seen[seen] = None
            return
        if draft.epoch != self._epoch or write.warnings or len(write.annotations) != draft.annotations:
            return
        basis = self._basis[write.resource]
        if basis is None or any(self._cache.collection(each).entries for each in basis.only_without):
            return
        if (mould := _mould(draft, obj)) is not None:
            if len(self._moulds) >= MOULDS_MAX:
                del self._moulds[next(iter(self._moulds))]
            self._moulds[draft.key] = mould

    def _on_change(self, change: Change) -> None:
        self._epoch += 1
        self._moulds.clear()


def _mould(draft: Draft, obj: Object) -> Mould | None:
    """The stored bytes of ``obj`` with holes; ``None`` where it is not certain what is name and what is time."""
    metadata = obj["metadata"]
    stored = serialize.encode(obj)
    name, uid, now = (f'"{metadata[field]}"'.encode() for field in ("name", "uid", "creationTimestamp"))
    told = {entry.get("time") for entry in metadata.get("managedFields") or ()}
    body = draft.key[3]
    certain = stored.count(name) == stored.count(uid) == 1 and told <= {metadata["creationTimestamp"]}
    if not certain or now in body or name in body or (draft.name and body.count(_HOLE) != 1):
        return None
    pieces, holes, rest = [], [], stored
    tokens = (name, uid, now)
    for match in re.finditer(b"|".join(re.escape(token) for token in tokens), stored):
        start = len(stored) - len(rest)
        pieces.append(stored[start : match.start()])
        holes.append(tokens.index(match.group()))
        rest = stored[match.end() :]
    return Mould((*pieces, rest), tuple(holes))
