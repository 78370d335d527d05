"""Informers shared by all controllers of a process, filled before the first key is worked on, and ended with them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.client import Client, Informer
from picluster.runtime.controller import Controller
from picluster.util.clock import SYSTEM_CLOCK, Clock
from picluster.util.tasks import Tasks

log = logging.getLogger(__name__)

Selection = tuple[str, str | None, str, str]


class Manager:
    """``add`` controllers, then ``run`` until cancelled. A manager runs once.

    ``transforms`` trims objects, by resource id, before they are kept; without one only ``managedFields`` go.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock = SYSTEM_CLOCK,
        transforms: Mapping[str, Callable[[Object], Object]] | None = None,
    ) -> None:
        self._transforms = dict(transforms or {})
        self.client = client
        self.clock = clock
        self._informers: dict[Selection, Informer] = {}
        self._whole: set[Selection] = set()
        self._controllers: list[Controller] = []
        self._ready = asyncio.Event()

    def informer(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> Informer:
        """The one informer of that collection; asked for again, the same one.

        ``metadata_only`` is for who reads no more: unless somebody asks for whole objects too, only that is kept.
        """
        selection = (resource.id, namespace, label_selector, field_selector)
        if not metadata_only:
            self._whole.add(selection)
        informer = self._informers.get(selection)
        if informer is None:
            informer = self._informers[selection] = Informer(
                self.client,
                resource,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                transform=self._transform(selection),
            )
        return informer

    def _transform(self, selection: Selection) -> Callable[[Object], Object]:
        whole = self._transforms.get(selection[0], trim)
        return lambda obj: whole(obj) if selection in self._whole else only_metadata(obj)

    def add(self, controller: Controller) -> None:
        """Take ``controller`` in: gives it its queue and lets it declare its informers."""
        controller.attach(self)
        controller.setup(self)
        self._controllers.append(controller)

    async def wait_ready(self) -> None:
        """Until every cache is filled and the workers run."""
        await self._ready.wait()

    async def run(self) -> None:
        """Fill the caches, work until cancelled, then end everything that was started."""
        informers, workers = Tasks("informers"), Tasks("controllers")
        try:
            for informer in self._informers.values():
                name = informer.resource.id
                informers.spawn(_supervised(informer.run, name, self.clock), name)
            await asyncio.gather(*(informer.wait_synced() for informer in self._informers.values()))
            for controller in self._controllers:
                for number in range(controller.workers):
                    workers.spawn(controller.work(), f"{controller.name}/{number}")
                workers.spawn(_supervised(controller.background, controller.name, self.clock), controller.name)
            self._ready.set()
            log.info("%d controllers work on %d caches", len(self._controllers), len(self._informers))
            await asyncio.Event().wait()
        finally:
            for controller in self._controllers:
                controller.queue.close()
            await workers.close()
            await informers.close()
            await asyncio.gather(*(controller.recorder.close() for controller in self._controllers))


PANIC_RETRY_S = 1.0


async def _supervised(run: Callable[[], Coroutine[Any, Any, None]], name: str, clock: Clock) -> None:
    """``run`` until it ends by itself; a mistake in it is logged, and it starts again."""
    while True:
        try:
            return await run()
        except Exception:  # whatever it is, the rest of the process goes on
            log.exception("%s failed; it starts again in %.0f s", name, PANIC_RETRY_S)
        await clock.sleep(PANIC_RETRY_S)


def trim(obj: Object) -> Object:
    """Forget what no controller reads and every object carries."""
    obj["metadata"].pop("managedFields", None)
    return obj


def only_metadata(obj: Object) -> Object:
    """What owners, names and deletions are judged by."""
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": trim(obj)["metadata"]}
