"""What a drill measures, as values. PURE.

All times are seconds of one monotonic clock, the operator's; T0 is the moment the outlet read off. A phase that has
not been reached is ``None``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class PhaseInfo:
    """One phase of healing: its key in the report and what a person reads."""

    key: str
    title: str


HEALING = (
    PhaseInfo("detected_s", "node NotReady"),
    PhaseInfo("endpoint_removed_s", "endpoint removed"),
    PhaseInfo("replacement_bound_s", "replacement bound"),
    PhaseInfo("replacement_ready_s", "replacement Ready"),
    PhaseInfo("service_restored_s", "Service answers again"),
)
NODE_READY = PhaseInfo("node_ready_s", "node Ready again")


@dataclass(frozen=True, slots=True)
class Sample:
    """One probe of the Service: when it was sent, how long it took, and whether the answer was good."""

    sent_s: float
    took_s: float
    ok: bool

    @property
    def ended_s(self) -> float:
        return self.sent_s + self.took_s


@dataclass(frozen=True, slots=True)
class ProbeSummary:
    """``longest_gap_s``: the longest time between two good answers; ``restored_s``: when the last failure was over.

    ``restored_s`` is seconds after ``since_s``, 0 when nothing failed after it, ``None`` while the Service does not
    answer.
    """

    sent: int
    failed: int
    longest_gap_s: float
    restored_s: float | None


def summarize(samples: Sequence[Sample], since_s: float) -> ProbeSummary:
    """What ``samples`` say of the time after ``since_s``; earlier probes count in ``sent`` and ``failed`` too."""
    answers = sorted(sample.ended_s for sample in samples if sample.ok)
    gaps = (later - earlier for earlier, later in itertools.pairwise(answers))
    failures = [sample.sent_s for sample in samples if not sample.ok and sample.ended_s >= since_s]
    restored_s: float | None = 0.0
    if failures:
        after = (s.ended_s for s in samples if s.ok and s.sent_s > failures[-1])
        first = min(after, default=None)
        restored_s = None if first is None else first - since_s
    failed = sum(not sample.ok for sample in samples)
    return ProbeSummary(len(samples), failed, max(gaps, default=0.0), restored_s)


@dataclass(slots=True)
class Measurement:
    """What a running drill has seen so far; ``off_s`` and ``on_s`` are when the outlet read off and on."""

    node: str
    service: str
    started_at: str
    off_s: float | None = None
    on_s: float | None = None
    reached_s: dict[str, float] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    journal: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""

    def reach(self, key: str, at_s: float) -> bool:
        """Note that a phase was reached; only the first time counts, and only after the outlet read off."""
        if self.off_s is None or key in self.reached_s or at_s < self.off_s:
            return False
        self.reached_s[key] = at_s
        return True

    def after_off_s(self, key: str) -> float | None:
        if self.off_s is None or key not in self.reached_s:
            return None
        return round(self.reached_s[key] - self.off_s, 3)


def report(measurement: Measurement, drill: str) -> dict[str, Any]:
    """The body of ``report.json``. A drill passes when every phase was reached and the Service answers at its end."""
    off_s, on_s = measurement.off_s, measurement.on_s
    probe = summarize(measurement.samples, off_s if off_s is not None else float("inf"))
    phases = {phase.key: measurement.after_off_s(phase.key) for phase in (*HEALING, NODE_READY)}
    if off_s is not None and probe.restored_s is not None and measurement.samples:
        phases["service_restored_s"] = round(probe.restored_s, 3)
    verdict = Verdict.PASSED if all(value is not None for value in phases.values()) else Verdict.FAILED
    if off_s is None:
        verdict = Verdict.ABORTED
    elif measurement.failure:
        verdict = Verdict.FAILED
    ready_s = measurement.reached_s.get(NODE_READY.key)
    return {
        "drill": drill,
        "verdict": str(verdict),
        "failure": measurement.failure,
        "node": measurement.node,
        "service": measurement.service,
        "started_at": measurement.started_at,
        "phases": phases,
        "power_back": {
            "outlet_on_s": None if on_s is None or off_s is None else round(on_s - off_s, 3),
            "node_ready_after_on_s": None if ready_s is None or on_s is None else round(ready_s - on_s, 3),
        },
        "probe": {"sent": probe.sent, "failed": probe.failed, "longest_gap_s": round(probe.longest_gap_s, 3)},
        "journal": measurement.journal,
    }
