"""Cron jobs."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import (
    AGE,
    NAME,
    Column,
    Printer,
    age,
    containers,
    label_selector,
    name_of,
    since,
    wide,
)

COLUMNS = (
    NAME,
    Column("Schedule", description="The schedule in Cron format."),
    Column("Timezone", description="The time zone name for the given schedule."),
    Column("Suspend", "boolean", description="Whether no further executions are started."),
    Column("Active", "integer", description="The number of currently running jobs."),
    Column("Last Schedule", description="When a job was last scheduled."),
    AGE,
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
)


def row(cronjob: Object, now_s: float) -> list[Any]:
    spec, status = cronjob["spec"], cronjob.get("status") or {}
    job = spec["jobTemplate"].get("spec") or {}
    names, images = containers((job.get("template") or {}).get("spec") or {})
    last = status.get("lastScheduleTime")
    return [
        name_of(cronjob),
        spec.get("schedule", ""),
        spec.get("timeZone") or "<none>",
        str(bool(spec.get("suspend"))),
        len(status.get("active") or ()),
        since(last, now_s) if last else "<none>",
        age(cronjob, now_s),
        names,
        images,
        label_selector(job.get("selector")),
    ]


PRINTER = Printer(COLUMNS, row)
