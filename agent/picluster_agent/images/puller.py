"""Pulls: few at one time, one for all who want the same with the same credentials, none that hangs for ever.

A board's card is the narrow place, so pulls beyond the first few only slow each other down; those wait in line. A pull
ends when nobody waits for it any more, and when nothing has moved for as long as the deadline says. What has come is
put on the card layer by layer, of which Podman tells nothing: for that there is a longer deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from picluster.util.clock import Clock
from picluster_agent.images.credentials import Credential
from picluster_agent.images.errors import PullError
from picluster_agent.images.progress import Progress
from picluster_agent.podman.client import Podman, PodmanError

STORE_DEADLINE_S = 1800.0

Told = Callable[[float, Progress], None]
"""Called seldom, with the seconds since the pull began and how far it is."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A pull that went well: which of the credentials was good (``None`` for none), and how long it took."""

    index: int | None
    took_s: float


class PullsFailed(Exception):
    """Every try failed, one for each credential."""

    def __init__(self, errors: list[PullError]) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(slots=True)
class _Shared:
    task: asyncio.Future[Pulled]
    listeners: list[Told]


class Puller:
    """``parallel_max`` pulls at one time; ``deadline_s`` without progress ends one."""

    def __init__(self, podman: Podman, clock: Clock, *, parallel_max: int, deadline_s: float) -> None:
        self._podman = podman
        self._clock = clock
        self._deadline_s = deadline_s
        self._free = asyncio.Semaphore(parallel_max)
        self._shared: dict[tuple[str, ...], _Shared] = {}

    async def pull(self, name: str, credentials: Sequence[Credential], told: Told) -> Pulled:
        """Try each credential, or none where there is none; raises ``PullsFailed`` or ``PodmanUnavailable``."""
        key = (name, *(one.digest for one in credentials))
        shared = self._shared.get(key)
        if shared is None or shared.task.done():
            listeners: list[Told] = []
            task = asyncio.ensure_future(self._pull(name, credentials, listeners))
            shared = self._shared[key] = _Shared(task, listeners)
        shared.listeners.append(told)
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.listeners.remove(told)
            if not shared.listeners:
                shared.task.cancel()
                if self._shared.get(key) is shared:
                    del self._shared[key]

    async def _pull(self, name: str, credentials: Sequence[Credential], listeners: list[Told]) -> Pulled:
        async with self._free:
            began_s = self._clock.monotonic()
            tries: list[tuple[int | None, str]] = [(index, one.header) for index, one in enumerate(credentials)]
            errors = []
            for index, header in tries or [(None, "")]:
                try:
                    await self._try(name, header, listeners)
                except PullError as error:
                    errors.append(error)
                else:
                    return Pulled(index, self._clock.monotonic() - began_s)
        raise PullsFailed(errors)

    async def _try(self, name: str, header: str, listeners: list[Told]) -> None:
        began_s = self._clock.monotonic()
        progress = Progress(moved_s=began_s)
        reader = asyncio.ensure_future(self._read(name, header, progress))
        try:
            while not reader.done():
                deadline_s = max(STORE_DEADLINE_S, self._deadline_s) if progress.is_storing else self._deadline_s
                now_s = self._clock.monotonic()
                if now_s >= progress.moved_s + deadline_s:
                    raise PullError(f"no progress for {deadline_s:g}s, latest progress: {progress}")
                if progress.due(now_s - began_s):
                    for told in tuple(listeners):
                        told(now_s - began_s, progress)
                until_s = min(progress.moved_s + deadline_s, began_s + progress.said_s)
                await asyncio.wait((reader,), timeout=max(until_s - now_s, 0.01))
            reader.result()
        except PodmanError as error:
            raise PullError(error.message) from error
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self, name: str, header: str, progress: Progress) -> None:
        async for line in self._podman.pull(name, header):
            progress.take(line, self._clock.monotonic())
