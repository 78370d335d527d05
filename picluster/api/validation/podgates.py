"""What may change of a pod that is held back by scheduling gates: where it may go becomes narrower (KEP-3838)."""

from __future__ import annotations

from picluster.api.errors import FieldError, forbidden_field, invalid_value
from picluster.api.types import Object

Failures = list[FieldError]

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_ONLY_ADDED = "only additions are allowed (no mutations or deletions)"


def gates(new: list[Object], old: list[Object], failures: Failures) -> None:
    """Gates go, and never come."""
    known = {gate.get("name") for gate in old}
    for index, gate in enumerate(new):
        if gate.get("name") not in known:
            detail = f"only deletion is allowed, but found new scheduling gate '{gate.get('name', '')}'"
            failures.append(forbidden_field(f"spec.schedulingGates[{index}].name", detail))


def narrowed(new: Object, old: Object, failures: Failures) -> Object:
    """``new``, a spec, with what may change of it as it is in ``old``; ``failures`` get what goes too far."""
    munged = dict(new)
    selector, old_selector = new.get("nodeSelector") or {}, old.get("nodeSelector") or {}
    if not old_selector.items() <= selector.items():
        detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        failures.append(invalid_value("spec.nodeSelector", selector, detail))
    _as_it_was(munged, old, "nodeSelector")
    nodes, old_nodes = ((spec.get("affinity") or {}).get("nodeAffinity") for spec in (new, old))
    if nodes != old_nodes:
        _terms(nodes or {}, old_nodes or {}, failures)
        affinity = dict(new.get("affinity") or {})
        _as_it_was(affinity, old.get("affinity") or {}, "nodeAffinity")
        if affinity == (old.get("affinity") or {}):
            _as_it_was(munged, old, "affinity")
        else:
            munged["affinity"] = affinity
    return munged


def _as_it_was(part: Object, old: Object, field: str) -> None:
    if field in old:
        part[field] = old[field]
    else:
        part.pop(field, None)


def _terms(rules: Object, old: Object, failures: Failures) -> None:
    terms, old_terms = ((part.get(_REQUIRED) or {}).get("nodeSelectorTerms") or [] for part in (rules, old))
    path = f"spec.affinity.nodeAffinity.{_REQUIRED}.nodeSelectorTerms"
    if old_terms and len(terms) != len(old_terms):
        detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        failures.append(invalid_value(path, terms, detail))
        return
    for index, (term, old_term) in enumerate(zip(terms, old_terms, strict=False)):
        if not _only_added(term, old_term):
            failures.append(invalid_value(f"{path}[{index}]", term, _ONLY_ADDED))


def _only_added(term: Object, old: Object) -> bool:
    """A term that had no requirement selects nothing, and one more would let it select something."""
    kinds = ("matchExpressions", "matchFields")
    if not any(old.get(kind) for kind in kinds):
        return not any(term.get(kind) for kind in kinds)
    return all((term.get(kind) or [])[: len(old.get(kind) or ())] == (old.get(kind) or []) for kind in kinds)
