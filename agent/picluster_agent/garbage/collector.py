"""Looks for garbage now and then, and removes it: containers every minute, images every five.

Nothing is written down. Podman refuses to remove what is in use, which is the last word.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from picluster.api.types import Object
from picluster.client import EventRecorder
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks
from picluster_agent import amounts
from picluster_agent.config import Config
from picluster_agent.garbage import containers, images
from picluster_agent.garbage.images import Known
from picluster_agent.podman.client import Podman, PodmanError, PodmanUnavailable
from picluster_agent.stats.disks import space
from picluster_agent.sync.actual import Actual

log = logging.getLogger(__name__)

CONTAINERS_S = 60.0
IMAGES_EACH = 5
"""Images are looked at every so many looks at containers."""


class Collector:
    """``storage`` is where Podman keeps images; ``living`` tells the uids of pods that are not over."""

    def __init__(
        self,
        config: Config,
        podman: Podman,
        actual: Actual,
        recorder: EventRecorder,
        node: Object,
        clock: Clock,
        living: Callable[[], Iterable[str]],
        storage: Path,
    ) -> None:
        self._config = config
        self._podman = podman
        self._actual = actual
        self._recorder = recorder
        self._node = node
        self._clock = clock
        self._living = living
        self._storage = storage
        self._known: Mapping[str, Known] = {}
        self._started_s = clock.now()
        self._failed_before = False
        self._tasks = Tasks("garbage")

    def start(self) -> None:
        self._tasks.spawn(self._run(), "collect")

    async def close(self) -> None:
        await self._tasks.close()

    async def reclaim(self, *, dead: bool, unused: bool) -> None:
        """The disk is short: remove all that may go, whatever its age."""
        try:
            if dead:
                await self._remove_dead(each_max=0, all_max=0, ttl_s=0.0)
            if unused:
                await self._detect(first=False)
                await self._remove(images.removable(self._known.values(), self._clock.now(), 0.0))
        except (PodmanError, PodmanUnavailable) as error:
            log.warning("cannot remove what is not used: %s", error)

    async def _run(self) -> None:
        look = 0
        await self._actual.listed.wait()
        while True:
            await self._look_at_containers()
            if look % IMAGES_EACH == 0:
                await self._look_at_images(first=look == 0)
            look += 1
            await self._clock.sleep(CONTAINERS_S)

    async def _look_at_containers(self) -> None:
        config = self._config
        try:
            await self._remove_dead(
                each_max=config.maximum_dead_containers_per_container,
                all_max=config.maximum_dead_containers,
                ttl_s=amounts.duration_s(config.minimum_container_ttl),
            )
        except (PodmanError, PodmanUnavailable) as error:
            log.warning("cannot remove dead containers: %s", error)
            self._recorder.event(self._node, "Warning", "ContainerGCFailed", str(error))

    async def _remove_dead(self, *, each_max: int, all_max: int, ttl_s: float) -> None:
        living = set(self._living())
        found = [
            one
            for uid in self._actual.uids()
            for one in containers.dead(uid, self._actual.of(uid), over=uid not in living)
        ]
        now_s = self._clock.now()
        for one in containers.surplus(found, each_max=each_max, all_max=all_max, ttl_s=ttl_s, now_s=now_s):
            await self._podman.remove(one.id)
            self._actual.forget(one.uid, one.id)

    async def _look_at_images(self, *, first: bool) -> None:
        try:
            await self._detect(first=first)
            await self._by_age()
            problem = await self._by_space()
        except (PodmanError, PodmanUnavailable) as error:
            problem = str(error)
        if problem:
            log.warning("images: %s", problem)
            if self._failed_before:
                self._recorder.event(self._node, "Warning", "ImageGCFailed", problem)
        self._failed_before = bool(problem)

    async def _detect(self, *, first: bool) -> None:
        used = frozenset(one.image_id for uid in self._actual.uids() for one in self._actual.of(uid))
        listed = await self._podman.images()
        self._known = images.detect(listed, used, self._known, self._clock.now(), first=first)

    async def _by_age(self) -> None:
        maximum_s = amounts.duration_s(self._config.image_gc_maximum_age)
        await self._remove(images.too_old(self._known.values(), self._clock.now(), maximum_s, self._started_s))

    async def _by_space(self) -> str:
        """Remove images until there is room enough; what is wrong when there is not."""
        config, disk = self._config, space(self._storage)
        if disk is None:
            return ""
        if disk.capacity_bytes <= 0:
            problem = f"invalid capacity {disk.capacity_bytes} on image filesystem"
            self._recorder.event(self._node, "Warning", "InvalidDiskCapacity", problem)
            return problem
        wanted = images.to_free_bytes(
            disk.capacity_bytes, disk.available_bytes, config.image_gc_high_threshold, config.image_gc_low_threshold
        )
        if not wanted:
            return ""
        log.info("images: %d bytes must go", wanted)
        minimum_s = amounts.duration_s(config.image_gc_minimum_age)
        freed = await self._remove(images.removable(self._known.values(), self._clock.now(), minimum_s), wanted)
        if freed >= wanted:
            return ""
        problem = images.insufficient(disk.capacity_bytes, disk.available_bytes, freed)
        self._recorder.event(self._node, "Warning", "FreeDiskSpaceFailed", problem)
        return problem

    async def _remove(self, chosen: Iterable[Known], wanted_bytes: int | None = None) -> int:
        """Bytes that went, of all ``chosen`` or until it is enough."""
        freed = 0
        for one in chosen:
            if wanted_bytes is not None and freed >= wanted_bytes:
                break
            if await self._podman.remove_image(one.id):
                freed += one.size_bytes
                self._known = {key: known for key, known in self._known.items() if key != one.id}
                log.info("image %s removed: %d bytes, unused", one.id[:12], one.size_bytes)
        return freed
