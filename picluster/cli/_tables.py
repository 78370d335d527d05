"""Server-side Tables as text: columns as wide as their cells, three spaces between, as kubectl prints them. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from picluster.api.types import Object

GAP = "   "


def text(table: Object, *, wide: bool = False, namespaces: bool = False, kind: str = "") -> str:
    """``table`` as lines; ``namespaces`` puts each object's namespace first, ``kind`` stands before each name."""
    columns = [i for i, column in enumerate(table["columnDefinitions"]) if wide or not column.get("priority")]
    head = [table["columnDefinitions"][i]["name"].upper() for i in columns]
    rows = [[_cell(row["cells"][i]) for i in columns] for row in table["rows"]]
    for row in rows if kind else ():
        row[0] = f"{kind}/{row[0]}"
    if namespaces:
        head.insert(0, "NAMESPACE")
        for row, entry in zip(rows, table["rows"], strict=True):
            row.insert(0, str((entry.get("object") or {}).get("metadata", {}).get("namespace", "")))
    return align([head, *rows])


def align(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length as aligned lines without trailing blanks."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Iterable[str], widths: Sequence[int]) -> str:
    return GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cell(value: Any) -> str:
    return "<none>" if value is None else str(value)
