"""systemd-logind: a lock that a shutdown waits for, and the word that one begins.

Source: https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.login1.html. logind grants five seconds
unless its configuration says more, so the agent writes that itself, as the kubelet does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path
from typing import Any

from picluster_agent.shutdown.dbus import BUS, BUS_PATH, MEMBER, SENDER, SIGNAL, Bus, DBusError, Message

log = logging.getLogger(__name__)

NAME, PLACE, MANAGER = "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"
SYSTEMD, SYSTEMD_PLACE = "org.freedesktop.systemd1", "/org/freedesktop/systemd1"
SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket"
OWNER_CHANGED = "NameOwnerChanged"
MATCHES = (
    f"type='signal',sender='{BUS}',interface='{BUS}',member='{OWNER_CHANGED}',arg0='{NAME}'",
    f"type='signal',sender='{NAME}',interface='{MANAGER}',member='PrepareForShutdown',path='{PLACE}'",
)
OVERRIDE = Path("/etc/systemd/logind.conf.d/99-picluster-agent.conf")
SETTLE_S, SETTLE_TRIES = 0.2, 10
WHO, WHY = "picluster-agent", "pods end before the board goes off"


class Logind:
    """Use as an asynchronous context manager; raises ``DBusError`` or ``OSError``."""

    def __init__(self) -> None:
        self._bus = Bus(self._heard)
        self._lock: int | None = None
        self._owner = ""
        self._said: asyncio.Queue[bool] = asyncio.Queue(maxsize=16)

    async def __aenter__(self) -> Logind:
        await self._bus.connect(os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or SYSTEM_BUS)
        try:
            for match in MATCHES:
                await self._bus.call(BUS, BUS_PATH, BUS, "AddMatch", "s", match)
            await self.preparing()  # starts it, where it is started by being asked
            self._owner = str((await self._bus.call(BUS, BUS_PATH, BUS, "GetNameOwner", "s", NAME)).body[0])
        except BaseException:
            self._bus.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()
        self._bus.close()

    async def hold(self) -> None:
        """Let shutdowns wait for ``release``."""
        if self._lock is None:
            values = ("shutdown", WHO, WHY, "delay")
            answer = await self._bus.call(NAME, PLACE, MANAGER, "Inhibit", "ssss", *values)
            if len(answer.fds) != 1:
                raise DBusError("logind gave no lock")
            self._lock = answer.fds[0]

    def release(self) -> None:
        """Shutdowns need not wait any more; safe without ``hold``."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def delay_max_s(self) -> float:
        """How long logind lets a shutdown wait."""
        return float(await self._property("InhibitDelayMaxUSec")) / 1e6

    async def preparing(self) -> bool:
        """Whether a shutdown has begun."""
        return bool(await self._property("PreparingForShutdown"))

    async def _property(self, name: str) -> Any:
        properties = "org.freedesktop.DBus.Properties"
        return (await self._bus.call(NAME, PLACE, properties, "Get", "ss", MANAGER, name)).body[0]

    async def allow(self, period_s: float) -> float:
        """Have logind wait at least so long; how long it waits then."""
        granted_s = await self.delay_max_s()
        if granted_s >= period_s:
            return granted_s
        await asyncio.to_thread(_override, period_s)
        values = ("systemd-logind.service", "all", int(signal.SIGHUP))
        await self._bus.call(SYSTEMD, SYSTEMD_PLACE, f"{SYSTEMD}.Manager", "KillUnit", "ssi", *values)
        for _ in range(SETTLE_TRIES):
            await asyncio.sleep(SETTLE_S)
            if (granted_s := await self.delay_max_s()) >= period_s:
                break
        return granted_s

    async def next(self) -> bool:
        """Wait: true when a shutdown begins, false when it was called off. Raises ``DBusError`` when logind is lost."""
        said = asyncio.ensure_future(self._said.get())
        closed = asyncio.ensure_future(self._bus.closed.wait())
        try:
            await asyncio.wait((said, closed), return_when=asyncio.FIRST_COMPLETED)
            if said.done():
                return said.result()
            raise DBusError("the connection to the bus is closed")
        finally:
            said.cancel()
            closed.cancel()

    def _heard(self, message: Message) -> None:
        """Anybody may send a signal to this connection, so it counts whose it is."""
        sender, member = message.fields.get(SENDER), message.fields.get(MEMBER)
        if message.kind != SIGNAL or not message.body:
            return
        if sender == BUS and member == OWNER_CHANGED and message.body[0] == NAME:
            self._bus.close()  # another logind: everything is asked anew
        elif sender == self._owner and member == "PrepareForShutdown" and not self._said.full():
            self._said.put_nowait(bool(message.body[0]))


def _override(period_s: float) -> None:
    OVERRIDE.parent.mkdir(parents=True, exist_ok=True)
    OVERRIDE.write_text(f"# Written by picluster-agent.\n[Login]\nInhibitDelayMaxSec={period_s:.0f}\n")
