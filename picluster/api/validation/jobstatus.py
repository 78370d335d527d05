"""Statuses of jobs: what a controller may say of one. Source: ``ValidateJobUpdateStatus``.

A rule is asked only when what it is about has changed, so that a status that was accepted once never blocks.
"""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api import indexes
from picluster.api.errors import FieldError, duplicate, invalid_value, required
from picluster.api.meta import condition_is, parse_time
from picluster.api.types import Object
from picluster.api.validation.common import not_negative
from picluster.api.validation.jobspec import without_value

Failures = list[FieldError]

COMPLETE, FAILED, FAILURE_TARGET, SUCCESS = "Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"
_CONDITIONS = "status.conditions"


class _Change:
    """A job's status now and before, and which parts of it differ."""

    def __init__(self, new: Object, old: Object) -> None:
        self.new, self.old = new, old
        self.spec, self.status, self.old_status = new["spec"], new.get("status") or {}, old.get("status") or {}

    def has(self, condition: str) -> bool:
        return condition_is(self.new, condition)

    def had(self, condition: str) -> bool:
        return condition_is(self.old, condition)

    @property
    def finished(self) -> bool:
        return self.has(COMPLETE) or self.has(FAILED)

    @property
    def finishes(self) -> bool:
        return self.finished != (self.had(COMPLETE) or self.had(FAILED))

    def changes(self, *fields: str) -> bool:
        return any(self.status.get(field) != self.old_status.get(field) for field in fields)

    def turns(self, *conditions: str) -> bool:
        return any(self.has(condition) != self.had(condition) for condition in conditions)


def validate_update(new: Object, old: Object, failures: Failures) -> None:
    change = _Change(new, old)
    for field in ("active", "succeeded", "failed", "ready", "terminating"):
        not_negative(change.status, field, "status", failures)
    _uncounted(change.status.get("uncountedTerminatedPods") or {}, failures)
    failures.extend(_contradictions(change))
    failures.extend(_times(change))
    failures.extend(_finished(change))
    failures.extend(_indexes(change))
    failures.extend(_steps(change))


def _uncounted(uncounted: Object, failures: Failures) -> None:
    seen: set[str] = set()
    for field in ("succeeded", "failed"):
        for index, uid in enumerate(uncounted.get(field) or ()):
            path = f"status.uncountedTerminatedPods.{field}[{index}]"
            if not uid:
                failures.append(invalid_value(path, uid, "must not be empty"))
            elif uid in seen:
                failures.append(duplicate(path, uid))
            seen.add(uid)


