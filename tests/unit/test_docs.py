"""What the docs list is what the code has: settings, timings, verdicts, the drill's report and its exit codes."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from picluster.api.profiles import PROFILES
from picluster.cli import drill
from picluster.controllers.node_lifecycle import verdict
from picluster.controllers.node_lifecycle.verdict import Evidence, Verdict
from picluster.drills import model
from picluster.power.outlet import OutletState
from picluster.server import config as server
from picluster_agent import config as agent
from picluster_agent.health import decide, report

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def section(name: str, title: str) -> str:
    """The part of a page under the heading that begins with ``title``."""
    text = (DOCS / name).read_text()
    parts = [part for part in re.split(r"^## ", text, flags=re.MULTILINE) if part.startswith(title)]
    assert len(parts) == 1, f"{name} has no section {title}"
    return parts[0]


def table(text: str) -> list[list[str]]:
    """The rows of the Markdown table in ``text``, its head aside."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def documented(name: str, title: str) -> dict[str, str]:
    """Name and default of each setting."""
    return {row[0].strip("`"): row[1] for row in table(section(name, title))}


def same(text: str, default: Any) -> bool:
    """Whether what the docs say is the default; what is no literal there is explained in words."""
    if not text.startswith("`") or "<" in text:
        return True
    if isinstance(default, (Path, str)):
        return text == f"`{default}`"
    shown = default() if callable(default) else default
    return yaml.safe_load(text.strip("`")) == (list(shown) if isinstance(shown, tuple) else shown)


@pytest.mark.parametrize(
    ("title", "config"), [("The control plane", server.ServerConfig), ("A node", agent.Config)], ids=["server", "agent"]
)
def test_every_key_of_a_configuration_is_documented_with_its_default(title: str, config: Any) -> None:
    said = documented("settings.md", title)
    assert list(said) and set(said) == {one.name for one in fields(config)}
    for one in fields(config):
        default = one.default_factory if one.default is MISSING else one.default
        if default is MISSING:
            assert said[one.name] == "must be given", one.name
        elif default is None:
            assert said[one.name] == "none", one.name
        else:
            assert same(said[one.name], default), f"{one.name}: {said[one.name]}, but it is {default!r}"


def test_the_server_reads_no_key_that_is_no_field() -> None:
    assert set(server.READERS) == {one.name for one in fields(server.ServerConfig)}


def test_every_setting_of_an_inventory_is_documented_with_its_default() -> None:
    text = (ROOT / "playbooks/roles/settings/defaults/main.yml").read_text()
    settings = yaml.safe_load(text.partition("# Not settings")[0])
    said = documented("settings.md", "The inventory")
    assert set(said) == {*settings, "picluster_outlet"}
    for name, default in settings.items():
        if not (isinstance(default, str) and "{{" in default):
            assert same(said[name], default), f"{name}: {said[name]}, but it is {default!r}"


def test_timings_are_those_of_the_profiles() -> None:
    said = {row[0].strip("`"): [float(row[1]), float(row[2])] for row in table(section("failure-detector.md", "Tim"))}
    rack, kubernetes = asdict(PROFILES["rack"]), asdict(PROFILES["kubernetes"])
    assert said == {name: [rack[name], kubernetes[name]] for name in rack}


OUTLETS = {
    "reads off": [OutletState.OFF],
    "reads on": [OutletState.ON],
    "none, unknown": [None, OutletState.UNKNOWN],
    "–": [None, OutletState.ON, OutletState.UNKNOWN],
}
SILENCES_S = {"–": [0.0, 100.0], "< fence": [4.9], "≥ fence": [5.0]}
ANSWERS = {"yes": [(True, False), (False, True)], "no": [(False, False)], "–": [(True, True), (False, False)]}


def test_the_table_of_verdicts_is_the_one_that_decides() -> None:
    rows = table(section("failure-detector.md", "Verdicts"))
    assert {row[3].strip("`") for row in rows} == {str(one) for one in Verdict}
    for outlet, answers, silent, expected, _ in rows:
        for state in OUTLETS[outlet]:
            for ssh, port in ANSWERS[answers]:
                for silent_s in SILENCES_S[silent]:
                    evidence = Evidence(state, ssh, port, silent_s)
                    partition = expected == "`partition`"
                    found = verdict.decide(evidence, partition=partition, fence_after_s=5.0)
                    assert f"`{found}`" == expected, evidence


def test_the_report_has_the_fields_that_the_docs_show_and_explain() -> None:
    text = section("drills.md", "The report")
    shown = json.loads(text.partition("```json\n")[2].partition("```")[0])
    made = model.report(model.Measurement("pi-1", "default/web", "2026-01-01T00:00:00Z"), "power-cut")
    assert shape(shown) == shape(made)
    explained = {row[0].strip("`") for row in table(text)}
    assert {f"phases.{key}" for key in made["phases"]} <= explained
    assert {"verdict", "failure", "power_back", "probe", "journal"} <= explained
    assert all(f"`{one}`" in text for one in model.Verdict)


def shape(value: Any) -> Any:
    return {key: shape(inner) for key, inner in value.items()} if isinstance(value, dict) else None


def test_the_boards_conditions_and_metrics_are_documented() -> None:
    assert [row[0].strip("`") for row in table(section("board-health.md", "Conditions"))] == list(decide.TYPES)
    metrics = [row[0].strip("`") for row in table(section("board-health.md", "Metrics"))]
    assert metrics == [f"picluster_board_{name}" for name in report.METRICS]


def test_the_exit_codes_of_a_drill() -> None:
    said = {int(row[0]): row[1] for row in table(section("drills.md", "Exit codes"))}
    assert set(said) == {0, drill.EXIT_FAILED, 2, drill.EXIT_ABORTED}
    assert "nothing was cut" in said[drill.EXIT_ABORTED]
    assert all(name in section("drills.md", "What power-cut does") or name == "power-cut" for name in drill.DRILLS)
