"""Metrics as Prometheus reads them (text format 0.0.4), written family by family. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate

from picluster.util.timings import LATENCY_BUCKETS_S, Timing

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Family:
    """One metric: its lines are written once something was added."""

    __slots__ = ("_kind", "_lines", "_name", "_what")

    def __init__(self, name: str, kind: str, what: str) -> None:
        self._name, self._kind, self._what = name, kind, what
        self._lines: list[str] = []

    def add(self, value: float, labels: str = "", at_ms: int | None = None) -> None:
        """``labels`` are those of ``label_text``."""
        stamp = f" {at_ms}" if at_ms is not None else ""
        shown = f"{{{labels}}}" if labels else ""
        self._lines.append(f"{self._name}{shown} {value!r}{stamp}\n")

    def text(self) -> str:
        if not self._lines:
            return ""
        return f"# HELP {self._name} {self._what}\n# TYPE {self._name} {self._kind}\n" + "".join(self._lines)


def label_text(labels: Labels) -> str:
    return ",".join([f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items()])


def joined(families: Iterable[Family]) -> str:
    return "".join([family.text() for family in families])


def histogram(name: str, what: str, timing: Timing) -> str:
    """A histogram without labels."""
    bounds = (*[f"{bound:g}" for bound in LATENCY_BUCKETS_S], "+Inf")
    counts = list(accumulate(timing.under))
    lines = [f'{name}_bucket{{le="{bound}"}} {count}\n' for bound, count in zip(bounds, counts, strict=True)]
    head = f"# HELP {name} {what}\n# TYPE {name} histogram\n"
    return head + "".join(lines) + f"{name}_count {counts[-1]}\n{name}_sum {timing.seconds!r}\n"
