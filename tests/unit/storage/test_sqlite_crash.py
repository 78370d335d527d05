"""A process that acknowledges writes is killed at random moments; what it acknowledged must be there.

The child prints one line per acknowledged write. The seed of the moments is in the failure message.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from picluster.storage.backend import Record
from picluster.storage.sqlite import SqliteBackend

KILLS = 25
CHILD = Path(__file__).with_name("crash_child.py")


class Ack(NamedTuple):
    kind: str
    revision: int
    key: str
    value: str


def run_until_killed(store: Path, seed: int, moment_s: float) -> list[Ack]:
    """Let a child write for ``moment_s`` after its first acknowledgement; what it acknowledged before it died."""
    child = subprocess.Popen([sys.executable, str(CHILD), str(store), str(seed)], stdout=subprocess.PIPE, text=True)
    with child:
        assert child.stdout is not None
        first = child.stdout.readline()
        assert first, "the child died by itself"
        time.sleep(moment_s)
        child.kill()
        lines = [first, *child.stdout.readlines()]
    acks = [line.split() for line in lines if line.endswith("\n")]
    return [Ack(kind, int(revision), key, value) for kind, revision, key, value in acks]


async def contents(store: Path) -> tuple[int, dict[str, Record]]:
    backend = SqliteBackend(store)
    snapshot = await backend.start(lambda events: None)
    await backend.close()
    return snapshot.revision, {record.key: record for record in snapshot.records}


def check(acks: list[Ack], live: dict[str, Record]) -> None:
    """Each key has one writer, so its lines are in order; what was under way when it died may have been committed."""
    last = {ack.key: ack for ack in acks if ack.kind in ("put", "delete")}
    being_deleted = {ack.key: ack.kind == "deleting" for ack in acks if ack.kind != "beat"}
    for key, ack in last.items():
        record = live.get(key)
        if ack.kind == "delete":
            assert record is None or record.revision > ack.revision, f"{ack.key}@{ack.revision} came back"
        elif record is None:
            assert being_deleted[key], f"{ack.kind} {ack.key}@{ack.revision} is lost"
        else:
            assert record.revision >= ack.revision, f"{ack.key}@{ack.revision} is lost"
            assert record.revision > ack.revision or record.value.decode() == ack.value


def test_no_acknowledged_write_is_lost_and_no_revision_is_given_twice(tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    rng = random.Random(seed)
    store = tmp_path / "store" / "picluster.db"
    seen: set[int] = set()
    acknowledged: list[Ack] = []
    for kill in range(KILLS):
        acks = run_until_killed(store, seed + kill, rng.uniform(0.0, 0.12))
        revisions = [ack.revision for ack in acks if ack.revision]
        assert len(set(revisions)) == len(revisions), f"seed {seed}, kill {kill}: a revision twice"
        assert min(revisions, default=max(seen, default=0) + 1) > max(seen, default=0), (
            f"seed {seed}, kill {kill}: a revision given again"
        )
        seen.update(revisions)
        acknowledged += acks
        revision, live = asyncio.run(contents(store))
        assert revision >= max(seen, default=0), f"seed {seed}, kill {kill}: the counter went back"
        check(acknowledged, live)
    assert {ack.kind for ack in acknowledged} == {"put", "beat", "delete", "deleting"}
