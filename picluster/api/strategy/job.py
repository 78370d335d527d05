"""Jobs: unless they choose their pods themselves, they choose them by their own uid (``generateSelector``)."""

from __future__ import annotations

from picluster.api.strategy.shared import spec_changed
from picluster.api.types import Object

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
LEGACY_CONTROLLER_UID = "controller-uid"
LEGACY_JOB_NAME = "job-name"

changed = spec_changed


def create(job: Object, now: str) -> None:
    job["status"] = {}
    spec = job.setdefault("spec", {})
    if not spec.get("manualSelector"):
        _choose_by_uid(spec, job["metadata"])


def _choose_by_uid(spec: Object, metadata: Object) -> None:
    template_metadata = spec.setdefault("template", {}).setdefault("metadata", {})
    labels = template_metadata.setdefault("labels", {})
    name, uid = metadata.get("name", ""), metadata["uid"]
    for key, value in (
        (LEGACY_JOB_NAME, name), (JOB_NAME, name), (LEGACY_CONTROLLER_UID, uid), (CONTROLLER_UID, uid),
    ):  # fmt: skip
        labels.setdefault(key, value)
    spec.setdefault("selector", {}).setdefault("matchLabels", {}).setdefault(CONTROLLER_UID, uid)
