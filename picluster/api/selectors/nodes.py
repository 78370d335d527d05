"""Node selector terms: all operators on labels, and ``matchFields`` on the node's name.

``k8s.io/component-helpers/scheduling/corev1/nodeaffinity``: the scheduler and the nodes' agents ask the same question.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from picluster.api.types import Object


def wants(spec: Object, labels: Mapping[str, str], node_name: str) -> bool:
    """Whether a node is one that the pod's ``nodeSelector`` and required node affinity ask for."""
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or matches_any(required.get("nodeSelectorTerms") or (), labels, node_name)


def matches_any(terms: Iterable[Object], labels: Mapping[str, str], node_name: str) -> bool:
    """Terms are alternatives; an empty term matches nothing."""
    return any(matches(term, labels, node_name) for term in terms)


def matches(term: Object, labels: Mapping[str, str], node_name: str) -> bool:
    """The requirements of one term hold together."""
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return all(_holds(entry, labels) for entry in expressions) and all(
        _holds(entry, {"metadata.name": node_name}) for entry in fields
    )


def _holds(requirement: Object, values: Mapping[str, str]) -> bool:
    value = values.get(requirement["key"])
    wanted = requirement.get("values") or []
    match requirement["operator"]:
        case "In":
            return value is not None and value in wanted
        case "NotIn":
            return value is None or value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return _compares(operator, value, wanted)
        case _:
            return False


def _compares(operator: str, value: str | None, wanted: list[str]) -> bool:
    try:
        left, right = int(value or ""), int(wanted[0])
    except (ValueError, IndexError):
        return False
    return left > right if operator == "Gt" else left < right
