"""The process that ``test_sqlite_crash`` kills: writers that tell each write that was
acknowledged, and each deletion before it is tried."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from picluster.storage.sqlite import SqliteBackend

WRITERS = 8
KEYS_PER_WRITER = 5


async def write(backend: SqliteBackend, keys: dict[str, int], rng: random.Random) -> None:
    """Put, beat and delete the keys of one writer for ever."""
    while True:
        key = rng.choice(list(keys))
        value = rng.randbytes(rng.randrange(1, 1500)).hex()
        kind = rng.choice(["put", "put", "put", "beat", "delete"])
        if kind == "delete":
            if not keys[key]:
                continue
            os.write(1, f"deleting 0 {key} -\n".encode())
            revision = await backend.delete(key, keys[key])
            keys[key] = 0
        else:
            revision = keys[key] = await backend.put(key, value.encode(), keys[key], durable=kind == "put")
        os.write(1, f"{kind} {revision} {key} {value}\n".encode())


async def main(store: Path, seed: int) -> None:
    backend = SqliteBackend(store)
    snapshot = await backend.start(lambda events: None)
    revisions = {record.key: record.revision for record in snapshot.records}
    writers = []
    for writer in range(WRITERS):
        names = [f"pods/{writer}/{n}" for n in range(KEYS_PER_WRITER)]
        keys = {name: revisions.get(name, 0) for name in names}
        writers.append(write(backend, keys, random.Random(seed * WRITERS + writer)))
    compaction = asyncio.create_task(backend.compact(snapshot.revision))
    await asyncio.gather(*writers, compaction)


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
