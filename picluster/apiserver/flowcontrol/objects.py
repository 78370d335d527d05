"""Flow schemas and priority levels that every cluster has (``apiserver/pkg/apis/flowcontrol/bootstrap``). PURE."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from picluster.api import defaults
from picluster.api.resources import FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS, Resource
from picluster.api.types import Object
from picluster.api.validation.flowcontrol import EVERYTHING, MANDATORY_FLOW_SCHEMAS, MANDATORY_PRIORITY_LEVELS, groups

AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
LEVELS = {
    "node-high": (40, 25, 64, 6),
    "system": (30, 33, 64, 6),
    "leader-election": (10, 0, 16, 4),
    "workload-high": (40, 50, 128, 6),
    "workload-low": (100, 90, 128, 6),
    "global-default": (20, 50, 128, 6),
}
"""Suggested priority levels: nominal shares, lendable percent, queues, hand size."""
QUEUE_LENGTH_LIMIT = 50


def _level(shares: int, lendable: int, queues: int, hand: int) -> Object:
    queuing = {"queues": queues, "handSize": hand, "queueLengthLimit": QUEUE_LENGTH_LIMIT}
    return {
        "type": "Limited",
        "limited": {
            "nominalConcurrencyShares": shares,
            "lendablePercent": lendable,
            "limitResponse": {"type": "Queue", "queuing": queuing},
        },
    }


def _users(*names: str) -> list[Object]:
    return [{"kind": "User", "user": {"name": name}} for name in names]


def _accounts(*names: str) -> list[Object]:
    return [{"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": name}} for name in names]


def _resources(verbs: str, group: str, resources: str, *, cluster: bool = False) -> Object:
    rule = {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split(), "namespaces": ["*"]}
    return {**rule, "clusterScope": True} if cluster else rule


def _schema(level: str, precedence: int, by: str, subjects: list[Object], **rules: list[Object]) -> Object:
    spec: Object = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": [{"subjects": subjects, **(rules or EVERYTHING)}],
    }
    if by:
        spec["distinguisherMethod"] = {"type": by}
    return spec


_MANAGER, _SCHEDULER = "system:kube-controller-manager", "system:kube-scheduler"
_LEASES = [_resources("get create update", "coordination.k8s.io", "leases")]
_NODE_OBJECTS = [
    _resources("*", "", "nodes nodes/status", cluster=True),
    _resources("*", "coordination.k8s.io", "leases"),
]
_ENDPOINTS = [_resources("get create update", "", "endpoints")]
_PROBES: list[Object] = [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]
_ANYBODY = groups("system:unauthenticated", "system:authenticated")
_ENDPOINT_WRITERS = [*_users(_MANAGER), *_accounts("endpoint-controller", "endpointslicemirroring-controller")]
SCHEMAS = {
    "system-nodes": _schema("system", 500, "ByUser", groups("system:nodes")),
    "system-node-high": _schema("node-high", 400, "ByUser", groups("system:nodes"), resourceRules=_NODE_OBJECTS),
    "probes": _schema("exempt", 2, "", _ANYBODY, nonResourceRules=_PROBES),
    "system-leader-election": _schema(
        "leader-election", 100, "ByUser", [*_users(_MANAGER, _SCHEDULER), *_accounts("*")], resourceRules=_LEASES
    ),
    "endpoint-controller": _schema("workload-high", 150, "ByUser", _ENDPOINT_WRITERS, resourceRules=_ENDPOINTS),
    "workload-leader-election": _schema("leader-election", 200, "ByUser", _accounts("*"), resourceRules=_LEASES),
    "kube-controller-manager": _schema("workload-high", 800, "ByNamespace", _users(_MANAGER)),
    "kube-scheduler": _schema("workload-high", 800, "ByNamespace", _users(_SCHEDULER)),
    "kube-system-service-accounts": _schema("workload-high", 900, "ByNamespace", _accounts("*")),
    "service-accounts": _schema("workload-low", 9000, "ByUser", groups("system:serviceaccounts")),
    "global-default": _schema("global-default", 9900, "ByUser", _ANYBODY),
}
"""Suggested flow schemas."""


def objects() -> Iterator[tuple[Resource, Object]]:
    """Every object that there has to be, with its defaults."""
    levels = {**MANDATORY_PRIORITY_LEVELS, **{name: _level(*numbers) for name, numbers in LEVELS.items()}}
    levels["exempt"] = {**levels["exempt"], "exempt": {}}
    schemas = {**MANDATORY_FLOW_SCHEMAS, **SCHEMAS}
    for resource, specs in ((PRIORITY_LEVEL_CONFIGURATIONS, levels), (FLOW_SCHEMAS, schemas)):
        for name, spec in specs.items():
            obj: Object = orjson.loads(orjson.dumps({"metadata": {"name": name}, "spec": spec}))
            obj["metadata"]["annotations"] = {AUTO_UPDATE: "true"}
            defaults.apply(resource, obj)
            yield resource, obj
