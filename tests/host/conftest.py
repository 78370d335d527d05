"""Checks of provisioned boards, over SSH, on whatever rack the inventory describes:

    pytest tests/host --hosts=ansible://all --ansible-inventory=inventory/hosts.yml

Without ``--hosts`` there is no board to check and nothing is collected here, which the summary says; the lab tier runs
these files against its own boards (``tests/lab/test_host_checks.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

HERE = Path(__file__).parent
GROUP_OF_FILE = {"test_host_control_plane.py": "control_plane", "test_host_node.py": "nodes"}
"""Every other file is for all boards."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    ours = collection_path.parent == HERE and collection_path.name.startswith("test_")
    return True if ours and config.getoption("hosts") is None else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("hosts") is None:
        terminalreporter.write_line(
            "tests/host: left to the lab tier; for a rack: pytest tests/host --hosts=ansible://all …"
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep each check to the boards that it is meant for."""
    kept: list[pytest.Item] = []
    other: list[pytest.Item] = []
    for item in items:
        (kept if _meant(item) else other).append(item)
    if other:
        config.hook.pytest_deselected(items=other)
        items[:] = kept


def _meant(item: pytest.Item) -> bool:
    group = GROUP_OF_FILE.get(item.path.name)
    if item.path.parent != HERE or group is None:
        return True
    assert isinstance(item, pytest.Function)
    host: Host = item.callspec.params["_testinfra_host"]
    return group in host.backend.get_variables()["group_names"]


@pytest.fixture
def variables(host: Host) -> dict[str, Any]:
    """The board's variables in its inventory."""
    found: dict[str, Any] = host.backend.get_variables()
    return found


@pytest.fixture
def board(host: Host) -> Iterator[Host]:
    """The board, as root."""
    if host.user().name == "root":
        yield host
    else:
        with host.sudo():
            yield host
