"""Whether Podman's service answers, asked every few seconds; and a hung one is restarted, seldom.

A call that hangs is no evidence, because a busy board takes its time; a ping does no work, so one that is not answered
is. A service that hangs keeps every caller waiting for as long as that caller would; systemd starts it afresh, and
containers do not notice. Without systemd it is only told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from picluster.util.clock import Clock

log = logging.getLogger(__name__)

PING_S = 3.0
AGAIN_S = 0.5
"""Between pings while none is answered."""
ANSWER_S = 2.0
MISSED_MAX = 2
"""So many pings in a row without an answer mean that it is down; a refused connection counts alike."""
RESTART_AFTER_S = 20.0
RESTART_PAUSE_S = 120.0
RESTART_PAUSE_MAX_S = 1800.0
RESTART_TAKES_MAX_S = 60.0
SERVICE = "podman.service"
SYSTEM_SOCKET = Path("/run/podman/podman.sock")
BOOTED = Path("/run/systemd/system")
"""There when systemd runs this machine (``sd_booted(3)``)."""


@dataclass(frozen=True, slots=True)
class Health:
    """What the pings so far say. ``down_s`` is since when (monotonic), ``next_restart_s`` the first moment for one."""

    missed: int = 0
    down_s: float | None = None
    next_restart_s: float = 0.0
    pause_s: float = RESTART_PAUSE_S

    @property
    def down(self) -> bool:
        return self.down_s is not None


def judged(health: Health, answered: bool, now_s: float) -> Health:
    """``health`` after one more ping. PURE."""
    if answered:
        return Health()
    missed = health.missed + 1
    if health.down or missed < MISSED_MAX:
        return replace(health, missed=missed)
    return replace(health, missed=missed, down_s=now_s, next_restart_s=now_s + RESTART_AFTER_S)


def restarted(health: Health, now_s: float) -> Health:
    """``health`` after a restart of the service: the next one is further away each time. PURE."""
    pause_s = min(health.pause_s * 2, RESTART_PAUSE_MAX_S)
    return replace(health, next_restart_s=now_s + health.pause_s, pause_s=pause_s)


class Watch:
    """``on_change`` is told when Podman goes down or comes back."""

    def __init__(self, socket: Path, clock: Clock, on_change: Callable[[], None]) -> None:
        self._socket = socket
        self._clock = clock
        self._on_change = on_change
        self.health = Health()

    @property
    def trouble(self) -> str:
        """What is wrong, empty when nothing is."""
        return f"podman does not answer on {self._socket}" if self.health.down else ""

    async def run(self) -> None:
        while True:
            was_down = self.health.down
            self.health = judged(self.health, await self._answers(), self._clock.monotonic())
            if self.health.down != was_down:
                log.warning("podman %s", "does not answer" if self.health.down else "answers again")
                self._on_change()
            if self.health.down and self._clock.monotonic() >= self.health.next_restart_s and self._may_restart():
                await self._restart()
                self.health = restarted(self.health, self._clock.monotonic())
            await self._clock.sleep(AGAIN_S if self.health.missed else PING_S)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await _ping(self._socket)
        except (OSError, TimeoutError):
            return False

    def _may_restart(self) -> bool:
        return BOOTED.is_dir() and self._socket == SYSTEM_SOCKET

    async def _restart(self) -> None:
        log.warning("restarting %s", SERVICE)
        try:
            process = await asyncio.create_subprocess_exec(
                "systemctl", "restart", SERVICE, stdin=asyncio.subprocess.DEVNULL
            )
        except OSError as error:
            log.warning("systemctl cannot be run: %s", error)
            return
        try:
            async with asyncio.timeout(RESTART_TAKES_MAX_S):
                await process.wait()
        except TimeoutError:
            log.warning("systemctl restart %s takes longer than %.0f s", SERVICE, RESTART_TAKES_MAX_S)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _ping(path: Path) -> bool:
    """On a connection of its own: those of the pool may all be busy with what takes its time."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(b"GET /_ping HTTP/1.0\r\nHost: podman\r\n\r\n")
        await writer.drain()
        return b" 200 " in await reader.readline()
    finally:
        writer.close()
