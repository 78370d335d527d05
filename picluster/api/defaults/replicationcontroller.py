"""Defaults of ReplicationControllers: the selector and the labels are those of the template, when none are given."""

from __future__ import annotations

from picluster.api.defaults import podspec
from picluster.api.types import Object


def apply(controller: Object) -> None:
    spec = controller.setdefault("spec", {})
    template = spec.get("template")
    labels = ((template or {}).get("metadata") or {}).get("labels")
    if labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        metadata = controller.setdefault("metadata", {})
        if not metadata.get("labels"):
            metadata["labels"] = dict(labels)
    spec.setdefault("replicas", 1)
    if template is not None:
        podspec.apply_template(spec)
