"""Sets from before a schema made something atomic (``typed.ReconcileFieldSetWithSchema``).

Who owned parts of what is atomic now owns the whole. The other way round nothing changes: the owner keeps the place
itself and none of its parts.
"""

from __future__ import annotations

from picluster.api.apply.elements import SELF
from picluster.api.apply.fieldsets import MEMBER, FieldSet
from picluster.api.apply.managers import Managed
from picluster.api.apply.types import Type


def managed(of_type: Type, version: str, before: Managed) -> Managed:
    """``before`` with every set of ``version`` as the schema has it now."""
    return {
        who: claim._replace(fields=_below(of_type, claim.fields)) if claim.version == version else claim
        for who, claim in before.items()
    }


def _below(of_type: Type, fields: FieldSet) -> FieldSet:
    result: FieldSet = {}
    for element, found in fields.items():
        child = of_type.child(element[2:]) if element.startswith("f:") else of_type.element
        if element == SELF or not found or child is None or child.kind in ("any", "scalar"):
            result[element] = found
        else:
            result[element] = MEMBER if child.atomic else _below(child, found)
    return result
