"""What a series of probe results means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster_agent.probes.checks import port_of
from picluster_agent.probes.state import Kind, ProbeState, Result, Timing, told


def state(kind: Kind, success: int = 1, failure: int = 3) -> ProbeState:
    return ProbeState(kind, Timing(0, 10, 1, success, failure))


@pytest.mark.parametrize(
    ("kind", "results", "healthy", "gave_up"),
    [
        (Kind.READINESS, "", False, False),
        (Kind.READINESS, "+", True, False),
        (Kind.READINESS, "+--", True, False),
        (Kind.READINESS, "+---", False, False),
        (Kind.READINESS, "+--+--", True, False),
        (Kind.READINESS, "+---+", True, False),
        (Kind.LIVENESS, "", True, False),
        (Kind.LIVENESS, "--", True, False),
        (Kind.LIVENESS, "---", False, True),
        (Kind.LIVENESS, "--+--", True, False),
        (Kind.STARTUP, "--", False, False),
        (Kind.STARTUP, "--+", True, False),
        (Kind.STARTUP, "---", False, True),
    ],
)
def test_thresholds(kind: Kind, results: str, healthy: bool, gave_up: bool) -> None:
    probe = state(kind)
    for result in results:
        probe.record(result == "+")
    assert (probe.healthy, probe.gave_up) == (healthy, gave_up)


@given(st.sampled_from(list(Kind)), st.integers(1, 4), st.integers(1, 4), st.lists(st.booleans(), max_size=30))
def test_only_a_run_as_long_as_its_threshold_changes_anything(
    kind: Kind, success: int, failure: int, results: list[bool]
) -> None:
    probe = state(kind, success, failure)
    for index, result in enumerate(results):
        before = probe.healthy
        changed = probe.record(result)
        threshold = success if result else failure
        run = results[max(0, index + 1 - threshold) : index + 1]
        if probe.healthy != before:
            assert changed
            assert run == [result] * threshold


def test_defaults() -> None:
    assert Timing.of({}) == Timing(0, 10, 1, 1, 3)
    assert Timing.of({"initialDelaySeconds": 5, "periodSeconds": 2, "failureThreshold": 30}).failure_threshold == 30


def test_named_ports() -> None:
    container = {"name": "web", "ports": [{"name": "http", "containerPort": 80}]}
    assert (port_of("http", container), port_of(8080, container), port_of("8080", container)) == (80, 8080, 8080)
    with pytest.raises(ValueError, match=r'strconv\.Atoi: parsing "x": invalid syntax'):
        port_of("x", container)


@pytest.mark.parametrize(
    ("result", "reason", "message"),
    [
        (Result(False, "refused"), "Unhealthy", "Liveness probe failed: refused"),
        (
            Result(False, "no runtime", known=False),
            "Unhealthy",
            "Liveness probe errored and resulted in unknown state: no runtime",
        ),
        (Result(True, "redirected"), "ProbeWarning", "Liveness probe warning: redirected"),
    ],
)
def test_what_is_told_of_a_result(result: Result, reason: str, message: str) -> None:
    assert told(Kind.LIVENESS, result) == (reason, message)
