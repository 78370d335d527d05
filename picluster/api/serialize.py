"""The bytes an object is at rest: its JSON with ``metadata`` first and the revision cut out.

What is stored begins right behind the revision, so that wire bytes are ``PREFIX``, the revision, and the stored bytes
(see "Objects are bytes where there are many" in ``docs/ARCHITECTURE.md``).
"""

from __future__ import annotations

from typing import Any

import orjson

from picluster.api.types import Object

PREFIX = b'{"metadata":{"resourceVersion":"'
_OPENING = b'{"metadata":{'


def encode(obj: Object) -> bytes:
    """The stored form of ``obj``; its ``metadata.resourceVersion`` is left out, ``obj`` stays as it is."""
    metadata: Any = obj.get("metadata") or {}
    if "resourceVersion" in metadata:
        metadata = {key: value for key, value in metadata.items() if key != "resourceVersion"}
    text = orjson.dumps({"metadata": metadata, **{key: value for key, value in obj.items() if key != "metadata"}})
    return (b'",' if metadata else b'"') + text[len(_OPENING) :]


def splice(stored: bytes, revision: int) -> bytes:
    """The JSON of a stored object as it is at ``revision``, ready for the wire."""
    return b"".join((PREFIX, b"%d" % revision, stored))


def unwritten(stored: bytes) -> bytes:
    """The JSON of an object that is at no revision, as a dry run shows what it would create."""
    return _OPENING + stored.removeprefix(b'"').removeprefix(b",")


def decode(stored: bytes, revision: int) -> Object:
    """The object that ``stored`` is at ``revision``; a new one at each call."""
    obj: Object = orjson.loads(splice(stored, revision))
    return obj
