"""Controller revisions: whose they are."""

from __future__ import annotations

from typing import Any

from picluster.api.meta import controller_of
from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Controller", description="Controller of the object"),
    Column("Revision", description="Revision indicates the revision of the state represented by Data."),
    AGE,
)


def row(revision: Object, now_s: float) -> list[Any]:
    owner = controller_of(revision)
    return [
        name_of(revision),
        _qualified(owner) if owner else "<none>",
        revision.get("revision", 0),
        age(revision, now_s),
    ]


def _qualified(owner: Object) -> str:
    """``statefulset.apps/web``."""
    group = owner["apiVersion"].rpartition("/")[0]
    kind = owner["kind"].lower()
    return f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"


PRINTER = Printer(COLUMNS, row)
