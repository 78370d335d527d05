"""Defaults of Jobs. A job that says neither how many pods at once nor how many in all runs one."""

from __future__ import annotations

from picluster.api.defaults import podspec
from picluster.api.types import Object

BACKOFF_LIMIT = 6
INT32_MAX = 2**31 - 1


def apply(job: Object) -> None:
    spec = job.setdefault("spec", {})
    if "parallelism" not in spec:
        spec.setdefault("completions", 1)
        spec["parallelism"] = 1
    spec.setdefault("backoffLimit", INT32_MAX if "backoffLimitPerIndex" in spec else BACKOFF_LIMIT)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    policy = "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed"
    spec.setdefault("podReplacementPolicy", policy)
    apply_template(spec)
    metadata = job.setdefault("metadata", {})
    labels = (spec["template"].get("metadata") or {}).get("labels")
    if labels and not metadata.get("labels"):
        metadata["labels"] = dict(labels)


def apply_template(spec: Object) -> None:
    """What is filled in the template of a CronJob too."""
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            if not pattern.get("status"):
                pattern["status"] = "True"
    podspec.apply_template(spec)
