"""What a mutating plugin remembers between its two runs (``webhook/mutating/reinvocationcontext``)."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from picluster.api.types import Object


@dataclass(slots=True)
class Asked:
    """Who was asked and may be asked again (``asked``), who must be (``due``), and what the last one left."""

    asked: set[str] = field(default_factory=set)
    due: set[str] = field(default_factory=set)
    output: bytes = b""

    def changed(self) -> None:
        self.due |= self.asked
        self.asked = set()


def fingerprint(obj: Object | None) -> bytes:
    """Tells whether somebody else has changed the object."""
    return b"" if obj is None else orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
