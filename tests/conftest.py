"""Golden files: readable scenarios whose change is reviewed as a diff."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write golden files anew instead of comparing with them")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """``golden(path, text)`` compares ``text`` with the file; ``--rewrite`` writes it."""

    def check(path: Path, text: str) -> None:
        if request.config.getoption("--rewrite"):
            path.write_text(text)
        assert path.is_file(), f"{path.name} does not exist; make it with --rewrite and review it"
        assert text == path.read_text(), f"differs from {path.name}; if that is meant: --rewrite, and review the diff"

    return check
