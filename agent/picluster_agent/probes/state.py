"""What a series of probe results means. Pure.

The rules are those of the kubelet's prober (``pkg/kubelet/prober/worker.go``): a result counts once it has come as
often in a row as its threshold says; until then the one before holds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from picluster.api.types import Object

USER_AGENT = "kube-probe/1.36"


class Result(NamedTuple):
    """One answer, or the lack of one."""

    success: bool
    message: str = ""
    """What went wrong; with a success that came from an HTTP server, a warning."""
    known: bool = True
    """Whether there was an answer, or the lack of one; what could not be asked counts neither way."""


def join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def quoted(text: str) -> str:
    """As Go's ``%q`` writes it."""
    return json.dumps(text, ensure_ascii=False)


def dial_error(host: str, port: int, error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {join(host, port)}: connect: connection refused"
    return f"dial tcp {join(host, port)}: connect: {(error.strerror or str(error)).lower()}"


class Kind(Enum):
    STARTUP = "Startup"
    READINESS = "Readiness"
    LIVENESS = "Liveness"

    @property
    def field(self) -> str:
        """Its key in a container's specification."""
        return f"{self.value.lower()}Probe"


def told(kind: Kind, result: Result) -> tuple[str, str]:
    """Reason and message of the event about a result that is not plainly good (``pkg/kubelet/prober/prober.go``)."""
    if result.success:
        return "ProbeWarning", f"{kind.value} probe warning: {result.message}"
    if not result.known:
        return "Unhealthy", f"{kind.value} probe errored and resulted in unknown state: {result.message}"
    return "Unhealthy", f"{kind.value} probe failed: {result.message}"


INITIAL = {Kind.STARTUP: False, Kind.READINESS: False, Kind.LIVENESS: True}
"""What holds before the first result counts."""


@dataclass(frozen=True, slots=True)
class Timing:
    initial_delay_s: float
    period_s: float
    timeout_s: float
    success_threshold: int
    failure_threshold: int

    @classmethod
    def of(cls, probe: Object) -> Timing:
        """With the API's defaults where a field is not set."""
        return cls(
            float(probe.get("initialDelaySeconds") or 0),
            float(probe.get("periodSeconds") or 10),
            float(probe.get("timeoutSeconds") or 1),
            int(probe.get("successThreshold") or 1),
            int(probe.get("failureThreshold") or 3),
        )


class ProbeState:
    """One probe of one container. ``healthy`` is what counts now; ``gave_up`` says to replace the container."""

    def __init__(self, kind: Kind, timing: Timing, *, healthy: bool | None = None) -> None:
        self.kind = kind
        self.timing = timing
        self.healthy = INITIAL[kind] if healthy is None else healthy
        self.gave_up = False
        self._last: bool | None = None
        self._run = 0

    def record(self, success: bool) -> bool:
        """Take in one result; whether ``healthy`` or ``gave_up`` changed by it."""
        before = (self.healthy, self.gave_up)
        self._run = self._run + 1 if success == self._last else 1
        self._last = success
        threshold = self.timing.success_threshold if success else self.timing.failure_threshold
        if self._run >= threshold:
            self.healthy = success
            if not success and self.kind is not Kind.READINESS:
                self.gave_up = True
        return before != (self.healthy, self.gave_up)
