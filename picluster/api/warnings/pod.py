"""Pods: only new ones, since their updates are many and no person's."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.warnings.common import pod_name
from picluster.api.warnings.podspec import of_template


def create(pod: Object) -> list[str]:
    return pod_name(pod) + of_template(pod, "")
