"""How stored objects go over the wire: as they are, as metadata only, as Tables, or converted to another version.

A representation turns the bytes of one object, or of many, into the bytes of an answer. ``Plain`` is the identity, so a
GET copies nothing and a LIST is a join, of pieces when it is long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec
import orjson

from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver import tables
from picluster.apiserver.pieces import PIECE_BYTES, Pieces
from picluster.apiserver.tables.columns import Printer
from picluster.util.clock import Clock

META_GROUP = "meta.k8s.io"
Convert = Callable[[bytes], bytes]
Body = bytes | Pieces


class Representation(Protocol):
    """``name`` tells representations of one resource apart: those of one name give the same bytes."""

    @property
    def name(self) -> str: ...

    def one(self, wire: bytes) -> bytes:
        """The body that shows one object."""
        ...

    def bookmark(self, body: bytes) -> bytes:
        """The body that shows a bookmark: an object as it is stored, with nothing but metadata."""
        ...

    def many(self, wires: Sequence[bytes], metadata: Object) -> Body:
        """The body that shows a list; ``metadata`` is its ListMeta."""
        ...


class Plain:
    """The objects themselves."""

    name = "plain"

    def __init__(self, resource: Resource) -> None:
        self._head = f'{{"kind":"{resource.list_kind}","apiVersion":"{resource.api_version}","metadata":'.encode()

    def one(self, wire: bytes) -> bytes:
        return wire

    bookmark = one

    def many(self, wires: Sequence[bytes], metadata: Object) -> Body:
        return joined(self._head, metadata, wires)


class Converted:
    """The objects in another version than the stored one."""

    def __init__(self, resource: Resource, convert: Convert) -> None:
        self.name = f"converted-{resource.version}"
        self._type = {"kind": resource.kind, "apiVersion": resource.api_version}
        self._plain = Plain(resource)
        self._convert = convert

    def one(self, wire: bytes) -> bytes:
        return self._convert(wire)

    def bookmark(self, body: bytes) -> bytes:
        return orjson.dumps(orjson.loads(body) | self._type)

    def many(self, wires: Sequence[bytes], metadata: Object) -> Body:
        return self._plain.many([self._convert(wire) for wire in wires], metadata)


class _MetadataOnly(msgspec.Struct, gc=False):
    metadata: msgspec.Raw


_decode_metadata = msgspec.json.Decoder(_MetadataOnly).decode


class MetadataOnly:
    """``PartialObjectMetadata``: what garbage collection and metadata informers ask for."""

    def __init__(self, version: str) -> None:
        self.name = f"metadata-{version}"
        head = '{"kind":"PartialObjectMetadata%s","apiVersion":"%s/%s","metadata":'
        self._item = (head % ("", META_GROUP, version)).encode()
        self._list = (head % ("List", META_GROUP, version)).encode()

    def one(self, wire: bytes) -> bytes:
        return b"%b%b}" % (self._item, bytes(_decode_metadata(wire).metadata))

    def bookmark(self, body: bytes) -> bytes:
        return self.one(body)

    def many(self, wires: Sequence[bytes], metadata: Object) -> Body:
        return joined(self._list, metadata, [self.one(wire) for wire in wires])


class Table:
    """A Table in a version of ``meta.k8s.io``, as kubectl prints it.

    ``include`` is ``Metadata``, ``Object`` or ``None``.
    """

    def __init__(
        self, resource: Resource, printer: Printer, include: str, convert: Convert | None, clock: Clock, version: str
    ) -> None:
        self.name = f"table-{version}-{include}-{resource.version}"
        self._api_version = f"{META_GROUP}/{version}"
        self._printer = printer
        self._clock = clock
        self._include = include
        self._convert = convert

    def one(self, wire: bytes) -> bytes:
        return self.many([wire], {"resourceVersion": orjson.loads(wire)["metadata"].get("resourceVersion", "")})

    def many(self, wires: Sequence[bytes], metadata: Object) -> bytes:
        if self._convert is not None:
            wires = [self._convert(wire) for wire in wires]
        objects = map(orjson.loads, wires)
        return orjson.dumps(self.table(objects, metadata))

    def bookmark(self, body: bytes) -> bytes:
        """A row without values."""
        metadata = orjson.loads(body)["metadata"]
        table = self.table((), {"resourceVersion": metadata["resourceVersion"]})
        table["rows"] = [tables.blank(self._printer, {"metadata": metadata}, self._include, self._api_version)]
        return orjson.dumps(table)

    def table(self, objects: Iterable[Object], metadata: Object) -> Object:
        now_s, include, version = self._clock.now(), self._include, self._api_version
        return tables.printed(self._printer, objects, metadata, now_s, include, version)


class TableStream(Table):
    """The Tables of one watch: its first event tells the columns, the others do not (``endpoints/handlers/watch.go``).

    Until then its name is its own, because the frames of one name are shared among watches.
    """

    def __init__(
        self, resource: Resource, printer: Printer, include: str, convert: Convert | None, clock: Clock, version: str
    ) -> None:
        super().__init__(resource, printer, include, convert, clock, version)
        self._shared_name = self.name + "-headless"
        self.name = f"{self.name}-{id(self)}"

    def table(self, objects: Iterable[Object], metadata: Object) -> Object:
        table = super().table(objects, metadata)
        if self.name == self._shared_name:
            table["columnDefinitions"] = None
        self.name = self._shared_name
        return table


def joined(head: bytes, metadata: Object, items: Sequence[bytes]) -> Body:
    """A list's body: ``head`` up to its ``metadata``, and the items' bytes."""
    body = Pieces(b'%b%b,"items":[' % (head, orjson.dumps(metadata)), items, b"]}")
    return bytes(body) if len(body) < PIECE_BYTES else body
