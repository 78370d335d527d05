"""The protobuf field numbers of the definitions, read when first asked for: ``fieldnumbers.json``.

Kubernetes gives every field of its Go types a number that never changes, in the type's ``protobuf`` tag; OpenAPI does
not carry it. Collected from the struct tags and types of ``k8s.io/api`` and ``k8s.io/apimachinery`` 0.33, as the
reflection data of ``kubectl`` 1.33 has them, and for what is newer or not in there from the tags in ``types.go`` of
0.34 and 0.35 and the ``generated.proto`` of ``apiextensions-apiserver`` and ``kube-aggregator``. Kinds that have become
v1 since have the numbers of the beta before it. The newest fields have no number here, and what a client says of them
in protobuf is skipped; a test lists them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TypedDict

import orjson


class Message(TypedDict):
    """One message, under the name of its definition.

    ``numbers`` is the number of each field, by its name in JSON; or a path of numbers, when JSON shows the fields of an
    embedded message as the parent's own (``hostPath`` of a Volume is field 1 of field 2). ``pointers`` are the fields
    that Go holds by pointer: they are only on the wire when they are set, while all others always are.
    """

    numbers: dict[str, int | list[int]]
    pointers: list[str]


@cache
def messages() -> dict[str, Message]:
    """Every message by definition name; shared, so not to be changed."""
    loaded: dict[str, Message] = orjson.loads((Path(__file__).parent / "fieldnumbers.json").read_bytes())
    return loaded
