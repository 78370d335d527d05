"""``Contents`` in and out of etcd, and etcd made small again. Imported only where etcd is used."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aetcd import rpc

from picluster.storage import etcdwire
from picluster.storage.backend import Record, StorageError
from picluster.storage.contents import Contents
from picluster.storage.etcdwire import EtcdConfig

PUTS_AT_ONCE = 128
DEFRAGMENT_TIMEOUT_S = 300.0


async def read(config: EtcdConfig) -> Contents:
    """What a cluster holds in etcd, as of one moment; raises ``StorageError``."""
    async with _etcd(config) as kv:
        head = await kv.Range(rpc.RangeRequest(key=_key(config, etcdwire.OFFSET)), timeout=etcdwire.CALL_TIMEOUT_S)
        offset, revision = (int(head.kvs[0].value) if head.kvs else 0), head.header.revision
        records = [
            Record(key, value, written + offset)
            async for key, value, written in etcdwire.live(kv, config.prefix.encode(), revision)
            if key not in etcdwire.MARKS
        ]
    return Contents(revision + offset, sorted(records, key=lambda record: record.revision))


async def write(contents: Contents, config: EtcdConfig, *, bump: int, force: bool = False) -> None:
    """Put everything under an empty prefix; ``force`` empties it before. Raises ``StorageError``.

    The offset is written first: a restore that was cut short is seen as one that is not empty, and done again by force.
    """
    prefix = config.prefix.encode()
    start, end = etcdwire.key_range(prefix)
    async with _etcd(config) as kv:
        head = await kv.Range(
            rpc.RangeRequest(key=start, range_end=end, count_only=True), timeout=etcdwire.CALL_TIMEOUT_S
        )
        if head.count and not force:
            raise StorageError(f"{config} holds a cluster under {config.prefix} already: restore with --force")
        await kv.DeleteRange(rpc.DeleteRangeRequest(key=start, range_end=end), timeout=etcdwire.CALL_TIMEOUT_S)
        offset = max(0, contents.revision + bump - head.header.revision)
        pairs = [(etcdwire.OFFSET, str(offset).encode()), *((record.key, record.value) for record in contents.records)]
        for first in range(0, len(pairs), PUTS_AT_ONCE):
            puts = [
                rpc.PutRequest(key=_key(config, key), value=value) for key, value in pairs[first : first + PUTS_AT_ONCE]
            ]
            await asyncio.gather(*(_put(kv, put, etcdwire.CALL_TIMEOUT_S) for put in puts))


async def _put(kv: rpc.KVStub, request: rpc.PutRequest, timeout_s: float) -> None:
    await kv.Put(request, timeout=timeout_s)


def _key(config: EtcdConfig, key: str) -> bytes:
    return config.prefix.encode() + key.encode()


@contextlib.asynccontextmanager
async def _etcd(config: EtcdConfig) -> AsyncIterator[rpc.KVStub]:
    with etcdwire.explained(config):
        async with etcdwire.channel(config) as channel:
            yield rpc.KVStub(channel)


async def defragment(config: EtcdConfig) -> None:
    """Have every member write its file anew, one after the other, and take back its quota alarm."""
    for endpoint in config.endpoints:
        with etcdwire.explained(config):
            async with etcdwire.channel(config, (endpoint,)) as channel:
                maintenance = rpc.MaintenanceStub(channel)
                await maintenance.Defragment(rpc.DefragmentRequest(), timeout=DEFRAGMENT_TIMEOUT_S)
                await maintenance.Alarm(
                    rpc.AlarmRequest(action=rpc.AlarmRequest.DEACTIVATE, alarm=rpc.NOSPACE),
                    timeout=etcdwire.CALL_TIMEOUT_S,
                )
