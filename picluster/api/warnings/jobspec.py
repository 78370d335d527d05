"""Jobs, of their own and as templates of cron jobs (``pkg/api/job/warnings.go``)."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.warnings.podspec import of_template

COMPLETIONS_SOFT_MAX = 100_000
PARALLELISM_SOFT_MAX = 10_000
MANY_INDEXES = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might"
    " not be able to track completedIndexes when a big number of indexes fail"
)


def of_spec(spec: Object, path: str) -> list[str]:
    found = []
    many = (spec.get("completions") or 0) > COMPLETIONS_SOFT_MAX
    if spec.get("completionMode") == "Indexed" and many and (spec.get("parallelism") or 0) > PARALLELISM_SOFT_MAX:
        found.append(f"{path}: {MANY_INDEXES}")
    return found + of_template(spec.get("template") or {}, f"{path}.template")
