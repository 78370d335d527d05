"""How stored objects go over the wire: as they are, as metadata only, as Tables, or converted to another version.

A representation turns the bytes of one object, or of many, into the bytes of an answer. ``Plain`` is the identity, so a
GET copies nothing and a LIST is a join, of pieces when it is long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import orjson

from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver import tables
from picluster.apiserver.pieces import PIECE_BYTES, Pieces
from picluster.apiserver.tables.columns import Printer
from picluster.util.clock import Clock

META_VERSION = "meta.k8s.io/v1"
Convert = Callable[[bytes], bytes]
Body = bytes | Pieces


class Representation(Protocol):
    """``name`` tells representations of one resource apart: those of one name give the same bytes."""

    @property
    def name(self) -> str: ...

    def one(self, wire: bytes) -> bytes:
        """The body that shows one object."""
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

    def many(self, wires: Sequence[bytes], metadata: Object) -> Body:
        return joined(self._head, metadata, wires)


class Converted:
    """The objects in another version than the stored one."""

    def __init__(self, resource: Resource, convert: Convert) -> None:
        self.name = f"converted-{resource.version}"
        self._plain = Plain(resource)
        self._convert = convert

    def one(self, wire: bytes) -> bytes:
        return self._convert(wire)

    def many(self, wires: Sequence[bytes], metadata: Object) -> Body:
        return self._plain.many([self._convert(wire) for wire in wires], metadata)


class _MetadataOnly(msgspec.Struct, gc=False):
    metadata: msgspec.Raw


_decode_metadata = msgspec.json.Decoder(_MetadataOnly).decode


class MetadataOnly:
    """``PartialObjectMetadata``: what garbage collection and metadata informers ask for."""

    name = "metadata"
    _ITEM = f'{{"kind":"PartialObjectMetadata","apiVersion":"{META_VERSION}","metadata":'.encode()
    _LIST = f'{{"kind":"PartialObjectMetadataList","apiVersion":"{META_VERSION}","metadata":'.encode()

    def one(self, wire: bytes) -> bytes:
        return b"%b%b}" % (self._ITEM, bytes(_decode_metadata(wire).metadata))

    def many(self, wires: Sequence[bytes], metadata: Object) -> Body:
        return joined(self._LIST, metadata, [self.one(wire) for wire in wires])


class Table:
    """A ``meta.k8s.io/v1`` Table, as kubectl prints it; ``include`` is ``Metadata``, ``Object`` or ``None``."""

    def __init__(
        self, resource: Resource, printer: Printer, include: str, convert: Convert | None, clock: Clock
    ) -> None:
        self.name = f"table-{include}-{resource.version}"
        self._printer = printer
        self._clock = clock
        self._include = include
        self._convert = convert

    def one(self, wire: bytes) -> bytes:
        return self.many([wire], {"resourceVersion": orjson.loads(wire)["metadata"]["resourceVersion"]})

    def many(self, wires: Sequence[bytes], metadata: Object) -> bytes:
        if self._convert is not None:
            wires = [self._convert(wire) for wire in wires]
        objects = map(orjson.loads, wires)
        return orjson.dumps(tables.printed(self._printer, objects, metadata, self._clock.now(), self._include))


def joined(head: bytes, metadata: Object, items: Sequence[bytes]) -> Body:
    """A list's body: ``head`` up to its ``metadata``, and the items' bytes."""
    body = Pieces(b'%b%b,"items":[' % (head, orjson.dumps(metadata)), items, b"]}")
    return bytes(body) if len(body) < PIECE_BYTES else body
