"""Boards for the tests that need them: a lab that is up already, or one booted for the session and removed after it.

    lab       boards with power that answer SSH
    rack      the same as picluster.rack reads it
    cluster   the same, provisioned by the playbooks, with the lab's images; its kubeconfig is rack.kubeconfig
    own_lab   a lab of the test's own to break: nothing is up when it starts, and nothing may be left when it ends

Where boards cannot run, this whole tier is left out, and the last lines of the run say why.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from picluster import images as container_images
from picluster import playbook
from picluster.lab import images, rootfs
from picluster.lab.lab import Lab, check_machine
from picluster.lab.layout import LabError
from picluster.lab.record import Record
from picluster.rack import Rack, load

NODES = 2
LEFT_OUT = pytest.StashKey[str]()
HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    reason = _why_not() if ours else ""
    if reason:
        config.stash[LEFT_OUT] = f"left out: {len(ours)} tests on boards ({reason})"
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if HERE not in item.path.parents]
        return
    items.sort(key=lambda item: "own_lab" not in getattr(item, "fixturenames", ()) if item in ours else False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if LEFT_OUT in config.stash:
        terminalreporter.write_line(config.stash[LEFT_OUT], yellow=True)


def _why_not() -> str:
    if os.geteuid() != 0:
        return "they need root: sudo make test"
    try:
        check_machine()
    except LabError as error:
        return str(error)
    missing = shutil.which("mmdebstrap") is None
    return "mmdebstrap is missing: apt-get install mmdebstrap" if missing else ""


class SharedLab:
    """The session's lab; ``ours`` when this session booted it."""

    def __init__(self) -> None:
        self.lab = Lab()
        self.ours = Record.read(self.lab.layout) is None
        self._up = False
        self._provisioned = False

    def boards(self) -> Lab:
        if not self._up:
            asyncio.run(self.lab.up(NODES if self.ours else None, "nspawn", _quiet))
            self._up = True
        return self.lab

    def cluster(self) -> Rack:
        rack = load(self.boards().layout.inventory)
        if not self._provisioned:
            outcome = playbook.run("site.yml", rack.inventory, lambda phase: None)
            assert outcome.ok, outcome.failures
            for archive in images.build_all(self.lab.layout.cache).values():
                for result in container_images.load(archive, rack.nodes, lambda host, sent: None):
                    assert not result.error, result.error
            self._provisioned = True
        return rack

    def remove(self) -> None:
        if self.ours:
            asyncio.run(self.lab.down(_quiet))
            self._up = self._provisioned = False


def _quiet(text: str) -> None:
    """Progress is for people."""


@pytest.fixture(scope="session")
def _shared() -> Iterator[SharedLab]:
    """One run of this tier at a time, whatever checkout it is in: there is one lab per machine."""
    turn = Lab().layout.cache / "tests"
    turn.mkdir(parents=True, exist_ok=True)
    with rootfs.locked(turn):
        shared = SharedLab()
        yield shared
        shared.remove()


@pytest.fixture
def lab(_shared: SharedLab) -> Lab:
    return _shared.boards()


@pytest.fixture
def rack(lab: Lab) -> Rack:
    return load(lab.layout.inventory)


@pytest.fixture
def cluster(_shared: SharedLab) -> Rack:
    return _shared.cluster()


@pytest.fixture
def own_lab(_shared: SharedLab) -> Iterator[Lab]:
    if not _shared.ours:
        pytest.skip("a lab is up that these tests did not boot, and would have to remove: picluster lab down")
    _shared.remove()
    yield _shared.lab
    _shared.remove()
