"""Evidence of life from real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from picluster.controllers.node_lifecycle import evidence
from picluster.controllers.node_lifecycle.restart import AgentRestarter
from picluster.power.outlet import OutletState, load
from picluster.util.clock import VirtualClock

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def saying(greeting: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()
        writer.close()

    return handler


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[int]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def frozen() -> AsyncIterator[int]:
    """The kernel accepts, the program never does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        yield listener.getsockname()[1]


@asynccontextmanager
async def closed() -> AsyncIterator[int]:
    with socket.socket() as once:
        once.bind(("127.0.0.1", 0))
        port = once.getsockname()[1]
    yield port


PORTS: dict[str, Any] = {
    "an SSH server": lambda: serving(saying(b"SSH-2.0-OpenSSH_9.2\r\n")),
    "something else": lambda: serving(saying(b"220 mail\r\n")),
    "a frozen board": frozen,
    "a closed port": closed,
}


@pytest.mark.parametrize(
    ("port", "ssh", "agent"),
    [
        ("an SSH server", True, True),  # whatever is no TLS is an answer all the same
        ("something else", False, True),
        ("a frozen board", False, False),
        ("a closed port", False, False),
    ],
)
async def test_ports(port: str, ssh: bool, agent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async with PORTS[port]() as number:
        monkeypatch.setattr(evidence, "SSH_PORT", number)
        found = await evidence.gather("127.0.0.1", number, None, 1.6)
    assert (found.outlet, found.ssh_answers, found.agent_answers) == (None, ssh, agent)


async def test_an_outlet_that_reads_off_is_enough(tmp_path: Path) -> None:
    config = {
        "driver": "command",
        "on_command": ["true"],
        "off_command": ["true"],
        "status_command": ["echo", "off"],
        "on_when": "^on",
    }
    found = await evidence.gather("127.0.0.1", 1, load(config), 1.6)
    assert found.outlet is OutletState.OFF


async def test_the_agent_is_restarted_over_ssh_and_not_too_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n[ "$4" = pi-1 ] || {{ echo no route; exit 255; }}\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    clock = VirtualClock()
    restarter = AgentRestarter(tmp_path / "config", clock)
    assert restarter.is_due("pi-1")
    assert await restarter.restart("pi-1") == "restarted it over SSH"
    assert asked.read_text() == f"-F {tmp_path / 'config'} -oBatchMode=yes pi-1\n"
    assert not restarter.is_due("pi-1")
    assert restarter.is_due("pi-2")
    assert await restarter.restart("pi-2") == "restarting it over SSH failed: no route"
    await clock.advance(31.0)
    assert restarter.is_due("pi-1")


async def test_without_ssh_nothing_is_restarted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not AgentRestarter(None, VirtualClock()).is_due("pi-1")
    monkeypatch.setenv("PATH", str(tmp_path))
    said = await AgentRestarter(tmp_path / "config", VirtualClock()).restart("pi-1")
    assert said == "restarting it over SSH is not possible: ssh: No such file or directory"