def _contradictions(change: _Change) -> Iterator[FieldError]:
    """Conditions that cannot be true together, or not alone."""
    has, turns = change.has, change.turns
    if turns(COMPLETE, FAILED) and has(COMPLETE) and has(FAILED):
        yield without_value(_CONDITIONS, "cannot set Complete=True and Failed=true conditions")
    if turns(COMPLETE, FAILURE_TARGET) and has(COMPLETE) and has(FAILURE_TARGET):
        yield without_value(_CONDITIONS, "cannot set Complete=True and FailureTarget=true conditions")
    if turns(FAILED, FAILURE_TARGET) and has(FAILED) and not has(FAILURE_TARGET):
        yield without_value(_CONDITIONS, "cannot set Failed=True condition without the FailureTarget=true condition")
    if turns(COMPLETE, SUCCESS) and has(COMPLETE) and not has(SUCCESS):
        detail = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        yield without_value(_CONDITIONS, detail)
    if has(SUCCESS) and has(FAILED):
        yield without_value(_CONDITIONS, "cannot set SuccessCriteriaMet=True and Failed=true conditions")
    if has(SUCCESS) and has(FAILURE_TARGET):
        yield without_value(_CONDITIONS, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")
    if "successPolicy" in change.spec and has(COMPLETE) and not has(SUCCESS):
        detail = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        yield without_value(_CONDITIONS, detail)


def _times(change: _Change) -> Iterator[FieldError]:
    start, end, path = change.status.get("startTime"), change.status.get("completionTime"), "status.completionTime"
    if change.turns(COMPLETE) or change.changes("completionTime"):
        if end and not change.has(COMPLETE):
            yield invalid_value(path, end, "cannot set completionTime when there is no Complete=True condition")
        if not end and change.has(COMPLETE):
            yield required(path, "completionTime is required for Complete jobs")
    if change.changes("startTime", "completionTime") and start and end and parse_time(end) < parse_time(start):
        yield invalid_value(path, end, "completionTime cannot be set before startTime")
    old_end, old_start = change.old_status.get("completionTime"), change.old_status.get("startTime")
    if end and old_end and end != old_end:
        yield invalid_value(path, end, "completionTime cannot be mutated")
    if old_start and start != old_start and not change.spec.get("suspend"):
        if start:
            yield invalid_value("status.startTime", start, "field is immutable for unsuspended job")
        else:
            yield required("status.startTime", "startTime cannot be removed for unsuspended job")


def _finished(change: _Change) -> Iterator[FieldError]:
    """A job that has ended has nothing that runs."""
    status = change.status
    active, terminating = status.get("active", 0), status.get("terminating", 0)
    uncounted = status.get("uncountedTerminatedPods") or {}
    if (change.finishes or change.changes("active")) and change.finished and active > 0:
        yield invalid_value("status.active", active, "active>0 is invalid for finished job")
    idle = change.spec.get("suspend") and change.spec.get("completions") == 0
    starts = change.finishes or change.changes("startTime")
    if starts and change.finished and not status.get("startTime") and not idle:
        yield required("status.startTime", "startTime is required for finished job")
    if (change.finishes or change.changes("uncountedTerminatedPods")) and change.finished and any(uncounted.values()):
        detail = "uncountedTerminatedPods needs to be empty for finished job"
        yield invalid_value("status.uncountedTerminatedPods", uncounted, detail)
    if (change.finishes or change.changes("terminating")) and change.finished and terminating > 0:
        yield invalid_value("status.terminating", terminating, "terminating>0 is invalid for finished job")
    ready = status.get("ready")
    if change.changes("ready", "active") and ready is not None and ready > active:
        yield invalid_value("status.ready", ready, "cannot set more ready pods than active")


def _indexes(change: _Change) -> Iterator[FieldError]:
    completed, failed = change.status.get("completedIndexes", ""), change.status.get("failedIndexes")
    completions, per_index = change.spec.get("completions"), "backoffLimitPerIndex" in change.spec
    if change.changes("completedIndexes"):
        if completions is not None:
            yield from _readable(completed, completions, "completedIndexes")
        if completed and change.spec.get("completionMode") != "Indexed":
            detail = "cannot set non-empty completedIndexes when non-indexed completion mode"
            yield invalid_value("status.completedIndexes", completed, detail)
    if change.changes("failedIndexes") and failed is not None:
        if not per_index:
            detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
            yield invalid_value("status.failedIndexes", failed, detail)
        elif completions is not None:
            yield from _readable(failed, completions, "failedIndexes")
    if change.changes("failedIndexes", "completedIndexes") and completions is not None and failed is not None:
        common = indexes.overlap(completed, failed, completions)
        if common is not None:
            detail = f"failedIndexes and completedIndexes overlap at index: {common}"
            yield invalid_value("status.failedIndexes", failed, detail)


def _readable(text: str, completions: int, field: str) -> Iterator[FieldError]:
    try:
        indexes.count(text, completions)
    except ValueError as error:
        yield invalid_value(f"status.{field}", text, f"error parsing {field}: {error}")


def _steps(change: _Change) -> Iterator[FieldError]:
    """What never goes back."""
    status, old = change.status, change.old_status
    for condition in (FAILED, COMPLETE, FAILURE_TARGET):
        if change.had(condition) and not change.has(condition):
            yield without_value(_CONDITIONS, f"cannot disable the terminal {condition}=True condition")
    shrinks = change.spec.get("completionMode") == "Indexed" and (
        change.spec.get("completions") == change.spec.get("parallelism")
    )
    if status.get("failed", 0) < old.get("failed", 0):
        yield invalid_value("status.failed", status.get("failed", 0), "cannot decrease the failed counter")
    if not shrinks and status.get("succeeded", 0) < old.get("succeeded", 0):
        yield invalid_value("status.succeeded", status.get("succeeded", 0), "cannot decrease the succeeded counter")
    if change.had(SUCCESS) and not change.has(SUCCESS):
        yield without_value(_CONDITIONS, "cannot disable the SuccessCriteriaMet=True condition")
    if change.had(COMPLETE) and not change.had(SUCCESS) and change.has(SUCCESS):
        detail = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        yield without_value(_CONDITIONS, detail)
