"""The Pod Security Standards: what a pod may ask for at each level. PURE.

``Policy`` is a level and a version, as a namespace's label names them; ``violations`` is what a pod does that the
policy forbids, in the words of ``k8s.io/pod-security-admission/policy``. Older versions lack checks that came later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from picluster.api.podsecurity import baseline, restricted
from picluster.api.podsecurity.common import Check, Pod
from picluster.api.types import Object

LEVELS = ("privileged", "baseline", "restricted")
LATEST = "latest"
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]*)")
NEWEST = 10_000
"""The minor version that ``latest`` stands for."""


@dataclass(frozen=True, slots=True)
class Policy:
    level: str
    version: str = LATEST

    @property
    def minor(self) -> int:
        match = _VERSION.fullmatch(self.version)
        return NEWEST if match is None else int(match[1])

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"


PRIVILEGED = Policy("privileged")


class Violation(NamedTuple):
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


def is_version(text: str) -> bool:
    return text == LATEST or _VERSION.fullmatch(text) is not None


def violations(policy: Policy, metadata: Object, spec: Object) -> list[Violation]:
    """What the policy forbids of a pod, or of a pod template, in the order of the checks' names."""
    if policy.level == "privileged":
        return []
    pod = Pod(metadata, spec, policy.minor)
    said = [(check, check.forbids(pod)) for check in _checks(policy.level, pod)]
    return [Violation(*words) for _, words in said if words is not None]


def _checks(level: str, pod: Pod) -> list[Check]:
    """Those of a level, as its version has them; a stricter one replaces what it covers."""
    checks = [*baseline.CHECKS, *(restricted.CHECKS if level == "restricted" else ())]
    active = [check for check in checks if pod.minor >= check.since]
    if pod.on_windows and pod.minor >= restricted.WINDOWS_SINCE:
        active = [check for check in active if check.name not in restricted.LINUX_ONLY]
    replaced = {check.replaces for check in active}
    return sorted((check for check in active if check.name not in replaced), key=lambda check: check.name)
