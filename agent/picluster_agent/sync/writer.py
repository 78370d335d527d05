"""Brings pods' statuses to the API server: the newest only, one request per pod at a time, tried until it arrives.

While the API server is away each pod has at most one status waiting here. A pod that was deleted and made again with
the same name is another pod: the uid in the patch makes the server refuse, and the status is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from picluster.api.errors import ApiError
from picluster.api.meta import parse_time
from picluster.api.resources import PODS
from picluster.api.types import Object
from picluster.client import Client, PatchType, TransportError
from picluster.util.backoff import Backoff
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks
from picluster_agent import figures

log = logging.getLogger(__name__)

WRITES_MAX = 8
RETRY_MIN_S = 0.2
RETRY_MAX_S = 10.0
TIMEOUT_S = 10.0
GONE = (404, 409)


@dataclass(slots=True)
class _Entry:
    uid: str
    namespace: str
    name: str
    wanted: Object
    acked: Object | None = None
    version: int = 0
    """The resourceVersion that the server gave to what it has acknowledged."""
    task: asyncio.Task[None] | None = None


class StatusWriter:
    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._writes = asyncio.Semaphore(WRITES_MAX)
        self._tasks = Tasks("status")

    def put(self, uid: str, pod: Object, status: Object) -> None:
        """``status`` is what the agent sees of its pod ``uid`` now; nothing is sent when the server has it already.

        ``pod`` is what the server has: the pod, or the mirror of a static pod, which has a uid of its own.
        """
        metadata = pod["metadata"]
        entry = self._entries.get(uid)
        if entry is None or entry.uid != metadata["uid"]:
            self.forget(uid)
            entry = self._entries[uid] = _Entry(metadata["uid"], metadata["namespace"], metadata["name"], status)
        if _begins_to_run(pod, entry.wanted, status):
            figures.POD_START.observe(max(self._clock.now() - parse_time(status["startTime"]), 0.0))
        entry.wanted = status
        if self._is_current(entry, pod) or entry.task is not None:
            return
        entry.task = self._tasks.spawn(self._write(entry), f"write {metadata['name']}")

    async def flush(self, uid: str) -> None:
        """Wait until the last status of a pod has arrived or was refused."""
        while (entry := self._entries.get(uid)) is not None and entry.task is not None:
            await asyncio.wait([entry.task])

    def forget(self, uid: str) -> None:
        """The pod is gone; what was still to be sent is not."""
        entry = self._entries.pop(uid, None)
        if entry is not None and entry.task is not None:
            entry.task.cancel()

    async def close(self) -> None:
        await self._tasks.close()

    def _is_current(self, entry: _Entry, pod: Object) -> bool:
        """Compares with the newest that is known of the server's side: the informer's pod, or our last answer."""
        version = int(pod["metadata"].get("resourceVersion") or 0)
        known = pod.get("status") or {}
        if entry.acked is not None and entry.version >= version:
            known = entry.acked
        return covers(known, entry.wanted)

    async def _write(self, entry: _Entry) -> None:
        backoff = Backoff(RETRY_MIN_S, RETRY_MAX_S, jitter=0.2)
        try:
            while True:
                status = entry.wanted
                try:
                    async with self._writes:
                        answer = await self._patch(entry, status)
                except TransportError as error:
                    log.debug("status of %s/%s waits: %s", entry.namespace, entry.name, error)
                    await self._clock.sleep(backoff.next_s())
                    continue
                except ApiError as error:
                    if error.code in GONE:
                        log.debug("status of %s/%s is not wanted: %s", entry.namespace, entry.name, error)
                        return
                    log.warning("status of %s/%s was refused: %s", entry.namespace, entry.name, error)
                    if error.code == 422:
                        return
                    await self._clock.sleep(backoff.next_s())
                    continue
                backoff.reset()
                entry.acked = answer.get("status") or {}
                entry.version = int(answer["metadata"].get("resourceVersion") or 0)
                if entry.wanted is status:
                    return
        finally:
            entry.task = None

    async def _patch(self, entry: _Entry, status: Object) -> Object:
        return await self._client.patch(
            PODS,
            entry.name,
            {"metadata": {"uid": entry.uid}, "status": as_patch(status)},
            namespace=entry.namespace,
            kind=PatchType.STRATEGIC,
            subresource="status",
            timeout_s=TIMEOUT_S,
        )


def _begins_to_run(pod: Object, before: Object, now: Object) -> bool:
    """Whether this is the first status that says Running."""
    known = (pod.get("status") or {}).get("phase")
    first = now.get("phase") == "Running" != known and (before is now or before.get("phase") != "Running")
    return first and bool(now.get("startTime"))


MERGED_BY_ADDRESS = ("podIPs", "hostIPs")


def as_patch(status: Object) -> Object:
    """``status`` as a strategic merge patch; lists that merge by address keep none of an earlier sandbox's."""
    replaced = {key: [{"$patch": "replace"}, *status[key]] for key in MERGED_BY_ADDRESS if key in status}
    return {**status, **replaced}


def covers(known: Object, wanted: Object) -> bool:
    """Whether everything in ``wanted`` is in ``known``; conditions by their type, absent and null alike."""
    for key, value in wanted.items():
        if key == "conditions":
            have = {one["type"]: one for one in known.get(key) or ()}
            if not all(_has(have, one) for one in value):
                return False
        elif not _same(known.get(key), value):
            return False
    return True


def _has(known: dict[str, Object], wanted: Object) -> bool:
    if wanted.get("$patch") == "delete":
        return wanted["type"] not in known
    return covers(known.get(wanted["type"], {}), wanted)


def _same(known: object, wanted: object) -> bool:
    if isinstance(known, dict) and isinstance(wanted, dict):
        return all(_same(known.get(key), wanted.get(key)) for key in {*known, *wanted})
    if isinstance(known, list) and isinstance(wanted, list):
        return len(known) == len(wanted) and all(map(_same, known, wanted))
    return (known or None) == (wanted or None) if not isinstance(wanted, bool | int) else known == wanted
