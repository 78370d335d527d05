"""What a Node is made of when it is registered, and what is put right of one that is there already. PURE.

Source: ``initialNode``, ``updateDefaultLabels`` and ``reconcileCMADAnnotationWithExistingNode`` of the kubelet.
"""

from __future__ import annotations

from collections.abc import Mapping

from picluster.api.types import Object
from picluster_agent.config import Config

ATTACH_ANNOTATION = "volumes.kubernetes.io/controller-managed-attach-detach"
INSTANCE_TYPES = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")


def labels(config: Config, architecture: str, model: str) -> dict[str, str]:
    """The labels that the agent keeps; those of ``agent.yaml`` win. ``model`` is the board's, if it has one."""
    own = {
        "kubernetes.io/hostname": config.node_name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": architecture,
        **dict.fromkeys(INSTANCE_TYPES if model else (), model),
    }
    return {**own, **config.labels}


def node(config: Config, kept_labels: Mapping[str, str], status: Object) -> Object:
    """The Node as it is created. Taints are given at this moment only: later they are their administrators'."""
    spec: Object = {"taints": [dict(taint) for taint in config.taints]} if config.taints else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": config.node_name,
            "labels": dict(kept_labels),
            "annotations": {ATTACH_ANNOTATION: "true"},
        },
        "spec": spec,
        "status": status,
    }


def correction(current: Object, kept_labels: Mapping[str, str]) -> Object | None:
    """A merge patch that puts the agent's labels and its annotation right, and touches no others."""
    metadata = current["metadata"]
    have, said = metadata.get("labels") or {}, metadata.get("annotations") or {}
    wrong = {key: value for key, value in kept_labels.items() if have.get(key) != value}
    patch: Object = {"labels": wrong} if wrong else {}
    if said.get(ATTACH_ANNOTATION) != "true":
        patch["annotations"] = {ATTACH_ANNOTATION: "true"}
    return {"metadata": patch} if patch else None


def with_extended(own: Mapping[str, str], capacity: Mapping[str, str]) -> dict[str, str]:
    """Allocatable with what others have put into the node's capacity (extended resources), whole."""
    return {**{key: value for key, value in capacity.items() if "/" in key}, **own}
