"""Role bindings."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of, wide

COLUMNS = (
    NAME,
    Column("Role", description="RoleRef can reference a Role in the current namespace or a ClusterRole in the global"
           " namespace."),
    AGE,
    wide("Users"),
    wide("Groups"),
    wide("ServiceAccounts"),
)  # fmt: skip


def row(binding: Object, now_s: float) -> list[Any]:
    reference = binding.get("roleRef") or {}
    named: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in binding.get("subjects") or ():
        kind, name = subject.get("kind", ""), subject.get("name", "")
        named.setdefault(kind, []).append(
            f"{subject.get('namespace', '')}/{name}" if kind == "ServiceAccount" else name
        )
    role = f"{reference.get('kind', '')}/{reference.get('name', '')}"
    listed = [", ".join(named[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [name_of(binding), role, age(binding, now_s), *listed]


PRINTER = Printer(COLUMNS, row)
