"""Readiness told to systemd, on a real socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from picluster.server.systemd import notify


@pytest.mark.parametrize("kind", ["file", "abstract"])
def test_systemd_hears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    name = str(tmp_path / "notify") if kind == "file" else f"@picluster-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name if kind == "file" else "\0" + name[1:])
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notify("READY=1")
        assert systemd.recv(100) == b"READY=1"


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
