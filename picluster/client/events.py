"""Events as people read them in ``kubectl describe``: core/v1, the same one counted rather than repeated.

``event`` only puts a line into a bounded queue, so no caller ever waits for it or fails by it; a task that lives while
there is something to send writes them. The same event again becomes a higher ``count`` of the first, while it is
remembered; an object that will not stop talking is cut short (25 at once, then one every five minutes, as client-go's
event correlator has it). What cannot be delivered is dropped and logged: events are hints, not state.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from picluster.api.errors import ApiError
from picluster.api.meta import now_rfc3339
from picluster.api.resources import CORE_EVENTS
from picluster.api.types import Object
from picluster.client.transport import Client, PatchType, TransportError
from picluster.util.tasks import Tasks

log = logging.getLogger(__name__)

NORMAL = "Normal"
WARNING = "Warning"

QUEUE_MAX = 1000
REMEMBERED_MAX = 4096
MESSAGE_BYTES_MAX = 1024
BURST = 25
REFILL_S = 300.0
TRIES_MAX = 3
RETRY_S = 1.0
FLUSH_MAX_S = 2.0

Key = tuple[str, ...]


@dataclass(slots=True)
class _Record:
    """An event that was or will be sent; ``sent_count`` is what the server has."""

    body: Object
    count: int
    last_s: float
    sent_count: int = 0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


class EventRecorder:
    """Speaks for one ``component``; usable as an asynchronous context manager that flushes at the end."""

    def __init__(self, client: Client, component: str, host: str | None = None) -> None:
        self._client = client
        self._clock = client.clock
        self._component = component
        self._host = socket.gethostname() if host is None else host
        self._records: OrderedDict[Key, _Record] = OrderedDict()
        self._buckets: OrderedDict[Key, _Bucket] = OrderedDict()
        self._queue: OrderedDict[Key, None] = OrderedDict()
        self._dropped = 0
        self._tasks = Tasks(f"events of {component}")
        self._sending: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> EventRecorder:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def event(self, obj: Object, type_: str, reason: str, message: str, *, field_path: str = "") -> None:
        """Say something about ``obj`` (its kind, name, uid are read); ``type_`` is Normal or Warning."""
        if self._closed:
            return
        now_s = self._clock.now()
        involved = _reference(obj, field_path)
        message = _cut(message)
        key = (*(str(value) for value in involved.values()), type_, reason, message)
        if not self._within_budget(tuple(key[:4]), now_s):
            return
        record = self._records.get(key)
        if record is None:
            record = self._records[key] = _Record(self._body(involved, type_, reason, message, now_s), 0, now_s)
        record.count += 1
        record.last_s = now_s
        self._records.move_to_end(key)
        _trim(self._records, REMEMBERED_MAX)
        if len(self._queue) >= QUEUE_MAX and key not in self._queue:
            self._dropped += 1
            return
        self._queue[key] = None
        if self._sending is None or self._sending.done():
            self._sending = self._tasks.spawn(self._drain(), "send")

    async def close(self) -> None:
        """Send what is queued, as far as a short time allows, and take nothing more; safe twice."""
        self._closed = True
        if self._sending is not None and not self._sending.done():
            await asyncio.wait((self._sending,), timeout=FLUSH_MAX_S)
        await self._tasks.close()

    async def _drain(self) -> None:
        while self._queue:
            key, _ = self._queue.popitem(last=False)
            record = self._records.get(key)
            if record is not None:
                await self._deliver(key, record)
        if self._dropped:
            log.warning("%d events of %s were dropped: too many at once", self._dropped, self._component)
            self._dropped = 0

    async def _deliver(self, key: Key, record: _Record) -> None:
        for _ in range(TRIES_MAX):
            try:
                await self._send(record)
                return
            except TransportError as error:
                problem: Exception = error
                await self._clock.sleep(RETRY_S)
            except ApiError as error:
                problem = error
                break
        self._records.pop(key, None)
        log.info("an event (%s) was not delivered: %s", record.body["reason"], problem)

    async def _send(self, record: _Record) -> None:
        count, last = record.count, now_rfc3339(record.last_s)
        body = record.body
        if record.sent_count:
            metadata = body["metadata"]
            try:
                await self._client.patch(
                    CORE_EVENTS,
                    metadata["name"],
                    {"count": count, "lastTimestamp": last},
                    namespace=metadata["namespace"],
                    kind=PatchType.MERGE,
                )
                record.sent_count = count
                return
            except ApiError as error:
                if error.code != 404:  # forgotten by the server: made again
                    raise
            body = self._named(body)
        created = {**body, "count": count, "lastTimestamp": last}
        await self._client.create(CORE_EVENTS, created)
        record.body, record.sent_count = body, count

    def _body(self, involved: Object, type_: str, reason: str, message: str, now_s: float) -> Object:
        return self._named(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"namespace": involved.get("namespace") or "default"},
                "involvedObject": {name: value for name, value in involved.items() if value},
                "type": type_,
                "reason": reason,
                "message": message,
                "source": {"component": self._component} | ({"host": self._host} if self._host else {}),
                "reportingComponent": self._component,
                "reportingInstance": self._host,
                "firstTimestamp": now_rfc3339(now_s),
                "eventTime": None,
            }
        )

    def _named(self, body: Object) -> Object:
        """With a name nobody has: the object's and the time in nanoseconds, as client-go makes it."""
        name = f"{body['involvedObject'].get('name', '')}.{int(self._clock.now() * 1e9):x}"
        return {**body, "metadata": {**body["metadata"], "name": name}}

    def _within_budget(self, key: Key, now_s: float) -> bool:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(BURST, now_s)
            _trim(self._buckets, REMEMBERED_MAX)
        bucket.tokens = min(BURST, bucket.tokens + (now_s - bucket.at_s) / REFILL_S)
        bucket.at_s = now_s
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def _reference(obj: Object, field_path: str) -> Object:
    metadata = obj["metadata"]
    return {
        "kind": obj.get("kind", ""),
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "uid": metadata.get("uid", ""),
        "apiVersion": obj.get("apiVersion", ""),
        "resourceVersion": "",
        "fieldPath": field_path,
    }


def _cut(message: str) -> str:
    """At most what the API takes, in bytes, never half a character."""
    encoded = message.encode()
    return message if len(encoded) <= MESSAGE_BYTES_MAX else encoded[:MESSAGE_BYTES_MAX].decode(errors="ignore")


def _trim(remembered: OrderedDict[Key, Any], size_max: int) -> None:
    while len(remembered) > size_max:
        remembered.popitem(last=False)
