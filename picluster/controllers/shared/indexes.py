"""Indexes that several controllers put on the caches they share; the same name is the same function."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.volumebinding import mounts
from picluster.client import Informer

NAMESPACE = "namespace"
NODE = "node"
CLAIM = "claim"


def by_namespace(informer: Informer) -> None:
    informer.add_indexer(NAMESPACE, _namespace)


def by_node(pods: Informer) -> None:
    pods.add_indexer(NODE, _node)


def by_claim(pods: Informer) -> None:
    """Under ``namespace/name`` of each claim that they mount."""
    pods.add_indexer(CLAIM, _claims)


def _namespace(obj: Object) -> str | None:
    namespace: str | None = obj["metadata"].get("namespace")
    return namespace


def _node(pod: Object) -> str | None:
    name: str | None = (pod.get("spec") or {}).get("nodeName")
    return name or None


def _claims(pod: Object) -> list[str]:
    namespace = pod["metadata"]["namespace"]
    return [f"{namespace}/{mount.claim}" for mount in mounts(pod)]
