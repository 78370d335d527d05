"""``tests/host`` against the lab's boards, run as a person runs it against a rack."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from picluster.rack import Rack

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
PYTEST = (sys.executable, "-m", "pytest", "tests/host", "-q", "-p", "no:cacheprovider", "--tb=short")
CHECKS_TIMEOUT_S = 300


def test_every_board_is_what_a_provisioned_board_must_be(cluster: Rack) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [*PYTEST, "--hosts=ansible://all", f"--ansible-inventory={cluster.inventory}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=CHECKS_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
