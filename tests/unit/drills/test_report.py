"""Reports as people see them, and as files that are whole or not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from picluster.drills.report import markdown, timeline, write

HERE = Path(__file__).parent


def body(**phases: float | None) -> dict[str, Any]:
    return {
        "drill": "power-cut",
        "verdict": "passed",
        "failure": "",
        "node": "pi-1",
        "service": "default/web",
        "started_at": "2026-01-01T00:00:00Z",
        "phases": {
            "detected_s": 1.52,
            "endpoint_removed_s": 1.6,
            "replacement_bound_s": 1.7,
            "replacement_ready_s": 2.4,
            "service_restored_s": 1.65,
            "node_ready_s": 9.81,
            **phases,
        },
        "power_back": {"outlet_on_s": 2.5, "node_ready_after_on_s": 7.31},
        "probe": {"sent": 200, "failed": 11, "longest_gap_s": 1.02},
        "journal": [],
    }


def test_timeline(golden: Callable[[Path, str], None]) -> None:
    golden(HERE / "timeline.golden.txt", timeline(body()) + "\n\n" + timeline(body(node_ready_s=None)) + "\n")


def test_markdown(golden: Callable[[Path, str], None]) -> None:
    golden(HERE / "report.golden.md", markdown(body()))


def test_written_files_are_the_report_and_nothing_else(tmp_path: Path) -> None:
    write(body(), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.json", "report.md"]
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == body()
