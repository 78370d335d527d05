"""The part of etcd's v3 API that the store speaks: a channel, requests, and errors with their cures.

``aetcd`` gives the generated messages and stubs; the calls go over a channel of our own, because its client knows no
client certificates and no bound for messages (etcd's own is 1.5 MiB for a write, but a range may be longer than gRPC's
default of 4 MiB).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
from aetcd import rpc
from grpc import aio

from picluster.storage.backend import StorageError

MESSAGE_MAX_BYTES = 64 * 1024 * 1024
KEEPALIVE_MS = 10_000
PAGE_KEYS = 1_000
CALL_TIMEOUT_S = 5.0
MARKER = "marks/start"
OFFSET = "marks/offset"
MARKS = (MARKER, OFFSET)
"""Keys of the store's own: they are nobody's objects."""
RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL)
"""After these nobody knows whether the request was carried out."""
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_MAX_BYTES),
    ("grpc.max_send_message_length", MESSAGE_MAX_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_MS // 2),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


@dataclass(frozen=True, slots=True)
class EtcdConfig:
    """``endpoints`` are ``host:port``; the client certificate is what etcd knows this server by.

    ``prefix`` lets several clusters live in one etcd.
    """

    endpoints: tuple[str, ...]
    ca: Path
    cert: Path
    key: Path
    prefix: str = "/picluster/"

    def __str__(self) -> str:
        return f"etcd at {', '.join(self.endpoints)}"


def channel(config: EtcdConfig, endpoints: tuple[str, ...] | None = None) -> aio.Channel:
    """A channel that moves to another endpoint when one is gone; raises ``StorageError`` for missing files."""
    try:
        credentials = grpc.ssl_channel_credentials(
            config.ca.read_bytes(), config.key.read_bytes(), config.cert.read_bytes()
        )
    except OSError as error:
        raise StorageError(
            f"{config}: {error.filename} cannot be read: {error.strerror}: name etcd's CA and a client certificate"
        ) from error
    chosen = endpoints or config.endpoints
    literal = all(endpoint.rpartition(":")[0].replace(".", "").isdigit() for endpoint in chosen)
    target = f"ipv4:{','.join(chosen)}" if literal else f"dns:{chosen[0]}"
    return aio.secure_channel(target, credentials, OPTIONS)


@contextlib.contextmanager
def explained(config: EtcdConfig) -> Iterator[None]:
    """Turn what gRPC says into one sentence with the cure."""
    try:
        yield
    except aio.AioRpcError as error:
        raise StorageError(f"{config}: {error.details()} ({error.code().name}); {cure(error)}") from error


def cure(error: aio.AioRpcError) -> str:
    details = error.details() or ""
    if "space exceeded" in details:
        return "its quota is used up: picluster store defragment, then disarm its alarm, or raise its quota"
    if "corrupt" in details:
        return "its data is damaged: restore a backup"
    if error.code() in RETRIED:
        return "start etcd, or correct the endpoints and the certificates"
    if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return "give this server's certificate the right to read and write"
    return "see the message of etcd"


def key_range(prefix: bytes) -> tuple[bytes, bytes]:
    """The range of all keys that begin with ``prefix``."""
    return prefix, prefix[:-1] + bytes([prefix[-1] + 1])


def guarded(key: bytes, value: bytes | None, expected: int) -> rpc.TxnRequest:
    """Put ``value``, or delete for ``None``, if ``key`` was last written by ``expected``; otherwise get it."""
    if value is None:
        change = rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key))
    else:
        change = rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value))
    return rpc.TxnRequest(compare=[_at(key, expected)], success=[change], failure=[_get(key)])


def _at(key: bytes, revision: int) -> rpc.Compare:
    return rpc.Compare(key=key, target=rpc.Compare.MOD, result=rpc.Compare.EQUAL, mod_revision=revision)


def _get(key: bytes) -> rpc.RequestOp:
    return rpc.RequestOp(request_range=rpc.RangeRequest(key=key))


async def live(kv: rpc.KVStub, prefix: bytes, revision: int = 0) -> AsyncIterator[tuple[str, bytes, int]]:
    """Every live key, its value and its revision, as of ``revision`` (0: now), in pages of one moment."""
    start, end = key_range(prefix)
    while True:
        request = rpc.RangeRequest(key=start, range_end=end, limit=PAGE_KEYS, revision=revision)
        page = await kv.Range(request, timeout=CALL_TIMEOUT_S)
        revision = revision or page.header.revision
        for pair in page.kvs:
            yield pair.key[len(prefix) :].decode(), pair.value, pair.mod_revision
        if not page.more:
            return
        start = page.kvs[-1].key + b"\0"


def found(response: rpc.TxnResponse) -> tuple[int, bytes | None]:
    """Where the key of a refused transaction is, and its value; ``(0, None)`` when it is not there."""
    kvs = response.responses[0].response_range.kvs
    return (kvs[0].mod_revision, kvs[0].value) if kvs else (0, None)
