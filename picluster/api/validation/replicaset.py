"""ReplicaSets."""

from __future__ import annotations

from picluster.api.errors import FieldError
from picluster.api.types import Object
from picluster.api.validation import metadata, workloads
from picluster.api.validation.common import not_negative

Failures = list[FieldError]


def validate(replicaset: Object) -> Failures:
    failures: Failures = []
    metadata.validate(replicaset["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _spec(replicaset, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    if new.get("spec") != old.get("spec"):
        _spec(new, failures)
        metadata.immutable(new["spec"].get("selector"), old["spec"].get("selector"), "spec.selector", failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    fields = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    workloads.counts(new.get("status") or {}, fields, failures)
    return failures


def _spec(replicaset: Object, failures: Failures) -> None:
    spec = replicaset.get("spec") or {}
    not_negative(spec, "replicas", "spec", failures)
    not_negative(spec, "minReadySeconds", "spec", failures)
    workloads.selector_and_template(spec, failures)
