"""Mirror pods: how the API server sees static pods (``pkg/kubelet/pod/mirror_client.go``).

A mirror says what the file says; whoever changes or deletes it in the API changes nothing here, and it is made again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping

from picluster.api.errors import ApiError
from picluster.api.meta import key_of
from picluster.api.resources import NODES, PODS
from picluster.api.types import Object
from picluster.client import Client, TransportError
from picluster.util.backoff import Backoff
from picluster_agent.admission.critical import MIRROR
from picluster_agent.sync.staticpods import HASH

log = logging.getLogger(__name__)

RETRY_MIN_S = 0.5
RETRY_MAX_S = 30.0
TIMEOUT_S = 10.0


class Mirrors:
    """Makes mirrors right whenever it is poked: ``wanted`` is which there shall be, ``found`` which there are."""

    def __init__(
        self,
        client: Client,
        node: str,
        wanted: Callable[[], Mapping[str, Object]],
        found: Callable[[], Iterable[Object]],
    ) -> None:
        self._client = client
        self._node = node
        self._wanted = wanted
        self._found = found
        self._poked = asyncio.Event()

    def poke(self) -> None:
        self._poked.set()

    async def run(self) -> None:
        backoff = Backoff(RETRY_MIN_S, RETRY_MAX_S)
        while True:
            await self._poked.wait()
            self._poked.clear()
            try:
                await self._set_right()
                backoff.reset()
            except (ApiError, TransportError) as error:
                log.info("mirror pods wait: %s", error)
                self._poked.set()
                with contextlib.suppress(TimeoutError):
                    await asyncio.sleep(backoff.next_s())

    async def _set_right(self) -> None:
        """By namespace and name; a pod of such a name that is nobody's mirror is in the way, and stays."""
        wanted = self._wanted()
        there = {key_of(pod): pod for pod in self._found()}
        for key, mirror in there.items():
            if not is_mirror_of(mirror, wanted.get(key)):
                await self._delete(mirror)
        for key, pod in wanted.items():
            if key not in there:
                await self._create(pod)

    async def _delete(self, mirror: Object) -> None:
        metadata = mirror["metadata"]
        try:
            await self._client.delete(
                PODS, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"], grace_period_s=0
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _create(self, pod: Object) -> None:
        node = await self._client.get(NODES, self._node, timeout_s=TIMEOUT_S)
        try:
            await self._client.create(PODS, mirror_of(pod, node))
        except ApiError as error:
            if error.code != 409:
                raise
            log.debug("the mirror of %s is there, or something else of its name", key_of(pod))


def mirror_of(pod: Object, node: Object) -> Object:
    """What is created in the API for a static pod."""
    metadata = pod["metadata"]
    owner = {
        "apiVersion": "v1",
        "kind": "Node",
        "name": node["metadata"]["name"],
        "uid": node["metadata"]["uid"],
        "controller": True,
    }
    annotations = {**metadata["annotations"], MIRROR: metadata["annotations"][HASH]}
    kept = {key: value for key, value in metadata.items() if key in ("name", "namespace", "labels")}
    return {**pod, "metadata": {**kept, "annotations": annotations, "ownerReferences": [owner]}}


def is_mirror(pod: Object) -> bool:
    return MIRROR in (pod["metadata"].get("annotations") or {})


def is_mirror_of(mirror: Object, pod: Object | None) -> bool:
    """Whether ``mirror`` shows ``pod`` as it is, and is not about to go."""
    if pod is None or mirror["metadata"].get("deletionTimestamp"):
        return False
    shown = (mirror["metadata"].get("annotations") or {}).get(MIRROR)
    return bool(shown == pod["metadata"]["annotations"][HASH])
