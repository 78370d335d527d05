"""Failures as sentences, and a real Ansible run on a rack that is not there."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from picluster import playbook
from picluster.cli.bootstrap import bootstrap

LOG = Path("/x/site.log")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            {"message": "Task failed: Action failed: pi-1: a.\npi-1: b.", "said": True, "kind": "failed"},
            ["pi-1: a.", "pi-1: b."],
        ),
        (
            {"message": "Task failed: Module failed: no space left.\nmore", "said": False, "kind": "failed"},
            ["pi-1: 'Copy it' failed (no space left); all that Ansible said is in /x/site.log."],
        ),
        (
            {"message": "Task failed: Failed to connect", "said": False, "kind": "unreachable"},
            ["pi-1: SSH broke off at 'Copy it' (Failed to connect); look at the board and run this again."],
        ),
        (
            {"message": "", "said": False, "kind": "failed"},
            ["pi-1: 'Copy it' failed (it said nothing); all that Ansible said is in /x/site.log."],
        ),
    ],
)
def test_sentences(event: dict[str, object], expected: list[str]) -> None:
    assert playbook.sentences({"host": "pi-1", "task": "Copy it", **event}, LOG) == expected


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """Two boards at addresses of this machine where nothing listens for SSH."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    hosts = {name: {"ansible_host": f"127.0.0.{number}"} for number, name in enumerate(("pi-0", "pi-1"), start=5)}
    groups = {"control_plane": {"hosts": {"pi-0": hosts["pi-0"]}}, "nodes": {"hosts": {"pi-1": hosts["pi-1"]}}}
    path = tmp_path / "hosts.yml"
    path.write_text(json.dumps({"all": {"vars": {"ansible_port": port, "ansible_user": "pi"}, "children": groups}}))
    return path


def test_a_rack_that_is_not_there_is_named_board_by_board(inventory: Path) -> None:
    phases: list[playbook.Phase] = []
    outcome = playbook.run("site.yml", inventory, phases.append)
    assert not outcome.ok and outcome.changed == 0
    assert [text.partition(":")[0] for text in sorted(outcome.failures)] == ["pi-0", "pi-1"]
    assert all("nothing listens for SSH" in text for text in outcome.failures)
    assert [phase.name for phase in phases] == ["Preflight"]
    assert stat.S_IMODE(outcome.log.stat().st_mode) == 0o600
    assert stat.S_IMODE(outcome.log.parent.stat().st_mode) == 0o700
    assert "PLAY RECAP" in outcome.log.read_text()


def test_the_command_says_so_and_fails(inventory: Path) -> None:
    result = CliRunner().invoke(bootstrap, ["-i", str(inventory), "-o", "json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["hosts"]["pi-1"]["failures"]
    assert "pi-1: nothing listens for SSH" in result.stderr and "picluster_outlet" in result.stderr


def test_a_limit_to_a_board_that_is_not_there_is_bad_input(inventory: Path) -> None:
    result = CliRunner().invoke(bootstrap, ["-i", str(inventory), "--limit", "pi-9"])
    assert result.exit_code == 2
    assert "has no board pi-9" in result.stderr and len(result.stderr.strip().splitlines()) == 1


def test_a_reset_that_is_not_meant_is_refused_before_anything(inventory: Path) -> None:
    outcome = playbook.run("reset.yml", inventory, lambda phase: None)
    assert not outcome.ok
    assert sorted(outcome.failures)[1].startswith(
        "pi-1: a reset removes every pod from the board; add -e picluster_reset=yes"
    )
