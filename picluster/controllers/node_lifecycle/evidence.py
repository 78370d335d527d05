"""Asking the world about a suspect board: its outlet first, then its ports. Everything is bounded by a second.

A connection that is accepted proves little: the kernel of a board whose disk or memory is gone accepts for programs
that will never run again. So SSH must greet, and the agent must say something of a TLS handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl

from picluster.controllers.node_lifecycle.verdict import Evidence
from picluster.power.outlet import Outlet, OutletState, read

OUTLET_TIMEOUT_S = 1.0
PORT_TIMEOUT_S = 0.7
SSH_PORT = 22
SSH_BANNER = b"SSH-"


async def gather(address: str | None, agent_port: int, outlet: Outlet | None, silent_s: float) -> Evidence:
    """What can be found out. When the outlet reads off, nobody is asked further."""
    state = None if outlet is None else await read(outlet, OUTLET_TIMEOUT_S)
    if state is OutletState.OFF or address is None:
        return Evidence(state, ssh_answers=False, agent_answers=False, silent_s=silent_s)
    ssh, agent = await asyncio.gather(_greets(address, SSH_PORT), _shakes_hands(address, agent_port))
    return Evidence(state, ssh_answers=ssh, agent_answers=agent, silent_s=silent_s)


async def _greets(address: str, port: int) -> bool:
    """Whether an SSH server says its version."""
    try:
        async with asyncio.timeout(PORT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                return await reader.read(len(SSH_BANNER)) == SSH_BANNER
            finally:
                await _close(writer)
    except (OSError, TimeoutError):
        return False


async def _shakes_hands(address: str, port: int) -> bool:
    """Whether a TLS server answers, be it to refuse: who it is does not matter here, nothing is told to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(PORT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(address, port, ssl=context)
            await _close(writer)
            return True
    except ssl.SSLError:
        return True
    except (OSError, TimeoutError):
        return False


async def _close(writer: asyncio.StreamWriter) -> None:
    """At once: a peer that stopped answering is not waited for."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
