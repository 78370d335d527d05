"""The load: one scenario per run, in a process of its own; prints one JSON object.

``python tests/bench/load.py SCENARIO DATA_DIR PORT [ARGUMENT ...]``
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop
from wire import Connection, Target, pod, request, small_pod

PODS = "/api/v1/namespaces/default/pods"
WARM_UP_S = 0.5
MEASURED_S = 4.0
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
EVENTS_PER_S = 200
EVENTS = 1000
CHANGED = b'"type":"MODIFIED"'
MERGE_PATCH = "application/merge-patch+json"


def percentile(values: list[float], fraction: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * fraction))]


def latencies(seconds: list[float]) -> dict[str, float]:
    return {
        "p50_ms": round(percentile(seconds, 0.5) * 1e3, 3),
        "p99_ms": round(percentile(seconds, 0.99) * 1e3, 3),
        "max_ms": round(max(seconds) * 1e3, 3),
    }


async def closed_loop(target: Target, connections: int, make: Callable[[int, int], bytes]) -> dict[str, Any]:
    """Each connection sends its next request when the last is answered; rate and latency after a warm-up."""
    seconds: list[float] = []
    sent: list[int] = []
    links = [await target.connect() for _ in range(connections)]
    start = time.perf_counter()
    counted_from, end = start + WARM_UP_S, start + WARM_UP_S + MEASURED_S

    async def drive(number: int, link: Connection) -> None:
        sequence = 0
        while (begin := time.perf_counter()) < end:
            await link.ok(make(number, sequence))
            sequence += 1
            if begin >= counted_from:
                seconds.append(time.perf_counter() - begin)
        sent.append(sequence)

    await asyncio.gather(*(drive(number, link) for number, link in enumerate(links)))
    for link in links:
        link.close()
    return {"per_s": round(len(seconds) / MEASURED_S), "requests": sum(sent), **latencies(seconds)}


async def create(target: Target, connections: int) -> dict[str, Any]:
    prefix = f"create-{connections}"
    template = pod("NAME-PLACEHOLDER")
    before, after = template.split(b"NAME-PLACEHOLDER")

    def make(number: int, sequence: int) -> bytes:
        return request("POST", PODS, before + f"{prefix}-{number}-{sequence}".encode() + after)

    return await closed_loop(target, connections, make)


async def create_apart(target: Target, connections: int) -> dict[str, Any]:
    """As ``create``, of pods that differ in more than their names."""
    template = pod("NAME-PLACEHOLDER")
    before, after = template.split(b"NAME-PLACEHOLDER")
    ahead, behind = after.split(b"SETTING_0", 1)

    def make(number: int, sequence: int) -> bytes:
        apart = f"apart-{number}-{sequence}".encode()
        return request("POST", PODS, before + apart + ahead + b"SETTING_%d" % hash(apart) + behind)

    return await closed_loop(target, connections, make)


async def get(target: Target, connections: int) -> dict[str, Any]:
    await seed(target, 1)
    wanted = request("GET", f"{PODS}/seed-0")
    return await closed_loop(target, connections, lambda number, sequence: wanted)


async def seed(target: Target, count: int, make: Callable[[str], bytes] = pod) -> dict[str, Any]:
    """Have ``make`` say ``count`` pods; those that are there already are left alone."""
    names = iter(range(count))

    async def drive(link: Connection) -> None:
        for name in names:
            status, body = await link.send(request("POST", PODS, make(f"seed-{name}")))
            if status not in (201, 409):
                raise RuntimeError(f"HTTP {status}: {body[:300]!r}")
        link.close()

    start = time.perf_counter()
    links = [await target.connect() for _ in range(16)]
    await asyncio.gather(*(drive(link) for link in links))
    return {"pods": count, "seconds": round(time.perf_counter() - start, 3)}


async def list_pods(target: Target, count: int) -> dict[str, Any]:
    """LIST of ``count`` small pods, which are the only ones there."""
    await seed(target, count, small_pod)
    link = await target.connect()
    seconds, size = [], 0
    for _ in range(50):
        start = time.perf_counter()
        body = await link.ok(request("GET", PODS))
        seconds.append(time.perf_counter() - start)
        size = len(body)
    items = len(json.loads(body)["items"])
    if items != count:
        raise RuntimeError(f"{items} pods came, not {count}")
    return {"bytes": size, **latencies(seconds)}


async def watch(target: Target, watchers: int) -> dict[str, Any]:
    """From sending a patch to its event at the last of the watchers."""
    await seed(target, 1)
    version = json.loads(await (await target.connect()).ok(request("GET", f"{PODS}?limit=1")))["metadata"]
    arrived: dict[bytes, list[float]] = {}
    links = []
    for _ in range(watchers):
        link = await target.connect()
        tail = bytearray()

        def on_bytes(data: bytes, tail: bytearray = tail) -> None:
            now = time.perf_counter()
            tail += data
            for marker, moments in arrived.items():
                if marker in tail:
                    moments.append(now)
                    tail.clear()

        link.stream(request("GET", f"{PODS}?watch=true&resourceVersion={version['resourceVersion']}"), on_bytes)
        links.append(link)
    await asyncio.sleep(0.5)
    writer, first, last, answered = await target.connect(), [], [], []
    for number in range(100):
        marker = f"marker-{number:05d}"
        moments = arrived[marker.encode()] = []
        body = json.dumps({"metadata": {"annotations": {"marker": marker}}}).encode()
        start = time.perf_counter()
        await writer.ok(request("PATCH", f"{PODS}/seed-0", body, MERGE_PATCH))
        answered.append(time.perf_counter() - start)
        while len(moments) < watchers:
            await asyncio.sleep(0.0005)
            if time.perf_counter() - start > 5:
                raise RuntimeError(f"{len(moments)} of {watchers} watchers saw the patch within 5 s")
        first.append(min(moments) - start)
        last.append(max(moments) - start)
        arrived.clear()
    for link in (*links, writer):
        link.close()
    return {"first": latencies(first), "last": latencies(last), "answered": latencies(answered)}


async def fan_out(target: Target, watchers: int) -> dict[str, Any]:
    """A small object is patched ``EVENTS_PER_S`` times a second: from sending each patch to its event, by watcher."""
    writer = await target.connect()
    body = json.dumps({"metadata": {"name": "watched"}}).encode()
    made = json.loads(await writer.ok(request("POST", CONFIGMAPS, body)))
    path = f"{CONFIGMAPS}?watch=true&resourceVersion={made['metadata']['resourceVersion']}"
    sent: list[float] = []
    seconds: list[float] = []
    counts = [0] * watchers
    links = []
    for number in range(watchers):
        link = await target.connect()
        tail = bytearray()

        def on_bytes(data: bytes, number: int = number, tail: bytearray = tail) -> None:
            now = time.perf_counter()
            tail += data
            for _ in range(tail.count(CHANGED)):
                seconds.append(now - sent[counts[number]])
                counts[number] += 1
            del tail[: -len(CHANGED) + 1]

        link.stream(request("GET", path), on_bytes)
        links.append(link)
    await asyncio.sleep(1)
    begin = time.perf_counter()
    for number in range(EVENTS):
        await asyncio.sleep(max(0.0, begin + number / EVENTS_PER_S - time.perf_counter()))
        patch = json.dumps({"data": {"number": str(number)}}).encode()
        sent.append(time.perf_counter())
        await writer.ok(request("PATCH", f"{CONFIGMAPS}/watched", patch, MERGE_PATCH))
    took_s = time.perf_counter() - begin
    deadline_s = time.perf_counter() + 20
    while sum(counts) < watchers * EVENTS and time.perf_counter() < deadline_s:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    for link in (*links, writer):
        link.close()
    missing = watchers * EVENTS - sum(counts)
    return {"events_per_s": round(EVENTS / took_s, 1), "missing": missing, **latencies(seconds)}


SCENARIOS: dict[str, Callable[[Target, int], Awaitable[dict[str, Any]]]] = {
    "create": create,
    "create-apart": create_apart,
    "get": get,
    "list": list_pods,
    "seed": seed,
    "fan-out": fan_out,
    "watch": watch,
}


async def run(target: Target, scenario: str, argument: int) -> dict[str, Any]:
    """The scenario, once pods may be made: the service account is what a controller would have brought."""
    link = await target.connect()
    account = json.dumps({"metadata": {"name": "default"}}).encode()
    await link.send(request("POST", "/api/v1/namespaces/default/serviceaccounts", account))
    link.close()
    return await SCENARIOS[scenario](target, argument)


def main() -> None:
    scenario, data_dir, port, argument = sys.argv[1:]
    target = Target.of(Path(data_dir), int(port))
    print(json.dumps(uvloop.run(run(target, scenario, int(argument)))))


if __name__ == "__main__":
    main()
