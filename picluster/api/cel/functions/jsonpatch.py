"""What writing JSON patches takes. Source: ``cel/library/jsonpatch.go``."""

from __future__ import annotations

from picluster.api.cel.functions.signatures import Overload, overload, traversal


def _escape_key(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


FUNCTIONS: tuple[Overload, ...] = (overload("jsonpatch.escapeKey", "(string) -> string", _escape_key, traversal()),)
