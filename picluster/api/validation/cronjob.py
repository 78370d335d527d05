"""CronJobs: a schedule, perhaps in a time zone, and a template of jobs."""

from __future__ import annotations

import re

from picluster.api import cron
from picluster.api.errors import FieldError, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import jobspec, metadata
from picluster.api.validation.common import not_negative, one_of

Failures = list[FieldError]

NAME_MAX = 52
"""The controller appends a dash and ten digits, and the name of a job has at most 63 characters."""
CONCURRENCY_POLICIES = ("Allow", "Forbid", "Replace")
_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}")


def validate(cronjob: Object) -> Failures:
    failures: Failures = []
    name = cronjob["metadata"].get("name", "")
    metadata.validate(cronjob["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _spec(cronjob.get("spec") or {}, None, failures)
    if len(name) > NAME_MAX:
        failures.append(invalid_value("metadata.name", name, f"must be no more than {NAME_MAX} characters"))
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _spec(new["spec"], old["spec"], failures)
    return failures


def _spec(spec: Object, old: Object | None, failures: Failures) -> None:
    schedule, zone = spec.get("schedule"), spec.get("timeZone")
    if not schedule:
        failures.append(required("spec.schedule"))
    else:
        _schedule(schedule, zone, old is not None and "TZ" in old.get("schedule", ""), failures)
    not_negative(spec, "startingDeadlineSeconds", "spec", failures)
    if zone is not None and (old is None or old.get("timeZone") != zone):
        _time_zone(zone, failures)
    one_of(spec.get("concurrencyPolicy"), CONCURRENCY_POLICIES, "spec.concurrencyPolicy", failures)
    _job_template(spec.get("jobTemplate") or {}, failures)
    not_negative(spec, "successfulJobsHistoryLimit", "spec", failures)
    not_negative(spec, "failedJobsHistoryLimit", "spec", failures)


def _schedule(schedule: str, zone: str | None, zone_allowed: bool, failures: Failures) -> None:
    path = "spec.schedule"
    try:
        cron.parse(schedule)
    except ValueError as error:
        failures.append(invalid_value(path, schedule, str(error)))
    if "TZ" not in schedule:
        return
    if not zone_allowed:
        detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        failures.append(invalid_value(path, schedule, detail))
    elif zone is not None:
        detail = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        failures.append(invalid_value(path, schedule, detail))


def _time_zone(zone: str, failures: Failures) -> None:
    path = "spec.timeZone"
    if not zone:
        failures.append(invalid_value(path, zone, "timeZone must be nil or non-empty string"))
        return
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not _ZONE_PART.fullmatch(part):
            failures.append(invalid_value(path, zone, f"unknown time zone {zone}"))
            return
    if zone.lower() == "local":
        detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        failures.append(invalid_value(path, zone, detail))
    try:
        cron.zone(zone)
    except ValueError as error:
        failures.append(invalid_value(path, zone, str(error)))


def _job_template(template: Object, failures: Failures) -> None:
    spec, path = template.get("spec") or {}, "spec.jobTemplate.spec"
    jobspec.validate(spec, path, failures)
    if spec.get("selector") is not None:
        detail = "`selector` will be auto-generated"
        failures.append(invalid_value(f"{path}.selector", spec["selector"], detail))
    if spec.get("manualSelector"):
        failures.append(not_supported(f"{path}.manualSelector", True, ("nil", "false")))
