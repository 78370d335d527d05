"""Advice that several kinds share: names, labels of nodes, fractions of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from picluster.api import names, quantity
from picluster.api.types import Object

NULL_SELECTOR = "a null labelSelector results in matching no pod"
SINCE_V1_8 = 'deprecated since v1.8; use "storageClassName" attribute instead'
BETA_STORAGE_CLASS = "volume.beta.kubernetes.io/storage-class"

NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": ('deprecated since v1.17; use "topology.kubernetes.io/region" instead'),
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
"""Labels of nodes that had other names once (``pkg/api/node/util.go``)."""


def generation_changed(new: Object, old: Object) -> bool:
    return bool(new["metadata"].get("generation") != old["metadata"].get("generation"))


def pods_name(obj: Object) -> list[str]:
    """A name that pods get theirs from should fit into a host's name."""
    found = names.dns1123_label(obj["metadata"].get("name") or "")
    if not found:
        return []
    return [_name_advice("Pod names and hostnames", found)]


def pod_name(pod: Object) -> list[str]:
    found = names.dns1123_label(pod["metadata"].get("name") or "")
    return [_name_advice("the Pod's hostname", found)] if found else []


def _name_advice(where: str, found: Iterable[str]) -> str:
    listed = " ".join(found)
    return (
        f"metadata.name: this is used in {where}, which can result in surprising behavior;"
        f" a DNS label is recommended: [{listed}]"
    )


def selector_term(term: Object, path: str, *, values: bool) -> Iterator[str]:
    """Of a node selector's term; with ``values`` those are looked at too (``GetWarningsForNodeSelectorTerm``)."""
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        key = expression.get("key", "")
        if key in NODE_LABELS:
            yield f"{path}.matchExpressions[{index}].key: {key} is {NODE_LABELS[key]}"
        for place, value in enumerate(expression.get("values") or () if values else ()):
            for message in names.label_value(value):
                yield f"{path}.matchExpressions[{index}].values[{place}]: {value} is invalid, {message}"


def is_fraction(amount: Any) -> bool:
    """Whether an amount of bytes is no whole number."""
    text = str(amount)
    return (text[-1:] in "mun" or "." in text or "-" in text) and quantity.milli(amount) % 1000 != 0


def fraction(path: str, amount: Any) -> str:
    return f'{path}: fractional byte value "{quantity.canonical(amount)}" is invalid, must be an integer'
