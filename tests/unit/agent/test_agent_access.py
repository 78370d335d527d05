"""Which subresource of a node a path is, whose a certificate is, and what else needs no server to be shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiohttp import WSMessage, WSMsgType

from picluster_agent.config import Config, Serving
from picluster_agent.endpoint import debugging
from picluster_agent.endpoint.access import Caller, certified, subresources
from picluster_agent.endpoint.channels.websocket import decode
from picluster_agent.podman.command import exit_code_unstarted, on_terminal


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/stats/summary", ("stats",)),
        ("/metrics", ("metrics",)),
        ("/metrics/cadvisor", ("metrics",)),
        ("/metricsx", ("proxy",)),
        ("/logs/syslog", ("log",)),
        ("/pods", ("pods", "proxy")),
        ("/runningpods/", ("pods", "proxy")),
        ("/healthz/ping", ("healthz", "proxy")),
        ("/configz", ("configz", "proxy")),
        ("/containerLogs/a/b/c", ("proxy",)),
        ("/exec/a/b/c", ("proxy",)),
        ("//pods", ("pods", "proxy")),
        ("/", ("proxy",)),
    ],
)
def test_subresources(path: str, expected: tuple[str, ...]) -> None:
    assert subresources(path) == expected


def test_certificates() -> None:
    subject = ((("organizationName", "system:masters"),), (("commonName", "admin"),))
    caller = certified({"subject": subject})
    assert caller == Caller("admin", groups=("system:masters", "system:authenticated")) and caller.trusted
    other = certified({"subject": ((("commonName", "kube-apiserver-kubelet-client"),),)})
    assert other is not None and other.trusted
    assert not Caller("mallory", groups=("system:authenticated",)).trusted
    assert certified(None) is None and certified({"subject": ()}) is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ('exec failed: unable to start container process: exec: "x": executable file not found in $PATH', 127),
        ("executable file `x` not found in $PATH: No such file or directory", 127),
        ('exec failed: unable to start container process: exec: "/": permission denied', 126),
        ("open executable: Permission denied", 126),
        ("cannot exec in a stopped container", None),
    ],
)
def test_commands_that_do_not_start(error: str, code: int | None) -> None:
    assert exit_code_unstarted(error) == code


def test_a_process_on_a_terminal_keeps_what_the_container_has() -> None:
    kept = {"user": {"uid": 1000, "additionalGids": [7]}, "cwd": "/w"}
    own = {**kept, "args": ["sleep"], "env": ["A=1", "TERM=dumb"], "consoleSize": {"width": 1}, "terminal": False}
    made = {**kept, "args": ["sh", "-i"], "env": ["A=1", "TERM=xterm"], "terminal": True}
    assert on_terminal({"process": own}, ["sh", "-i"], None) == made
    size = {"consoleSize": {"width": 80, "height": 24}}
    assert on_terminal({"process": own}, ["sh", "-i"], (80, 24)) == {**made, **size}


@pytest.mark.parametrize(
    ("message", "text", "expected"),
    [
        (WSMessage(WSMsgType.BINARY, b"\x00abc", None), False, (0, b"abc")),
        (WSMessage(WSMsgType.BINARY, b"\xff\x00", None), False, (255, b"\x00")),
        (WSMessage(WSMsgType.BINARY, b"", None), False, None),
        (WSMessage(WSMsgType.TEXT, "0YWJj", None), False, None),
        (WSMessage(WSMsgType.TEXT, "0YWJj", None), True, (0, b"abc")),
        (WSMessage(WSMsgType.TEXT, "0?", None), True, None),
        (WSMessage(WSMsgType.TEXT, "xYWJj", None), True, None),
    ],
)
def test_messages(message: WSMessage, text: bool, expected: tuple[int, bytes] | None) -> None:
    assert decode(message, text=text) == expected


def test_settings_are_shown_without_the_places_of_secrets() -> None:
    serving = Serving(Path("/c"), Path("/k"), Path("/ca"))
    shown = debugging.settings(Config("pi-1", "10.0.0.1", Path("/secret.kubeconfig"), serving))
    assert shown["nodeName"] == "pi-1" and shown["containerLogMaxFiles"] == 5
    assert "/secret" not in json.dumps(shown) and "/k" not in json.dumps(shown).replace("/kubelet", "")


def test_files_are_shown_below_the_logs_only(tmp_path: Path) -> None:
    root = tmp_path / "log"
    (root / "apt").mkdir(parents=True)
    (root / "syslog").write_text("x")
    (tmp_path / "secret").write_text("x")
    (root / "link").symlink_to(tmp_path / "secret")
    assert debugging.below(root, "syslog") == root / "syslog"
    assert debugging.listing(root) is not None and "apt/" in (debugging.listing(root) or ())
    assert debugging.listing(root / "syslog") is None
    for outside in ("../secret", "link", "none", "a\0b", "/etc/passwd"):
        assert debugging.below(root, outside) is None
