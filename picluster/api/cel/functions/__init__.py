"""The functions of the language, one file per library, each a table ``FUNCTIONS``; listed, in order, in ``LIBRARIES``.

A signature is written as it reads: ``"string.(string) -> bool"`` is a method of strings with one argument, ``"(list(A))
-> A"`` a function. An implementation gets values whose types fit its signature, and raises ``CelError``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from picluster.api.cel.functions.signatures import Overload

LIBRARIES = (
    "operators", "conversions", "collections", "times", "strings", "optionals", "lists", "listext", "sets", "regex",
    "urls", "quantity", "net", "semver", "formats", "authorizer",
)  # fmt: skip
PATCHES = "jsonpatch"


@cache
def functions(*, patches: bool = False) -> Mapping[str, tuple[Overload, ...]]:
    """Every function by name; read when the first expression is compiled."""
    found: dict[str, tuple[Overload, ...]] = {}
    for library in (*LIBRARIES, PATCHES) if patches else LIBRARIES:
        for overload in import_module(f"{__name__}.{library}").FUNCTIONS:
            found[overload.function] = (*found.get(overload.function, ()), overload)
    return found
