"""Requests made up from the published OpenAPI: whatever they say, no answer blames the server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parent / "programs" / "made_up_requests.py"
TIMEOUT_S = 280
ASKED_MIN = 500


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_made_up_request_is_the_servers_fault(server_process: Callable[..., Any]) -> None:
    server = server_process("--role", "apiserver")
    server.start()
    argv = [sys.executable, str(PROGRAM), str(server.kubeconfig)]
    run = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout)
    assert said["failures"] == []
    assert sum(said["codes"].values()) > ASKED_MIN, said["codes"]
