"""``picluster power`` on outlets that are files, switched by the command driver."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from picluster.cli import main


class Shelf:
    def __init__(self, directory: Path) -> None:
        self.plug = directory / "plug"
        self.inventory = directory / "hosts.yml"
        outlet = {
            "driver": "command",
            "on_command": ["sh", "-c", f"echo on > {self.plug}"],
            "off_command": ["sh", "-c", f"echo off > {self.plug}"],
            "status_command": ["cat", str(self.plug)],
            "on_when": "^on",
            "off_when": "^off",
        }
        groups = {
            "control_plane": {"hosts": {"pi-0": {"ansible_host": "127.0.0.1"}}},
            "nodes": {"hosts": {"pi-1": {"ansible_host": "127.0.0.2", "picluster_outlet": outlet}}},
        }
        self.inventory.write_text(yaml.safe_dump(groups))

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "-i", str(self.inventory)])


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path)
    made.plug.write_text("on\n")
    return made


def test_off_and_on_are_read_back(shelf: Shelf) -> None:
    assert shelf.run("power", "off", "pi-1").stdout == "pi-1 is off\n"
    assert shelf.plug.read_text() == "off\n"
    found = shelf.run("power", "on", "pi-1", "-o", "json")
    assert json.loads(found.stdout) == {"board": "pi-1", "outlet": "on"}
    assert shelf.plug.read_text() == "on\n"


def test_cycle_ends_on(shelf: Shelf) -> None:
    assert shelf.run("power", "cycle", "pi-1").stdout == "pi-1 is on\n"


def test_an_outlet_that_does_not_answer_is_unknown_and_exit_code_1(shelf: Shelf) -> None:
    shelf.plug.unlink()
    found = shelf.run("power", "status", "pi-1")
    assert (found.exit_code, found.stdout) == (1, "pi-1 is unknown\n")
    assert "nobody knows" in found.stderr


@pytest.mark.parametrize(
    ("node", "words"), [("pi-0", "pi-0 has no picluster_outlet"), ("pi-7", "no board pi-7; it has pi-0, pi-1")]
)
def test_what_cannot_be_switched_is_said(shelf: Shelf, node: str, words: str) -> None:
    found = shelf.run("power", "off", node)
    assert found.exit_code == 2
    assert words in found.stderr
    assert shelf.plug.read_text() == "on\n"


def test_nodes_are_listed_with_their_power(shelf: Shelf) -> None:
    found = shelf.run("node", "ls", "-o", "json")
    assert [(board["name"], board["role"], board["power"]) for board in json.loads(found.stdout)] == [
        ("pi-0", "control-plane", "-"),
        ("pi-1", "node", "on"),
    ]
    table = shelf.run("node", "ls").stdout.splitlines()
    assert table[0].split() == ["name", "role", "address", "power", "ssh", "node", "trouble"]
    assert table[2].split()[:4] == ["pi-1", "node", "127.0.0.2", "on"]


def test_an_image_that_is_no_file_is_said(shelf: Shelf) -> None:
    found = shelf.run("image", "load", "/does/not/exist")
    assert found.exit_code == 2
    assert "/does/not/exist is no file" in found.stderr


def test_a_node_without_ssh_is_named(shelf: Shelf, tmp_path: Path) -> None:
    archive = tmp_path / "app.tar"
    archive.write_bytes(b"")
    found = shelf.run("image", "load", str(archive), "-o", "json")
    assert found.exit_code == 1
    assert json.loads(found.stdout)["pi-1"]["loaded"] == []
    assert "pi-1: " in found.stderr
