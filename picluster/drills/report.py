"""A drill's report for people: Markdown to keep, a timeline to look at; the JSON is ``model.report`` itself."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from picluster.drills.model import HEALING, NODE_READY

BAR_CELLS = 40


def rows(report: dict[str, Any]) -> list[tuple[str, float | None]]:
    """``(what, seconds after the outlet read off)`` in the order of time, what never happened last."""
    phases = report["phases"]
    found = [(phase.title, phases[phase.key]) for phase in (*HEALING, NODE_READY)]
    found.append(("power back", report["power_back"]["outlet_on_s"]))
    return sorted(found, key=lambda row: (row[1] is None, row[1] or 0.0))


def timeline(report: dict[str, Any]) -> str:
    """One line per phase with a bar as long as it took; the scale ends at the slowest phase of healing."""
    healing = [report["phases"][phase.key] for phase in HEALING]
    scale_s = max((value for value in healing if value is not None), default=1.0) or 1.0
    lines = []
    for what, at_s in rows(report):
        if at_s is None:
            lines.append(f"  {what:<24} {'never':>9}")
            continue
        cells = round(BAR_CELLS * at_s / scale_s)
        bar = "━" * cells if cells <= BAR_CELLS else "━" * BAR_CELLS + " …"
        lines.append(f"  {what:<24} {at_s:7.2f} s {bar}".rstrip())
    return "\n".join(lines)


def markdown(report: dict[str, Any]) -> str:
    """``report.md``."""
    probe = report["probe"]
    table = "\n".join(f"| {what} | {'never' if at_s is None else f'{at_s:.3f}'} |" for what, at_s in rows(report))
    failure = f"\n{report['failure']}\n" if report["failure"] else ""
    lost = f"Node `{report['node']}` lost its power; Service `{report['service']}` was asked all the time."
    gap = f"the longest time without an answer was {probe['longest_gap_s']:.3f} s"
    return f"""# Drill {report["drill"]}: {report["verdict"]}

{lost} Started {report["started_at"]}.
{failure}
| phase | seconds after the outlet read off |
|---|---:|
{table}

Probes: {probe["sent"]} sent, {probe["failed"]} failed; {gap}.
"""


def write(report: dict[str, Any], directory: Path) -> None:
    """Write ``report.json`` and ``report.md``, each whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in (("report.json", json.dumps(report, indent=2) + "\n"), ("report.md", markdown(report))):
        draft = directory / f".{name}.new"
        with draft.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(directory / name)
