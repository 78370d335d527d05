"""What a drill's figures mean."""

from __future__ import annotations

import pytest

from picluster.drills.model import HEALING, NODE_READY, Measurement, Sample, report, summarize


def probes(pattern: str, start_s: float = 100.0, interval_s: float = 0.5, took_s: float = 0.1) -> list[Sample]:
    """One sample per character: ``+`` answered, ``-`` did not."""
    return [Sample(start_s + i * interval_s, took_s, mark == "+") for i, mark in enumerate(pattern)]


@pytest.mark.parametrize(
    ("pattern", "failed", "gap_s", "restored_s"),
    [
        ("++++++++", 0, 0.5, 0.0),
        ("++--++++", 2, 1.5, 1.1),
        ("++--+-++", 3, 1.5, 2.1),
        ("++------", 6, 0.5, None),
        ("--------", 8, 0.0, None),
    ],
    ids=["never failed", "one gap", "restored only when it stays so", "never restored", "no answer at all"],
)
def test_summary(pattern: str, failed: int, gap_s: float, restored_s: float | None) -> None:
    summary = summarize(probes(pattern), since_s=101.0)
    assert (summary.sent, summary.failed) == (8, failed)
    assert summary.longest_gap_s == pytest.approx(gap_s)
    assert summary.restored_s == (None if restored_s is None else pytest.approx(restored_s))


def test_a_failure_before_the_cut_is_not_held_against_the_healing() -> None:
    assert summarize(probes("-+++++++"), since_s=101.0).restored_s == 0.0


def test_a_probe_in_flight_during_the_cut_counts() -> None:
    samples = [Sample(100.9, 1.0, False), Sample(102.0, 0.1, True)]
    assert summarize(samples, since_s=101.0).restored_s == pytest.approx(1.1)


def healed() -> Measurement:
    measurement = Measurement("pi-1", "default/web", "2026-01-01T00:00:00Z", off_s=101.0, on_s=105.0)
    for i, phase in enumerate(HEALING[:-1]):
        assert measurement.reach(phase.key, 102.0 + i / 10)
    measurement.reach(NODE_READY.key, 108.5)
    measurement.samples = probes("++--++++++++++++++++")
    return measurement


def test_a_healed_run_passes_with_all_phases_after_the_outlet_read_off() -> None:
    body = report(healed(), "power-cut")
    assert body["verdict"] == "passed"
    assert body["phases"] == {
        "detected_s": 1.0,
        "endpoint_removed_s": 1.1,
        "replacement_bound_s": 1.2,
        "replacement_ready_s": 1.3,
        "service_restored_s": 1.1,
        "node_ready_s": 7.5,
    }
    assert body["power_back"] == {"outlet_on_s": 4.0, "node_ready_after_on_s": 3.5}
    assert body["probe"] == {"sent": 20, "failed": 2, "longest_gap_s": 1.5}


def test_a_missing_phase_fails_and_stays_null() -> None:
    measurement = healed()
    del measurement.reached_s["replacement_ready_s"]
    body = report(measurement, "power-cut")
    assert body["verdict"] == "failed"
    assert body["phases"]["replacement_ready_s"] is None


def test_an_interruption_after_the_cut_fails_and_before_it_aborts() -> None:
    measurement = healed()
    measurement.failure = "interrupted"
    assert report(measurement, "power-cut")["verdict"] == "failed"
    measurement.off_s = None
    assert report(measurement, "power-cut")["verdict"] == "aborted"


def test_phases_count_once_and_only_after_the_cut() -> None:
    measurement = Measurement("pi-1", "default/web", "now")
    assert not measurement.reach("detected_s", 1.0)
    measurement.off_s = 5.0
    assert not measurement.reach("detected_s", 4.9)
    assert measurement.reach("detected_s", 6.0)
    assert not measurement.reach("detected_s", 7.0)
    assert measurement.after_off_s("detected_s") == 1.0
