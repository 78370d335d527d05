"""Which API groups and versions clients prefer, and the APIServices that say so. PURE.

Source: ``DefaultGenericAPIServicePriorities`` in ``pkg/controlplane/apiserver`` of Kubernetes 1.36.
"""

from __future__ import annotations

from typing import NamedTuple

from picluster.api.resources import API_SERVICES
from picluster.api.types import Object

AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"
ON_START, ALWAYS = "onstart", "true"
OWN_GROUP = API_SERVICES.group
"""The aggregator's own group: it has no APIService, and comes first."""


class Priority(NamedTuple):
    group: int
    version: int


DEFINED = Priority(1000, 100)
"""What groups of custom resource definitions have."""
REPLACEABLE = frozenset({("metrics.k8s.io", "v1beta1")})
"""Served here until an administrator has another server do it: the APIService is made, and then left alone."""
_METRICS = Priority(100, 100)
"""What metrics-server's own manifests say."""
_FIRST = Priority(20000, 1000)
_GROUPS = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
    "resource.k8s.io": 15900,
}
_VERSIONS = {("", "v1"): 1, ("autoscaling", "v2"): 30, ("flowcontrol.apiserver.k8s.io", "v1"): 21}
_VERSION = 15


def priority(group: str, version: str) -> Priority:
    """That of a group-version that this server or a definition serves."""
    if group == OWN_GROUP:
        return _FIRST
    if (group, version) in REPLACEABLE:
        return _METRICS
    if group not in _GROUPS:
        return DEFINED
    return Priority(_GROUPS[group], _VERSIONS.get((group, version), _VERSION))


def local(group: str, version: str, automanaged: str) -> Object:
    """The APIService of a group-version that is served here."""
    found = priority(group, version)
    spec: Object = {"group": group} if group else {}
    labels = {} if (group, version) in REPLACEABLE else {"labels": {AUTOMANAGED: automanaged}}
    return {
        "metadata": {"name": f"{version}.{group}", **labels},
        "spec": {
            **spec,
            "version": version,
            "groupPriorityMinimum": found.group,
            "versionPriority": found.version,
        },
    }
