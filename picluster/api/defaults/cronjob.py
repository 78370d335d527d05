"""Defaults of CronJobs; the jobs they make get their own when they are made."""

from __future__ import annotations

from picluster.api.defaults import job
from picluster.api.types import Object

SUCCESSFUL_JOBS_HISTORY_LIMIT = 3
FAILED_JOBS_HISTORY_LIMIT = 1


def apply(cronjob: Object) -> None:
    spec = cronjob.setdefault("spec", {})
    if not spec.get("concurrencyPolicy"):
        spec["concurrencyPolicy"] = "Allow"
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", SUCCESSFUL_JOBS_HISTORY_LIMIT)
    spec.setdefault("failedJobsHistoryLimit", FAILED_JOBS_HISTORY_LIMIT)
    job.apply_template(spec.setdefault("jobTemplate", {}).setdefault("spec", {}))
