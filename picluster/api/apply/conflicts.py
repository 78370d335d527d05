"""409: an apply would take fields from their managers (``managedfields/internal/conflict.go``)."""

from __future__ import annotations

from picluster.api.apply.fieldsets import FieldSet, paths
from picluster.api.apply.managers import Manager
from picluster.api.errors import ApiError


class Conflicts(Exception):
    """``fields`` says what each of the others owns of what is about to change."""

    def __init__(self, fields: dict[Manager, FieldSet]) -> None:
        super().__init__("the apply conflicts with other managers")
        self.fields = fields

    def error(self) -> ApiError:
        """The refusal, with one cause for each field."""
        found = [
            (str(who), path)
            for who in sorted(self.fields, key=lambda each: (each.name, each))
            for path in paths(self.fields[who])
        ]
        causes = [
            {"reason": "FieldManagerConflict", "message": f"conflict with {name}", "field": path}
            for name, path in found
        ]
        return ApiError(409, "Conflict", _message(found), {"causes": causes})


def _message(found: list[tuple[str, str]]) -> str:
    if len(found) == 1:
        return f"Apply failed with 1 conflict: conflict with {found[0][0]}: {found[0][1]}"
    lines: list[str] = []
    for name in dict.fromkeys(name for name, _ in found):
        lines.append(f"conflicts with {name}:")
        lines.extend(f"- {path}" for owner, path in found if owner == name)
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
