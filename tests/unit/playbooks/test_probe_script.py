"""The probe as boards run it: from standard input, by a bare Python, seeing what is really there."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

PROBE = Path(__file__).parents[3] / "playbooks" / "roles" / "preflight" / "files" / "probe.py"
NOTHING: dict[str, list[Any]] = {"ports": [], "reach": [], "packages": [], "units": [], "files": [], "sysctls": []}


def probe(**wanted: list[Any]) -> dict[str, Any]:
    command = [sys.executable, "-I", "-", json.dumps(NOTHING | wanted)]
    done = subprocess.run(command, input=PROBE.read_text(), capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_it_parses_under_the_oldest_python_it_must_report() -> None:
    ast.parse(PROBE.read_text(), feature_version=(3, 7))


def test_it_tells_what_this_machine_is() -> None:
    found = probe()
    assert found["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert found["hostname"] == socket.gethostname()
    assert found["bits"] in (32, 64) and found["memory_mib"] > 0 and found["free_mib"]["/"] > 0
    assert found["os"]["name"] and found["cgroup"]["version"] in (0, 1, 2)


def test_it_names_who_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found = probe(ports=[port])["listeners"]
    assert list(found) == [str(port)]
    assert found[str(port)]["pid"] == os.getpid() and found[str(port)]["program"]
    assert probe(ports=[port])["listeners"] == {}


def test_refused_is_reached_and_an_unroutable_name_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        open_port = listener.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as other:
            closed_port = other.getsockname()[1]
        targets = [f"127.0.0.1:{open_port}", f"127.0.0.1:{closed_port}", "no-such-board.invalid:6443"]
        assert list(probe(reach=targets)["unreachable"]) == ["no-such-board.invalid:6443"]


def test_files_packages_and_settings(tmp_path: Path) -> None:
    present = tmp_path / "present"
    present.write_text("x")
    present.chmod(0o640)
    tmp_path.chmod(0o750)
    found = probe(
        files=[str(present), str(tmp_path), str(tmp_path / "absent")],
        sysctls=["kernel.ostype", "no.such"],
        packages=["no-such-package"],
    )
    digest = hashlib.sha256(b"x").hexdigest()
    assert found["files"] == {
        str(present): f"0640 {digest}",
        str(tmp_path): "0750 directory",
        str(tmp_path / "absent"): "",
    }
    assert found["sysctls"] == {"kernel.ostype": "Linux", "no.such": ""}
    assert found["missing_packages"] == ["no-such-package"]
