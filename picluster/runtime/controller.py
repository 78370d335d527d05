"""One controller: which keys need work, and the work on one key.

``reconcile`` gets a name and reads the world; it may run twice, late, or after a crash. What it raises is logged and
the key comes back after a growing delay; a Conflict is an ordinary way of saying "read again".
"""

from __future__ import annotations

import abc
import logging
from typing import TYPE_CHECKING, ClassVar

from picluster.api.errors import ApiError
from picluster.api.meta import key_of
from picluster.api.types import Object
from picluster.client import Client, EventRecorder, TransportError
from picluster.runtime.workqueue import QueueClosed, WorkQueue
from picluster.util.clock import Clock

if TYPE_CHECKING:
    from picluster.runtime.manager import Manager

log = logging.getLogger(__name__)


class Requeue(Exception):
    """The world is not what the caches say; the key is to be looked at again a little later."""


class Controller(abc.ABC):
    """``attach`` has run before ``setup``: ``client``, ``clock``, ``queue`` and ``recorder`` are there to use."""

    name: ClassVar[str]
    """As ``kubectl describe`` shows the source of its events: ``replicaset-controller``."""
    workers: ClassVar[int] = 4
    retry_max_s: ClassVar[float] = 60.0

    client: Client
    clock: Clock
    queue: WorkQueue[str]
    recorder: EventRecorder

    def attach(self, manager: Manager) -> None:
        """Called by the manager once, before ``setup``."""
        self.client = manager.client
        self.clock = manager.clock
        self.queue = WorkQueue(manager.clock, retry_max_s=self.retry_max_s)
        self.recorder = EventRecorder(manager.client, self.name, host="")

    @abc.abstractmethod
    def setup(self, manager: Manager) -> None:
        """Ask the manager for informers and hang handlers on them that add keys."""

    @abc.abstractmethod
    async def reconcile(self, key: str) -> float | None:
        """Bring what ``key`` names to what it should be. Returns in how many seconds to look again, if at all."""

    async def background(self) -> None:
        """What runs beside the workers once the caches are filled, until cancelled; nothing by default."""
        return

    def enqueue(self, old: Object | None, new: Object | None) -> None:
        """An informer's handler for objects whose own key is the work."""
        obj = new if new is not None else old
        if obj is not None:
            self.queue.add(key_of(obj))

    async def work(self) -> None:
        """One worker: take keys until the queue closes."""
        while True:
            try:
                key = await self.queue.get()
            except QueueClosed:
                return
            try:
                again_s = await self.reconcile(key)
            except (ApiError, TransportError, Requeue) as error:
                self._retry(key, error)
            except Exception:  # a mistake in one object's handling must not stop the others'
                log.exception("%s: %s failed", self.name, key)
                self.queue.add_rate_limited(key)
            else:
                self.queue.forget(key)
                if again_s is not None:
                    self.queue.add_after(key, again_s)
            finally:
                self.queue.done(key)

    def _retry(self, key: str, error: ApiError | TransportError | Requeue) -> None:
        usual = isinstance(error, Requeue) or (isinstance(error, ApiError) and error.code in (404, 409))
        level = logging.DEBUG if usual and self.queue.failures(key) < 5 else logging.WARNING
        log.log(level, "%s: %s will be tried again: %s", self.name, key, error)
        self.queue.add_rate_limited(key)
