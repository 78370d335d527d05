"""What the agent asks of systemd-logind, on a message bus of the tests' own: ``python fake_logind.py``.

A line on standard input is sent as ``PrepareForShutdown`` (``true``, ``false``); on standard output it says ``ready``,
``held`` when somebody took a lock, and ``released`` when that was closed, by whatever way.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys

from picluster_agent.shutdown import dbus
from picluster_agent.shutdown.dbus import BUS, BUS_PATH, INTERFACE, MEMBER, PATH, REPLY_SERIAL, SENDER, Bus, Message
from picluster_agent.shutdown.logind import MANAGER, NAME, PLACE


class FakeLogind:
    def __init__(self) -> None:
        self.bus = Bus(self.heard)
        self.properties = {"InhibitDelayMaxUSec": ("t", 60_000_000), "PreparingForShutdown": ("b", False)}

    async def run(self) -> None:
        await self.bus.connect(os.environ["DBUS_SYSTEM_BUS_ADDRESS"])
        await self.bus.call(BUS, BUS_PATH, BUS, "RequestName", "su", NAME, 0)
        say("ready")
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            begins = line.strip() == "true"
            self.properties["PreparingForShutdown"] = ("b", begins)
            fields = {PATH: PLACE, INTERFACE: MANAGER, MEMBER: "PrepareForShutdown"}
            await self.bus.send(Message(dbus.SIGNAL, 1, fields, (begins,)), "b")

    def heard(self, message: Message) -> None:
        if message.kind != dbus.CALL or message.fields[PATH] != PLACE:
            return
        head = {REPLY_SERIAL: message.serial, dbus.DESTINATION: message.fields[SENDER]}
        if message.fields[MEMBER] == "Inhibit":
            assert message.body[0] == "shutdown"
            assert message.body[3] == "delay"
            self.give(head)
        else:
            shown = self.properties[message.body[1]]
            self.write(dbus.encode(Message(dbus.RETURN, 2, head, (shown,)), "v"))

    def give(self, head: dict[int, object]) -> None:
        """A lock is one end of a pipe: it is released when nobody has it open."""
        mine, theirs = os.pipe()
        reply = Message(dbus.RETURN, 3, {**head, dbus.UNIX_FDS: 1}, (0,))
        self.write(dbus.encode(reply, "h"), [theirs])
        os.close(theirs)
        say("held")
        asyncio.get_running_loop().add_reader(mine, self.released, mine)

    def released(self, fd: int) -> None:
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
        say("released")

    def write(self, data: bytes, fds: list[int] | None = None) -> None:
        connection = self.bus._socket
        assert connection is not None
        socket.send_fds(connection, [data], fds or [])


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(FakeLogind().run())
