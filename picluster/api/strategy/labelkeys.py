"""Keys whose values a pod's own labels give become part of the selectors that name them.

Sources: KEP-3633 (``matchLabelKeys`` and ``mismatchLabelKeys`` of pod affinity), KEP-3243 (``matchLabelKeys`` of
topology spread).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from picluster.api.types import Object


def merge(spec: Object, labels: Mapping[str, str]) -> None:
    """Complete the selectors of a new pod's spec, in place; doing it again changes nothing."""
    for term in _terms(spec.get("affinity") or {}):
        _select(term, "matchLabelKeys", "In", labels)
        _select(term, "mismatchLabelKeys", "NotIn", labels)
    for constraint in spec.get("topologySpreadConstraints") or ():
        _select(constraint, "matchLabelKeys", "In", labels)


def _terms(affinity: Object) -> Iterator[Object]:
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        yield from rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for weighted in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield weighted.get("podAffinityTerm") or {}


def _select(term: Object, field: str, operator: str, labels: Mapping[str, str]) -> None:
    selector = term.get("labelSelector")
    if selector is None:  # selects nothing, and goes on to
        return
    for key in term.get(field) or ():
        requirement = {"key": key, "operator": operator, "values": [labels[key]]} if key in labels else None
        expressions = selector.get("matchExpressions") or []
        if requirement is not None and requirement not in expressions:
            selector["matchExpressions"] = [*expressions, requirement]
