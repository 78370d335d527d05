"""CronJobs: the name, the jobs' template, and schedules that name a time zone, as older ones may."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.warnings.common import generation_changed, pods_name
from picluster.api.warnings.jobspec import of_spec

TIME_ZONE = (
    "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see"
    " https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
)


def create(cron_job: Object) -> list[str]:
    return pods_name(cron_job) + _jobs(cron_job)


def update(new: Object, old: Object) -> list[str]:
    found = _jobs(new) if generation_changed(new, old) else []
    return [*found, TIME_ZONE] if "TZ" in new["spec"].get("schedule", "") else found


def _jobs(cron_job: Object) -> list[str]:
    return of_spec(cron_job["spec"]["jobTemplate"].get("spec") or {}, "spec.jobTemplate.spec")
