"""Puts of 1 KB into the SQLite store by concurrent writers; prints one JSON object.

``python tests/bench/storage.py DIRECTORY WRITERS``
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from picluster.storage.sqlite import SqliteBackend

MEASURED_S = 3.0
VALUE = b"x" * 1024


async def puts(directory: Path, writers: int) -> dict[str, Any]:
    backend = SqliteBackend(directory / f"{writers}" / "picluster.db")
    await backend.start(lambda events: None)
    seconds: list[float] = []
    end = time.perf_counter() + MEASURED_S

    async def write(number: int) -> None:
        sequence = 0
        while (start := time.perf_counter()) < end:
            await backend.put(f"pods/default/web-{number}-{sequence}", VALUE, 0)
            sequence += 1
            seconds.append(time.perf_counter() - start)

    await asyncio.gather(*(write(number) for number in range(writers)))
    await backend.close()
    seconds.sort()
    at = {"p50_ms": 0.5, "p99_ms": 0.99}
    quantiles = {name: round(seconds[int(len(seconds) * share)] * 1e3, 3) for name, share in at.items()}
    return {"per_s": round(len(seconds) / MEASURED_S), **quantiles, "max_ms": round(seconds[-1] * 1e3, 3)}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(puts(Path(sys.argv[1]), int(sys.argv[2])))))
