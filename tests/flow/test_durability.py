"""The API server, or its etcd, is killed again and again under write load, over HTTPS; nothing acknowledged is missing.

``PICLUSTER_KILLS=1000`` is the bar; the default is what a test run has time for. The seed of the moments is in every
failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest
from etcd import Etcd

from picluster.api.errors import ApiError
from picluster.api.resources import CONFIGMAPS
from picluster.client import Client, ClientConfig, TransportError

KILLS = int(os.environ.get("PICLUSTER_KILLS", "8"))
WRITERS = 8
KEYS_PER_WRITER = 4
WAIT_S = 60.0
POLL_S = 0.02
NAMESPACE = "default"


class Victim(Protocol):
    """What is killed and started again."""

    def kill(self) -> None: ...

    def start(self) -> object: ...


class Seen(NamedTuple):
    """One event of the watch."""

    revision: int
    type: str
    name: str
    value: str


@dataclass
class Load:
    """What writers were told, and what the watcher saw."""

    rng: random.Random
    acknowledged: dict[int, tuple[str, str]] = field(default_factory=dict)  # revision: name, value
    twice: list[int] = field(default_factory=list)
    deleted: int = 0
    events: list[Seen] = field(default_factory=list)
    stopping: bool = False

    def acknowledge(self, obj: dict[str, Any]) -> None:
        revision = int(obj["metadata"]["resourceVersion"])
        if revision in self.acknowledged:
            self.twice.append(revision)
        self.acknowledged[revision] = (obj["metadata"]["name"], obj["data"]["value"])


async def write(client: Client, load: Load, names: list[str]) -> None:
    """Create, patch and delete objects that nobody else writes; an unknown outcome is looked up before going on."""
    while not load.stopping:
        name = load.rng.choice(names)
        value = str(load.rng.random())
        try:
            try:
                patch = {"data": {"value": value}}
                load.acknowledge(await client.patch(CONFIGMAPS, name, patch, namespace=NAMESPACE))
                if load.rng.random() < 0.2:
                    await client.delete(CONFIGMAPS, name, namespace=NAMESPACE)
                    load.deleted += 1
            except ApiError as error:
                if error.code != 404:
                    raise
                metadata = {"name": name, "namespace": NAMESPACE}
                load.acknowledge(await client.create(CONFIGMAPS, {"metadata": metadata, "data": {"value": value}}))
        except TransportError:
            await asyncio.sleep(0.01)
        except ApiError as error:
            if error.code != 409:  # the create of before the crash had been written
                raise


async def watch(client: Client, load: Load, revision: str) -> None:
    """One watcher that resumes after every broken connection from the last revision it saw."""
    while True:
        stream = client.watch(CONFIGMAPS, namespace=NAMESPACE, resource_version=revision)
        try:
            async with contextlib.aclosing(stream):
                async for event in stream:
                    revision = event.object["metadata"]["resourceVersion"]
                    if event.type != "BOOKMARK":
                        value = event.object.get("data", {}).get("value", "")
                        load.events.append(Seen(int(revision), event.type, event.object["metadata"]["name"], value))
        except TransportError:
            await asyncio.sleep(0.01)


async def eventually(condition: Callable[[], bool], what: str) -> None:
    for _ in range(int(WAIT_S / POLL_S)):
        if condition():
            return
        await asyncio.sleep(POLL_S)
    pytest.fail(f"waited {WAIT_S} s for {what}")


async def caught_up(client: Client, load: Load) -> dict[str, tuple[int, str]]:
    """The objects as they are, once the watcher has seen the last write to them."""
    page = await client.list(CONFIGMAPS, namespace=NAMESPACE)
    last = max(load.acknowledged)
    live = {}
    for item in page["items"]:
        metadata = item["metadata"]
        live[metadata["name"]] = (int(metadata["resourceVersion"]), item.get("data", {}).get("value", ""))
        last = max(last, int(metadata["resourceVersion"]))
    await eventually(lambda: bool(load.events) and load.events[-1].revision >= last, "the watcher to catch up")
    return live


def check(load: Load, live: dict[str, tuple[int, str]], start: dict[str, tuple[int, str]]) -> None:
    assert load.twice == []
    revisions = [event.revision for event in load.events]
    assert revisions == sorted(set(revisions)), "events out of order or doubled"
    seen = {event.revision: (event.name, event.value) for event in load.events}
    lost = {revision: write for revision, write in load.acknowledged.items() if seen.get(revision) != write}
    assert lost == {}, "acknowledged writes that no event told of"
    assert sum(event.type == "DELETED" for event in load.events) >= load.deleted
    folded = dict(start)
    for event in load.events:
        assert (event.type == "ADDED") == (event.name not in folded), f"{event} does not follow from what came before"
        if event.type == "DELETED":
            del folded[event.name]
        else:
            folded[event.name] = (event.revision, event.value)
    assert folded == live


async def kill_under_load(server: Any, victim: Victim, kills: int, seed: int) -> None:
    server.start()
    load = Load(random.Random(seed))
    async with Client(ClientConfig.from_kubeconfig(server.kubeconfig)) as client:
        page = await client.list(CONFIGMAPS, namespace=NAMESPACE)
        start = {
            item["metadata"]["name"]: (int(item["metadata"]["resourceVersion"]), item.get("data", {}).get("value", ""))
            for item in page["items"]
        }
        watcher = asyncio.create_task(watch(client, load, page["metadata"]["resourceVersion"]))
        names = [[f"w{writer}-{n}" for n in range(KEYS_PER_WRITER)] for writer in range(WRITERS)]
        writers = [asyncio.create_task(write(client, load, mine)) for mine in names]
        for _ in range(kills):
            await asyncio.sleep(load.rng.uniform(0.02, 0.3))
            victim.kill()
            await asyncio.to_thread(victim.start)
        acknowledged = len(load.acknowledged)
        await eventually(lambda: len(load.acknowledged) >= acknowledged + 10, "writes after the last kill")
        load.stopping = True
        await asyncio.gather(*writers)
        live = await caught_up(client, load)
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
    assert len(load.acknowledged) > kills, "hardly anything was written"
    check(load, live, start)


@pytest.mark.timeout(180 + 6 * KILLS)
@pytest.mark.parametrize("killed", ["server on sqlite", "server on etcd", "etcd"])
async def test_kills_under_load_lose_nothing(
    server_process: Callable[..., Any], etcd_server: Callable[[], Etcd], tmp_path: Path, killed: str
) -> None:
    seed = random.randrange(1_000_000)
    words: list[str] = []
    etcd = None
    if "etcd" in killed:
        etcd = etcd_server()
        config = etcd.config()
        said = {"backend": "etcd", "endpoints": list(config.endpoints), "prefix": config.prefix}
        said |= {name: str(getattr(config, name)) for name in ("ca", "cert", "key")}
        (tmp_path / "store.yaml").write_text(json.dumps(said))
        words = ["--store", str(tmp_path / "store.yaml")]
    server = server_process("--role", "apiserver", *words)
    victim = etcd if killed == "etcd" and etcd is not None else server
    try:
        await kill_under_load(server, victim, KILLS, seed)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
