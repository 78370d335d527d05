"""What flow schemas and priority levels have in common, and those that must exist as they are.

Source: ``pkg/apis/flowcontrol/validation``, ``pkg/apis/flowcontrol/bootstrap``.
"""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.errors import FieldError, duplicate, required
from picluster.api.types import Object

Failures = list[FieldError]

EVERYTHING: dict[str, list[Object]] = {
    "resourceRules": [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
    ],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
}


def groups(*names: str) -> list[Object]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


MANDATORY_FLOW_SCHEMAS: dict[str, Object] = {
    "exempt": {
        "priorityLevelConfiguration": {"name": "exempt"},
        "matchingPrecedence": 1,
        "rules": [{"subjects": groups("system:masters"), **EVERYTHING}],
    },
    "catch-all": {
        "priorityLevelConfiguration": {"name": "catch-all"},
        "matchingPrecedence": 10000,
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [{"subjects": groups("system:unauthenticated", "system:authenticated"), **EVERYTHING}],
    },
}
MANDATORY_PRIORITY_LEVELS: dict[str, Object] = {
    "exempt": {"type": "Exempt"},
    "catch-all": {
        "type": "Limited",
        "limited": {"nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}},
    },
}


def conditions(found: Iterable[Object], failures: Failures) -> None:
    seen: set[str] = set()
    for index, condition in enumerate(found):
        path, kind = f"status.conditions[{index}].type", condition.get("type") or ""
        if kind in seen:
            failures.append(duplicate(path, kind))
        seen.add(kind)
        if not kind:
            failures.append(required(path, "must not be empty"))
