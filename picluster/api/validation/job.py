"""Jobs. Source: ``ValidateJob`` and ``ValidateJobUpdate`` in ``pkg/apis/batch/validation``."""

from __future__ import annotations

from typing import Any

from picluster.api import names, selectors
from picluster.api.errors import ApiError, FieldError, invalid_value, required
from picluster.api.strategy.job import CONTROLLER_UID, JOB_NAME, LEGACY_CONTROLLER_UID, LEGACY_JOB_NAME
from picluster.api.types import Object
from picluster.api.validation import jobspec, jobstatus, metadata
from picluster.api.validation.common import label_selector

Failures = list[FieldError]

_FIXED = ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")


def validate(job: Object) -> Failures:
    failures: Failures = []
    metadata.validate(job["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _generated_selector(job, failures, prefixed=True)
    _whole_spec(job, failures)
    _last_hostname(job, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    spec, old_spec = new["spec"], old["spec"]
    if spec == old_spec:
        return failures
    _generated_selector(new, failures, prefixed=CONTROLLER_UID in _labels(old_spec))
    _whole_spec(new, failures)
    _completions(spec, old_spec, failures)
    metadata.immutable(spec.get("selector"), old_spec.get("selector"), "spec.selector", failures)
    template = _fixed_template(spec, old) if _may_be_rescheduled(old) else spec.get("template")
    if template != old_spec.get("template"):
        failures.append(invalid_value("spec.template", spec.get("template"), metadata.IMMUTABLE))
    for field in _FIXED:
        metadata.immutable(spec.get(field), old_spec.get(field), f"spec.{field}", failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    jobstatus.validate_update(new, old, failures)
    return failures


def _labels(spec: Object) -> dict[str, str]:
    labels: dict[str, str] = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    return labels


def _whole_spec(job: Object, failures: Failures) -> None:
    spec = job.get("spec") or {}
    jobspec.validate(spec, "spec", failures)
    selector = spec.get("selector")
    if selector is None:
        failures.append(required("spec.selector"))
        return
    label_selector(selector, "spec.selector", failures)
    if not _selects(selector, _labels(spec)):
        detail = "`selector` does not match template `labels`"
        failures.append(invalid_value("spec.template.metadata.labels", _labels(spec), detail))


def _selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether it does; one that cannot be read is complained of elsewhere."""
    try:
        return selectors.from_object(selector).matches(labels)
    except ApiError:
        return True


def _generated_selector(job: Object, failures: Failures, *, prefixed: bool) -> None:
    """Labels and selector are as the strategy made them; ``prefixed`` says whether the newer labels are asked for."""
    spec, name = job.get("spec") or {}, job["metadata"].get("name", "")
    uid = job["metadata"].get("uid", "")
    if spec.get("manualSelector") or spec.get("selector") is None:
        return
    expected = {LEGACY_CONTROLLER_UID: uid, LEGACY_JOB_NAME: name}
    if prefixed:
        expected |= {CONTROLLER_UID: uid, JOB_NAME: name}
    labels = _labels(spec)
    for key, value in expected.items():
        path = f"spec.template.metadata.labels[{key}]"
        if key not in labels:
            failures.append(required(path, f"must be '{value}'"))
        elif labels[key] != value:
            failures.append(invalid_value(path, labels, f"must be '{value}'"))
    if not _selects(spec["selector"], expected):
        failures.append(invalid_value("spec.selector", spec["selector"], "`selector` not auto-generated"))


def _last_hostname(job: Object, failures: Failures) -> None:
    """Pods of an Indexed job are called by their index, so that the last one's name must do."""
    spec, name = job.get("spec") or {}, job["metadata"].get("name", "")
    completions = spec.get("completions", 0)
    if spec.get("completionMode") != "Indexed" or completions <= 0:
        return
    hostname = f"{name}-{completions - 1}"
    if names.dns1123_label(hostname):
        detail = f"will not able to create pod with invalid DNS label: {hostname}"
        failures.append(invalid_value("metadata.name", name, detail))


def _completions(spec: Object, old: Object, failures: Failures) -> None:
    """How many pods must succeed is fixed, but an Indexed job grows and shrinks with its parallelism (KEP-3715)."""
    completions, path = spec.get("completions"), "spec.completions"
    if spec.get("completionMode") != "Indexed":
        metadata.immutable(completions, old.get("completions"), path, failures)
    elif completions not in (None, old.get("completions"), spec.get("parallelism")):
        detail = "can only be modified in tandem with spec.parallelism"
        failures.append(invalid_value(path, completions, detail))


def _may_be_rescheduled(old: Object) -> bool:
    """Whether the job is suspended and has no pods: then where they go and what they get may change (KEP-2926)."""
    status = old.get("status") or {}
    return bool(old["spec"].get("suspend")) and not status.get("active") and _never_ran_or_stopped(status)


def _never_ran_or_stopped(status: Object) -> bool:
    conditions = status.get("conditions") or ()
    return not status.get("startTime") or any(
        condition.get("type") == "Suspended" and condition.get("status") == "True" for condition in conditions
    )


def _fixed_template(spec: Object, old: Object) -> Object:
    """The template, with what may change of a suspended job as it was."""
    template, before = spec.get("template") or {}, old["spec"].get("template") or {}
    meta, pod, was = template.get("metadata") or {}, template.get("spec") or {}, before.get("spec") or {}
    meta = _with(meta, before.get("metadata") or {}, ("annotations", "labels"))
    fixed = _with(pod, was, ("nodeSelector", "tolerations", "schedulingGates"))
    affinity = _with(pod.get("affinity") or {}, was.get("affinity") or {}, ("nodeAffinity",))
    if affinity or "affinity" in was:
        fixed["affinity"] = affinity
    else:
        fixed.pop("affinity", None)
    for group in ("containers", "initContainers"):
        if len(pod.get(group) or ()) == len(was.get(group) or ()) and group in pod:
            pairs = zip(pod[group], was.get(group) or (), strict=True)
            fixed[group] = [_with(container, as_was, ("resources",)) for container, as_was in pairs]
    return _with({**template, "metadata": meta, "spec": fixed}, before, () if meta else ("metadata",))


def _with(new: Object, old: Object, fields: tuple[str, ...]) -> dict[str, Any]:
    """``new`` with ``fields`` as they are in ``old``."""
    kept = {field: value for field, value in new.items() if field not in fields}
    return kept | {field: old[field] for field in fields if field in old}
