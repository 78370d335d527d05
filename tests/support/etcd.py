"""A real etcd on loopback, with TLS and client certificates, for the tests that need one."""

from __future__ import annotations

import atexit
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

import pytest

from picluster.pki import etcd as etcd_pki
from picluster.storage.etcdwire import EtcdConfig
from picluster.util.clock import SYSTEM_CLOCK

START_TIMEOUT_S = 20.0


def installed() -> bool:
    return shutil.which("etcd") is not None


@cache
def shared() -> Etcd:
    """One server for all tests of a run; each takes a prefix of its own."""
    if not installed():
        pytest.skip("etcd is not installed: make test-packages as root")
    etcd = Etcd(Path(tempfile.mkdtemp(prefix="picluster-etcd-")))
    atexit.register(shutil.rmtree, etcd.directory, ignore_errors=True)
    atexit.register(etcd.kill)
    etcd.start()
    return etcd


@dataclass
class Etcd:
    """``directory`` keeps data and certificates over restarts."""

    directory: Path
    port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def config(self, prefix: str = "/picluster/") -> EtcdConfig:
        pki = self.directory / "pki"
        return EtcdConfig((f"127.0.0.1:{self.port}",), pki / "ca.crt", pki / "etcd.crt", pki / "etcd.key", prefix)

    def start(self, *flags: str) -> None:
        pki = self.directory / "pki"
        etcd_pki.ensure(pki, [], SYSTEM_CLOCK)
        self.port = self.port or free_port()
        url, peer = f"https://127.0.0.1:{self.port}", f"https://127.0.0.1:{free_port()}"
        tls = [f"--{name}={pki / path}" for name, path in TLS_FILES.items()]
        argv = [
            "etcd", f"--data-dir={self.directory / 'data'}", "--name=one", "--logger=zap", "--log-level=error",
            f"--listen-client-urls={url}", f"--advertise-client-urls={url}", f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=one={peer}",
            "--client-cert-auth", "--peer-client-cert-auth", *tls, *flags,
        ]  # fmt: skip
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log)
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert self._process.poll() is None, (self.directory / "log").read_text()[-2000:]
            assert time.monotonic() < deadline_s, "etcd did not listen in time"
            time.sleep(0.02)

    def kill(self) -> None:
        """As a power cut would; safe when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        pki = self.directory / "pki"
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "etcd.crt", pki / "etcd.key")
        connection = HTTPSConnection("127.0.0.1", self.port, timeout=5, context=context)
        try:
            connection.request("GET", "/health")
            return b'"true"' in connection.getresponse().read()
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


TLS_FILES = {
    "cert-file": "etcd.crt", "key-file": "etcd.key", "trusted-ca-file": "ca.crt",
    "peer-cert-file": "etcd.crt", "peer-key-file": "etcd.key", "peer-trusted-ca-file": "ca.crt",
}  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
