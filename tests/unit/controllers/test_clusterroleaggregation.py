"""What an aggregated role gathers."""

from __future__ import annotations

from typing import Any

from picluster.controllers.clusterroleaggregation import gathered

PODS = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
NODES = {"verbs": ["get"], "apiGroups": [""], "resources": ["nodes"]}


def role(name: str, *rules: dict[str, Any], **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "rules": list(rules)}


def test_rules_come_from_those_selected_once_in_the_order_of_their_names() -> None:
    gathering = {
        **role("all", NODES, a="1"),
        "aggregationRule": {
            "clusterRoleSelectors": [
                {"matchLabels": {"b": "1"}},
                {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
            ]
        },
    }
    others = [role("y", NODES, a="1"), role("x", PODS, PODS, a="1"), role("z", PODS, b="1"), role("none", NODES)]
    assert gathered(gathering, [gathering, *others]) == [PODS, NODES]
    assert gathered({**gathering, "aggregationRule": {}}, others) == []
