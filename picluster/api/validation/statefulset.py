"""StatefulSets. Source: ``ValidateStatefulSet`` in ``pkg/apis/apps/validation``."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import metadata, workloads
from picluster.api.validation.claims import claim_spec
from picluster.api.validation.common import (
    NOT_NEGATIVE,
    at_most_100_percent,
    count_or_percent,
    is_zero,
    named,
    not_negative,
)

Failures = list[FieldError]

_MUTABLE = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip
_RETENTION = ("Delete", "Retain")


def validate(statefulset: Object) -> Failures:
    failures: Failures = []
    metadata.validate(statefulset["metadata"], failures, namespaced=True, name=metadata.label)
    spec = statefulset.get("spec") or {}
    if service := spec.get("serviceName"):
        named(names.dns1123_label(service), "spec.serviceName", service, failures)
    _spec(spec, failures)
    _claims(spec.get("volumeClaimTemplates") or [], failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    spec, old_spec = new["spec"], old["spec"]
    if spec == old_spec:
        return failures
    _spec(spec, failures)
    if any(spec.get(field) != old_spec.get(field) for field in {*spec, *old_spec} - set(_MUTABLE)):
        listed = ", ".join(f"'{field}'" for field in _MUTABLE[:-1])
        detail = f"updates to statefulset spec for fields other than {listed} and '{_MUTABLE[-1]}' are forbidden"
        failures.append(forbidden_field("spec", detail))
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    status, old_status = new.get("status") or {}, old.get("status") or {}
    fields = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    workloads.counts(status, fields, failures, ready="status.readyReplicas")
    not_negative(status, "collisionCount", "status", failures)
    workloads.not_decremented(status, old_status, "collisionCount", failures)
    return failures


def _spec(spec: Object, failures: Failures) -> None:
    policy = spec.get("podManagementPolicy")
    if not policy:
        failures.append(required("spec.podManagementPolicy"))
    elif policy not in ("OrderedReady", "Parallel"):
        failures.append(invalid_value("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"))
    _strategy(spec.get("updateStrategy") or {}, failures)
    _retention(spec.get("persistentVolumeClaimRetentionPolicy"), failures)
    for field in ("replicas", "minReadySeconds"):  # a negative revisionHistoryLimit only warns
        not_negative(spec, field, "spec", failures)
    start = (spec.get("ordinals") or {}).get("start", 0)
    if start < 0:
        failures.append(invalid_value("spec.ordinals.start", start, NOT_NEGATIVE))
    whole = {**spec, "template": _with_claims(spec)}
    workloads.selector_and_template(whole, failures, selector_of="statefulset", template_of="StatefulSet")


def _claims(templates: list[Object], failures: Failures) -> None:
    for index, template in enumerate(templates):
        path, meta = f"spec.volumeClaimTemplates[{index}]", template.get("metadata") or {}
        metadata.check_labels(meta.get("labels") or {}, f"{path}.metadata.labels", failures)
        metadata.check_annotations(meta.get("annotations") or {}, f"{path}.metadata.annotations", failures)
        claim_spec(template.get("spec") or {}, f"{path}.spec", failures)


def _with_claims(spec: Object) -> Object:
    """The template as its pods are: each claim is a volume of its name, unless the template has one already."""
    template = spec.get("template") or {}
    pod = template.get("spec") or {}
    volumes = pod.get("volumes") or []
    known = {volume.get("name") for volume in volumes}
    claimed = [(claim.get("metadata") or {}).get("name") for claim in spec.get("volumeClaimTemplates") or ()]
    added = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claimed if name not in known]
    return {**template, "spec": {**pod, "volumes": [*volumes, *added]}}


def _strategy(strategy: Object, failures: Failures) -> None:
    path, kind, rolling = "spec.updateStrategy", strategy.get("type"), strategy.get("rollingUpdate")
    if not kind:
        failures.append(required(path))
    elif kind == "OnDelete":
        if rolling is not None:
            detail = "only allowed for updateStrategy 'RollingUpdate'"
            failures.append(invalid_value(f"{path}.rollingUpdate", rolling, detail))
    elif kind == "RollingUpdate":
        _rolling(rolling or {}, f"{path}.rollingUpdate", failures)
    else:
        failures.append(invalid_value(path, strategy, "must be 'RollingUpdate' or 'OnDelete'"))


def _rolling(rolling: Object, path: str, failures: Failures) -> None:
    not_negative(rolling, "partition", path, failures)
    unavailable = rolling.get("maxUnavailable")
    if unavailable is None:
        return
    where = f"{path}.maxUnavailable"
    count_or_percent(unavailable, where, failures)
    if is_zero(unavailable):
        failures.append(invalid_value(where, unavailable, "cannot be 0"))
    at_most_100_percent(unavailable, where, failures)


def _retention(policy: Object | None, failures: Failures) -> None:
    path = "spec.persistentVolumeClaimRetentionPolicy"
    if policy is None:
        failures.append(required(path, "should be defaulted"))
        return
    for field in ("whenDeleted", "whenScaled"):
        if policy.get(field) not in _RETENTION:
            failures.append(not_supported(f"{path}.{field}", policy.get(field, ""), _RETENTION))
