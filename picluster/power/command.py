"""Outlets with commands: a relay board, ``uhubctl``, a managed switch that powers boards over Ethernet.

https://github.com/mvp/uhubctl, for example; ``on_when`` is searched in what ``status_command`` prints::

    picluster_outlet:
      driver: command
      on_command: [uhubctl, -l, 1-1, -p, "2", -a, "on"]
      off_command: [uhubctl, -l, 1-1, -p, "2", -a, "off"]
      status_command: [uhubctl, -l, 1-1, -p, "2"]
      on_when: 'Port 2: \\d+ power'
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from picluster.power._match import Words, words
from picluster.power.outlet import OutletError, OutletState, Settings

COMMAND_TIMEOUT_S = 10.0
SAID_CHARS_MAX = 200
KNOWN = ("on_command", "off_command", "status_command", "on_when", "off_when")


@dataclass(frozen=True, slots=True)
class CommandOutlet:
    on_command: tuple[str, ...]
    off_command: tuple[str, ...]
    status_command: tuple[str, ...]
    words: Words

    @property
    def label(self) -> str:
        return f"outlet of {self.on_command[0]}"

    @property
    def strip(self) -> str:
        return self.on_command[0]

    async def on(self) -> None:
        await self._run(self.on_command)

    async def off(self) -> None:
        await self._run(self.off_command)

    async def state(self) -> OutletState:
        try:
            return self.words.state(await self._run(self.status_command))
        except OutletError:
            return OutletState.UNKNOWN

    async def _run(self, argv: tuple[str, ...]) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        except OSError as error:
            raise OutletError(f"{self.label}: {argv[0]} cannot be run: {error.strerror}") from None
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                out, _ = await process.communicate()
        except TimeoutError:
            raise OutletError(f"{self.label}: {argv[0]} did not end within {COMMAND_TIMEOUT_S:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        text = out.decode(errors="replace")
        if process.returncode != 0:
            said = text.strip()[-SAID_CHARS_MAX:]
            raise OutletError(f"{self.label}: {argv[0]} failed with {process.returncode}: {said}")
        return text


def load(settings: Settings) -> CommandOutlet:
    outlet = CommandOutlet(
        _argv(settings, "on_command"),
        _argv(settings, "off_command"),
        _argv(settings, "status_command"),
        words(settings),
    )
    settings.end(KNOWN)
    return outlet


def _argv(settings: Settings, key: str) -> tuple[str, ...]:
    value = settings.take(key, list, required=True)
    if not value or not all(isinstance(part, str) for part in value):
        raise OutletError(
            f"{settings.where}: {key} is {value!r}; it must be a list of words, each in quotes if in doubt"
        )
    return tuple(value)
