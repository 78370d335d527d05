"""``picluster lab`` where there is no lab: a state directory of its own, empty."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from picluster import rack
from picluster.cli import main
from picluster.lab import lab as labs
from picluster.lab import layout


@pytest.fixture(autouse=True)
def nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    class Elsewhere(layout.Layout):
        def __init__(self) -> None:
            super().__init__(tmp_path / "state", tmp_path / "cache")

    monkeypatch.setattr(labs, "Layout", Elsewhere)
    monkeypatch.setattr(labs.network, "link_exists", lambda: False)
    monkeypatch.setattr(rack, "LAB_INVENTORY", tmp_path / "state/inventory/hosts.yml")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["lab", *arguments])


def test_status_says_that_there_is_none() -> None:
    found = run("status", "-o", "json")
    assert found.exit_code == 0
    assert json.loads(found.stdout) == {"state": "down", "nodes": 0, "boards": [], "problem": ""}
    assert "sudo picluster lab up" in run("status").stdout


def test_a_half_made_one_is_broken(nothing_there: Path) -> None:
    (nothing_there / "state").mkdir()
    found = run("status")
    assert found.exit_code == 1
    assert "lab down removes it" in found.stderr


def test_a_dead_strip_is_said(nothing_there: Path) -> None:
    (nothing_there / "state").mkdir()
    (nothing_there / "state/lab.json").write_text('{"nodes": 1, "backend": "nspawn", "image": "/image"}')
    found = json.loads(run("status", "-o", "json").stdout)
    assert found["state"] == "broken"
    assert "lab up repairs" in found["problem"]
    assert [board["outlet"] for board in found["boards"]] == ["unknown", "unknown"]


@pytest.mark.parametrize("arguments", [("power", "off", "pi-1"), ("ssh", "pi-1", "--", "true"), ("logs", "pi-1")])
def test_without_a_lab_its_boards_are_not_there(arguments: tuple[str, ...]) -> None:
    found = run(*arguments)
    assert found.exit_code == 1
    assert "no lab runs on this machine; sudo picluster lab up" in found.stderr


@pytest.mark.parametrize("command", ["up", "down"])
def test_root_is_asked_for(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found = run(command)
    assert found.exit_code == 1
    assert "needs root: sudo picluster lab" in found.stderr


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nowhere")
    found = run("up")
    assert found.exit_code == 1
    assert "missing: systemd-nspawn, " in found.stderr
    assert "apt-get install systemd-container iproute2" in found.stderr


def test_each_command_shows_an_example() -> None:
    for command in ("up", "down", "status", "ssh", "power", "logs"):
        assert "Example:" in run(command, "--help").stdout
