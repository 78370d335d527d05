"""The containers that are: Podman's list, kept current.

Podman's list is truth; it is read again every few seconds. Its events, and the end of a container's first process (a
pidfd becomes readable), are hints that it is worth reading now. What a worker has just done itself is noted at once,
and a list that was asked for before that moment does not undo it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace

from picluster.api.types import Object
from picluster.util.backoff import Backoff
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks
from picluster.util.timings import Timing
from picluster_agent.podman import translate, users
from picluster_agent.podman.client import Podman, PodmanError, PodmanUnavailable
from picluster_agent.podman.users import LinuxUser
from picluster_agent.sync.model import EXIT_LOST, Seen, State

log = logging.getLogger(__name__)

RELIST_S = 5.0
VANISHED_S = 8.0
"""So long Podman may take to notice that a process has ended."""
SETTLE_S = 0.02
"""Several hints within this time cause one list."""

_STATES = {
    "created": State.CREATED,
    "configured": State.CREATED,
    "initialized": State.CREATED,
    "exited": State.EXITED,
    "stopped": State.EXITED,
    "removing": State.EXITED,
}


def seen_from(listed: Object) -> Seen | None:
    """One entry of Podman's list; ``None`` when its labels are not an agent's."""
    labels = listed.get("Labels") or {}
    try:
        attempt = int(labels[translate.LABEL_ATTEMPT])
        name = labels[translate.LABEL_CONTAINER]
    except (KeyError, ValueError):
        return None
    state = _STATES.get(listed["State"], State.RUNNING)
    ran = state is State.EXITED
    exit_code = int(listed.get("ExitCode") or 0) if ran else 0
    return Seen(
        id=listed["Id"],
        name=name,
        attempt=attempt,
        state=state,
        sandbox=labels.get(translate.LABEL_SANDBOX, ""),
        spec_hash=labels.get(translate.LABEL_HASH, ""),
        exit_code=exit_code,
        started_s=max(float(listed.get("StartedAt") or 0), 0.0) if state is not State.CREATED else 0.0,
        finished_s=max(float(listed.get("ExitedAt") or 0), 0.0) if ran else 0.0,
        image=listed.get("Image", ""),
        image_id=listed.get("ImageID", ""),
        stop_signal=labels.get(translate.LABEL_SIGNAL, "SIGTERM"),
        reason=("Error" if exit_code else "Completed") if ran else "",
    )


class Actual:
    """All containers of picluster on this node, by the uid of their pod."""

    def __init__(self, podman: Podman, clock: Clock) -> None:
        self._podman = podman
        self._clock = clock
        self._pods: dict[str, dict[str, Seen]] = {}
        self._labels: dict[str, Object] = {}
        self._touched: dict[str, float] = {}
        self._ended: dict[str, str] = {}
        self._users: dict[str, LinuxUser | None] = {}
        self._pidfds: dict[str, int] = {}
        self._vanished: dict[str, float] = {}
        """Containers that Podman says run, but that have no process, and since when (monotonic)."""
        self._hint = asyncio.Event()
        self._tasks = Tasks("actual")
        self._on_change: Callable[[str], None] = lambda uid: None
        self.oom_killed: Callable[[str], bool] = lambda container_id: False
        """Whether memory is known to have ended for a container, where Podman does not notice."""
        self.listed = asyncio.Event()
        """Set once Podman has answered for the first time."""
        self.healthy = False
        self.relisted_s = self.looked_s = clock.monotonic()
        """When Podman last listed its containers, and when it was last asked to (monotonic)."""
        self.relists = Timing()
        """How long that takes, and how often it was done."""

    def start(self, on_change: Callable[[str], None]) -> None:
        """Begin to follow Podman; ``on_change(uid)`` is called for every pod whose containers changed."""
        self._on_change = on_change
        self._tasks.spawn(self._relist(), "relist")
        self._tasks.spawn(self._follow_events(), "events")

    async def close(self) -> None:
        await self._tasks.close()
        for container_id in list(self._pidfds):
            self._unwatch(container_id)

    def of(self, uid: str) -> tuple[Seen, ...]:
        return tuple(self._pods.get(uid, {}).values())

    def uids(self) -> Iterable[str]:
        return list(self._pods)

    def labels(self, uid: str) -> Object:
        """Labels of some container of the pod: who it was, when the API server knows it no more."""
        return self._labels.get(uid, {})

    def note(self, uid: str, seen: Seen) -> None:
        """A worker has just created or started this container."""
        self._users[seen.id] = seen.user
        self._pods.setdefault(uid, {})[seen.id] = seen
        self._touched[uid] = self._clock.monotonic()
        self._hint.set()

    def forget(self, uid: str, container_id: str) -> None:
        """A worker has just removed this container."""
        containers = self._pods.get(uid, {})
        containers.pop(container_id, None)
        if not containers:
            self._pods.pop(uid, None)
        self._touched[uid] = self._clock.monotonic()
        self._unwatch(container_id)

    def hint(self) -> None:
        """Something may have changed: list soon."""
        self._hint.set()

    async def refresh(self) -> None:
        """Read Podman's list now; raises ``PodmanError`` or ``PodmanUnavailable``."""
        asked_s = self._clock.monotonic()
        found: dict[str, dict[str, Seen]] = defaultdict(dict)
        for listed in await self._podman.containers(translate.LABEL_UID):
            seen = seen_from(listed)
            if seen is None:
                continue
            uid, pid = listed["Labels"][translate.LABEL_UID], int(listed.get("Pid") or 0)
            seen = self._with_process(seen, pid, asked_s)
            found[uid][seen.id] = self._with_user(await self._with_end(seen), pid)
            self._labels[uid] = listed["Labels"]
        self._apply(found, asked_s)
        self.listed.set()

    def _apply(self, found: dict[str, dict[str, Seen]], asked_s: float) -> None:
        changed = []
        for uid in {*found, *self._pods}:
            if self._touched.get(uid, -1.0) >= asked_s:
                self._hint.set()
                continue
            self._touched.pop(uid, None)
            now, before = found.get(uid, {}), self._pods.get(uid, {})
            if now == before:
                continue
            if now:
                self._pods[uid] = now
            else:
                self._pods.pop(uid, None)
                self._labels.pop(uid, None)
            changed.append(uid)
        alive = {one for containers in self._pods.values() for one in containers}
        for gone in [one for one in self._ended if one not in alive]:
            del self._ended[gone]
        for gone in [one for one in self._users if one not in alive]:
            del self._users[gone]
        for gone in [one for one in self._pidfds if one not in alive]:
            self._unwatch(gone)
        for gone in [one for one in self._vanished if one not in alive]:
            del self._vanished[gone]
        for uid in changed:
            self._on_change(uid)

    def _with_process(self, seen: Seen, pid: int, now_s: float) -> Seen:
        """What runs has a process. Where that is gone for long, its monitor went with it: how it ended is lost."""
        if not seen.running or pid <= 0 or self._watch(seen.id, pid):
            self._vanished.pop(seen.id, None)
            return seen
        if now_s - self._vanished.setdefault(seen.id, now_s) < VANISHED_S:
            return seen
        return replace(seen, state=State.EXITED, exit_code=EXIT_LOST, reason="Unknown", started_s=0.0)

    async def _with_end(self, seen: Seen) -> Seen:
        """Ask once for each container that failed whether memory was the reason; the list does not say."""
        if seen.state is not State.EXITED or not seen.exit_code or seen.id in self._vanished:
            return seen
        if seen.id not in self._ended:
            try:
                state = (await self._podman.inspect(seen.id)).get("State") or {}
            except PodmanError:
                return seen
            self._ended[seen.id] = "OOMKilled" if state.get("OOMKilled") or self.oom_killed(seen.id) else seen.reason
        return replace(seen, reason=self._ended[seen.id])

    def _with_user(self, seen: Seen, pid: int) -> Seen:
        """As whom it was started: noted then, or looked up once by an agent that came later."""
        if seen.running and seen.id not in self._users:
            self._users[seen.id] = users.of_process(pid)
        return replace(seen, user=self._users.get(seen.id))

    async def _relist(self) -> None:
        while True:
            asked_s = self.looked_s = self._clock.monotonic()
            try:
                await self.refresh()
                self.relisted_s = self._clock.monotonic()
                self.relists.observe(self.relisted_s - asked_s)
                if not self.healthy:
                    log.info("podman answers, %d pods have containers here", len(self._pods))
                self.healthy = True
            except (PodmanError, PodmanUnavailable) as error:
                if self.healthy or not self.listed.is_set():
                    log.warning("cannot list containers: %s", error)
                self.healthy = False
            try:
                async with asyncio.timeout(RELIST_S if self.healthy else 1.0):
                    await self._hint.wait()
            except TimeoutError:
                continue
            await self._clock.sleep(SETTLE_S)
            self._hint.clear()

    async def _follow_events(self) -> None:
        backoff = Backoff(0.2, 5.0)
        while True:
            try:
                async for event in self._podman.events():
                    backoff.reset()
                    attributes = (event.get("Actor") or {}).get("Attributes") or {}
                    if translate.LABEL_UID in attributes:
                        self._hint.set()
            except (PodmanError, PodmanUnavailable) as error:
                log.debug("podman's events ended: %s", error)
            await self._clock.sleep(backoff.next_s())

    def _watch(self, container_id: str, pid: int) -> bool:
        """Be told when the process ends; whether there is one."""
        if container_id in self._pidfds:
            return os.path.exists(f"/proc/{pid}")  # noqa: PTH110 (half the time, for each container of each list)
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            return False
        self._pidfds[container_id] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._process_ended, container_id)
        return True

    def _process_ended(self, container_id: str) -> None:
        self._drop_reader(container_id)
        self._hint.set()

    def _drop_reader(self, container_id: str) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfds[container_id])

    def _unwatch(self, container_id: str) -> None:
        if container_id in self._pidfds:
            self._drop_reader(container_id)
            os.close(self._pidfds.pop(container_id))
