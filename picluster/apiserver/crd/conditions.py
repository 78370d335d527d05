"""The status of a definition: which names it gets, and what is true of it. PURE.

Sources: ``controller/{status,establish,nonstructuralschema,apiapproval}`` in apiextensions-apiserver.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from picluster.api import meta
from picluster.api.structural import approval, shape
from picluster.api.types import Object

_STATES = {
    approval.APPROVED: ("True", "ApprovedAnnotation"),
    approval.BYPASSED: ("False", "UnapprovedAnnotation"),
    approval.MISSING: ("False", "MissingAnnotation"),
    approval.INVALID: ("False", "InvalidAnnotation"),
}
_CONFLICTS = (("plural", "PluralConflict"), ("singular", "SingularConflict"))
_KIND_CONFLICTS = (("kind", "KindConflict"), ("listKind", "ListKindConflict"))


def status(definition: Object, others: Iterable[Object], now: str) -> Object:
    """The status of ``definition``, given the ``others`` of its group."""
    old = definition.get("status") or {}
    made: Object = {**old, "conditions": [dict(condition) for condition in old.get("conditions") or ()]}
    names, accepted = _names(definition, others)
    made["acceptedNames"] = names
    _set(made, accepted, now)
    _set(made, _established(definition, accepted), now)
    structural = _structural(definition)
    for condition in (_approved(definition), structural):
        if condition is not None:
            _set(made, condition, now)
    if structural is None:
        made["conditions"] = [one for one in made["conditions"] if one["type"] != "NonStructuralSchema"]
    return made


def terminating(reason: str, message: str, *, done: bool = False) -> Object:
    """The condition of a definition that goes, with its objects."""
    return {"type": "Terminating", "status": "False" if done else "True", "reason": reason, "message": message}


def _set(made: Object, condition: Object, now: str) -> None:
    meta.set_condition(made["conditions"], condition, now)


def _names(definition: Object, others: Iterable[Object]) -> tuple[Object, Object]:
    """The names that ``definition`` has from now on, and the condition ``NamesAccepted``."""
    wanted = definition["spec"]["names"]
    had = (definition.get("status") or {}).get("acceptedNames") or {}
    taken = [(other.get("status") or {}).get("acceptedNames") or {} for other in others]
    resources = {name for one in taken for name in (one.get("plural"), one.get("singular"), *one.get("shortNames", ()))}
    kinds = {name for one in taken for name in (one.get("kind"), one.get("listKind"))}
    names, conflict = dict(had), ("", "")
    for fields, used in ((_CONFLICTS, resources), (_KIND_CONFLICTS, kinds)):
        for field, reason in fields:
            if wanted.get(field) != had.get(field) and wanted.get(field) in used:
                conflict = (reason, f"{json.dumps(wanted[field])} is already in use")
            elif wanted.get(field):
                names[field] = wanted[field]
        if fields is _CONFLICTS:
            conflict = _short_names(wanted, had, resources, names) or conflict
    names.pop("categories", None)
    if wanted.get("categories"):
        names["categories"] = wanted["categories"]
    reason, message = conflict if conflict[0] else ("NoConflicts", "no conflicts found")
    good = "False" if conflict[0] else "True"
    return names, {"type": "NamesAccepted", "status": good, "reason": reason, "message": message}


def _short_names(wanted: Object, had: Object, used: set[str | None], names: Object) -> tuple[str, str] | None:
    """Settle the short names in ``names``; what is wrong with them."""
    own = {*had.get("shortNames", ()), had.get("plural"), had.get("singular")}
    clashes = [name for name in wanted.get("shortNames", ()) if name in used and name not in own]
    if clashes:
        listed = [f"{json.dumps(name)} is already in use" for name in clashes]
        return "ShortNamesConflict", listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
    names.pop("shortNames", None)
    if wanted.get("shortNames"):
        names["shortNames"] = wanted["shortNames"]
    return None


def _established(definition: Object, accepted: Object) -> Object:
    """Once established, it stays so."""
    old = meta.get_condition(definition, "Established")
    if old is not None and old["status"] == "True":
        return old
    if accepted["status"] == "True":
        text = "the initial names have been accepted"
        return {"type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": text}
    return {
        "type": "Established", "status": "False", "reason": "NotAccepted", "message": "not all names are accepted",
    }  # fmt: skip


def _approved(definition: Object) -> Object | None:
    if not approval.is_protected(definition["spec"]["group"]):
        return None
    state, why = approval.state(definition["metadata"])
    good, reason = _STATES[state]
    return {"type": "KubernetesAPIApprovalPolicyConformant", "status": good, "reason": reason, "message": why}


def _structural(definition: Object) -> Object | None:
    """``NonStructuralSchema`` is there only when it is true."""
    found = [
        str(failure)
        for index, version in enumerate(definition["spec"]["versions"])
        if (schema := (version.get("schema") or {}).get("openAPIV3Schema"))
        for failure in shape.failures(schema, f"spec.versions[{index}].schema.openAPIV3Schema")
    ]
    if not found:
        return None
    text = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
    return {"type": "NonStructuralSchema", "status": "True", "reason": "Violations", "message": text}
