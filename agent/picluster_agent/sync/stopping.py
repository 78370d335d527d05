"""Doing what the plan says about the end of containers: preStop handlers, signals, kills. It decides nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from picluster.util.tasks import Tasks
from picluster_agent.probes.checks import Subject
from picluster_agent.sync import lifecycle, spec
from picluster_agent.sync.context import PodContext, Runtime
from picluster_agent.sync.model import Seen, Stop, Stopping, latest

log = logging.getLogger(__name__)

KILL = "SIGKILL"


class Stopper:
    """One pod's containers that were told to stop; ``wake`` is called when a preStop handler is through."""

    def __init__(self, runtime: Runtime, context: PodContext, wake: Callable[[], None]) -> None:
        self.stopping: dict[str, Stopping] = {}
        self.replacing: set[str] = set()
        self._runtime = runtime
        self._context = context
        self._wake = wake
        self._hooks: dict[str, asyncio.Task[None]] = {}
        self._tasks = Tasks(f"stops of {context.uid}")

    async def close(self) -> None:
        await self._tasks.close()

    def look(self, seen: tuple[Seen, ...]) -> None:
        """Forget those that have ended, and those that another has replaced."""
        alive = {one.id for one in seen if one.running}
        for gone in [key for key in self.stopping if key not in alive]:
            del self.stopping[gone]
            self._cancel_hook(gone)
        newest = {last.id for name in {one.name for one in seen} if (last := latest(seen, name))}
        self.replacing &= newest

    def stop(self, stop: Stop, now_s: float) -> None:
        """Begin to stop a container, or shorten a grace that runs."""
        deadline_s = now_s + stop.grace_s
        if told := self.stopping.get(stop.id):
            self.stopping[stop.id] = replace(told, deadline_s=deadline_s)
            return
        if stop.message:
            self._context.event(self._runtime, "Normal", "Killing", stop.message, stop.name)
        if stop.replace:
            self.replacing.add(stop.id)
        definition = spec.container(self._context.pod, stop.name) or {}
        handler = (definition.get("lifecycle") or {}).get("preStop")
        runs = bool(handler) and stop.hook and stop.grace_s > 0
        self.stopping[stop.id] = Stopping(deadline_s, hooked=not runs)
        if runs:
            subject = Subject(stop.id, definition, self._context.pod_ip)
            self._hooks[stop.id] = self._tasks.spawn(self._hook(stop, subject), f"preStop {stop.name}")

    async def signal(self, container_id: str, seen: Iterable[Seen], now_s: float) -> None:
        """Send its stop signal; a handler that still runs has had its time."""
        self._cancel_hook(container_id)
        signal = next((one.stop_signal for one in seen if one.id == container_id), "SIGTERM")
        await self._runtime.podman.kill(container_id, signal)
        told = self.stopping.get(container_id, Stopping(now_s))
        self.stopping[container_id] = replace(told, hooked=True, signalled_s=now_s)
        self._runtime.actual.hint()

    async def kill(self, container_id: str, now_s: float) -> None:
        await self._runtime.podman.kill(container_id, KILL)
        told = self.stopping.get(container_id, Stopping(now_s))
        self.stopping[container_id] = replace(told, hooked=True, signalled_s=told.signalled_s or now_s, killed_s=now_s)
        self._runtime.actual.hint()

    async def _hook(self, stop: Stop, subject: Subject) -> None:
        handler = subject.container["lifecycle"]["preStop"]
        if await lifecycle.run(self._runtime, subject, handler):
            self._context.event(self._runtime, "Warning", "FailedPreStopHook", "PreStopHook failed", stop.name)
        if stop.id in self.stopping:
            self.stopping[stop.id] = replace(self.stopping[stop.id], hooked=True)
            self._wake()

    def _cancel_hook(self, container_id: str) -> None:
        hook = self._hooks.pop(container_id, None)
        if hook is not None:
            hook.cancel()
