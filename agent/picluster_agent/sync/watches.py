"""Watches of single ConfigMaps and Secrets, so that a volume follows its object within a moment.

The kubelet watches each object that its pods mount (``pkg/kubelet/util/manager``); so does this, but a watch is a
connection, and a small board has room for few: objects beyond ``WATCHES_MAX`` are looked at once a minute, like the
authority that every pod mounts and that hardly ever changes. An immutable object is not watched any further.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.client import Client, Informer
from picluster.util.tasks import Tasks

WATCHES_MAX = 24
"""At 175 KiB each."""
EVERYWHERE = "kube-root-ca.crt"
"""Published into each namespace, mounted by each pod."""

Key = tuple[Resource, str, str]
"""Resource, namespace, name."""
Changed = Callable[[Resource, str, str], None]
"""Told resource, name and resourceVersion (empty when the object is gone) of what has changed."""


@dataclass(slots=True)
class _Watch:
    task: asyncio.Task[None]
    listeners: dict[str, Changed] = field(default_factory=dict)


def _slim(obj: Object) -> Object:
    """All that is kept of a watched object: whether it is another one."""
    metadata = {key: obj["metadata"].get(key) for key in ("name", "namespace", "resourceVersion")}
    return {"metadata": metadata, "immutable": bool(obj.get("immutable"))}


class ObjectWatches:
    """Who wants to hear of which object."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._watches: dict[Key, _Watch] = {}
        self._tasks = Tasks("objects")

    async def close(self) -> None:
        await self._tasks.close()
        self._watches.clear()

    def __len__(self) -> int:
        return len(self._watches)

    def want(self, uid: str, namespace: str, objects: Iterable[tuple[Resource, str]], changed: Changed) -> None:
        """From now on ``changed`` hears of these objects for the pod ``uid``; asking again adds nothing."""
        for resource, name in objects:
            key = (resource, namespace, name)
            watch = self._watches.get(key)
            if watch is None:
                if name == EVERYWHERE or len(self._watches) >= WATCHES_MAX:
                    continue
                watch = self._watches[key] = _Watch(self._tasks.spawn(self._follow(key), f"{namespace}/{name}"))
            watch.listeners[uid] = changed

    def drop(self, uid: str) -> None:
        """The pod is over: watches that nobody else needs end."""
        for key, watch in list(self._watches.items()):
            watch.listeners.pop(uid, None)
            if not watch.listeners:
                del self._watches[key]
                watch.task.cancel()

    async def _follow(self, key: Key) -> None:
        resource, namespace, name = key
        informer = Informer(
            self._client, resource, namespace=namespace, field_selector=f"metadata.name={name}", transform=_slim
        )
        settled = asyncio.Event()

        def heard(old: Object | None, new: Object | None) -> None:
            version = str(new["metadata"]["resourceVersion"]) if new else ""
            for changed in list(self._watches[key].listeners.values()) if key in self._watches else ():
                changed(resource, name, version)
            if new is not None and new["immutable"]:
                settled.set()

        informer.add_handler(heard)
        running = asyncio.ensure_future(informer.run())
        try:
            await settled.wait()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
