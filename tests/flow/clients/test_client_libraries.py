"""The libraries that people write programs with, unmodified, against a whole control plane with hollow nodes.

Each program runs in a process of its own: some leave connections for the interpreter to clean up.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = Path(__file__).parent / "programs"
TIMEOUT_S = 90


@pytest.mark.parametrize("program", ["with_kubernetes.py", "with_kr8s.py", "with_lightkube.py"])
def test_a_program(hollow_server: Any, program: str) -> None:
    argv = [sys.executable, str(PROGRAMS / program), str(hollow_server.kubeconfig)]
    run = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr
