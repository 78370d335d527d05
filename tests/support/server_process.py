"""``picluster server`` as a process, to test against."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


class ServerProcess:
    """``picluster server --data-dir data_dir`` with further words; its log goes to ``log``."""

    def __init__(self, data_dir: Path, *words: str) -> None:
        self.data_dir = data_dir
        self.log = data_dir.with_name(f"{data_dir.name}.log")
        self.port = 0
        self._words = words
        self.process: subprocess.Popen[str] | None = None

    @property
    def kubeconfig(self) -> Path:
        return self.data_dir / "admin.kubeconfig"

    def spawn(self) -> subprocess.Popen[str]:
        """Start it, without waiting; on the port it had before, if there was one."""
        picluster = Path(sys.executable).with_name("picluster")
        words = ["server", "--data-dir", str(self.data_dir), "--port", str(self.port), *self._words]
        self.process = subprocess.Popen([str(picluster), *words], stderr=subprocess.PIPE, text=True, bufsize=1)
        return self.process

    def start(self) -> float:
        """Start it and wait until it says that it is ready; returns how long that took, in seconds."""
        begin_s = time.monotonic()
        process = self.spawn()
        assert process.stderr is not None
        said = ""
        while (ready := re.search(r"^ready: .*?:(\d+)(;.*)?\n", said, re.MULTILINE)) is None:
            left_s = begin_s + READY_TIMEOUT_S - time.monotonic()
            readable, _, _ = select.select([process.stderr], [], [], max(0.0, left_s))
            more = os.read(process.stderr.fileno(), 64 << 10) if readable else b""
            if not more:
                self.kill()
                pytest.fail(f"the server is not ready after {time.monotonic() - begin_s:.1f} s; it said: {said}")
            said += more.decode()
        self.port = int(ready[1])
        return time.monotonic() - begin_s

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def stop(self) -> tuple[int, str]:
        """SIGTERM; the exit code, and what it said on standard error since it was ready."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=STOP_TIMEOUT_S)
        code = self.process.returncode
        self.process = None
        return code, said
