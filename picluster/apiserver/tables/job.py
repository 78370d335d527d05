"""Jobs."""

from __future__ import annotations

from typing import Any

from picluster.api.meta import condition_is, parse_time
from picluster.api.types import Object
from picluster.apiserver.tables.columns import (
    AGE,
    NAME,
    Column,
    Printer,
    age,
    containers,
    human_duration,
    label_selector,
    name_of,
    since,
    wide,
)

COLUMNS = (
    NAME,
    Column("Status", description="Status of the job."),
    Column("Completions", description="The number of pods which reached phase Succeeded."),
    Column("Duration", description="Time required to complete the job."),
    AGE,
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
)


def row(job: Object, now_s: float) -> list[Any]:
    spec = job["spec"]
    names, images = containers(spec["template"].get("spec") or {})
    return [
        name_of(job),
        _status(job),
        _completions(spec, (job.get("status") or {}).get("succeeded", 0)),
        _duration(job.get("status") or {}, now_s),
        age(job, now_s),
        names,
        images,
        label_selector(spec.get("selector")),
    ]


def _status(job: Object) -> str:
    for condition in ("Complete", "Failed"):
        if condition_is(job, condition):
            return condition
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for condition in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if condition_is(job, condition):
            return condition
    return "Running"


def _completions(spec: Object, succeeded: int) -> str:
    if (wanted := spec.get("completions")) is not None:
        return f"{succeeded}/{wanted}"
    parallelism = spec.get("parallelism", 0)
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration(status: Object, now_s: float) -> str:
    start, end = status.get("startTime"), status.get("completionTime")
    if not start:
        return ""
    return human_duration(parse_time(end) - parse_time(start)) if end else since(start, now_s)


PRINTER = Printer(COLUMNS, row)
