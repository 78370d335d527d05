"""The node agent on a node of its own, with a real API server and a real Podman; prints one JSON object.

``python tests/bench/agent.py SCENARIO ARGUMENT``, as root, with a ``/run`` of its own in memory (``run.py`` has it so):

    ready 40        pods one at a time, from bound (they are created bound) to Ready, image present
    burst 30        as many at once: until all are Ready
    many 100        memory of the agent and freshness of statuses with so many probed pods
    idle 30         processor time, of the agent and of what it runs, and bytes written, with so many idle probed pods
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from agent_node import NODE, AgentNode, PodmanService, container, missing_here
from load import latencies
from server_process import ServerProcess

from picluster.api.meta import condition_is
from picluster.api.resources import PODS
from picluster.client import Client, ClientConfig, Informer

RUN_DIR = "/run/picluster-bench"
SETTLE_S = 20.0
IDLE_S = 60.0
READY_MAX_S = 170.0
HTTP = {"httpGet": {"path": "/etc/hosts", "port": 8080}, "periodSeconds": 10}
TCP = {"tcpSocket": {"port": 8080}, "periodSeconds": 10}
EXEC = {"exec": {"command": ["true"]}, "periodSeconds": 10}
EXEC_EVERY = 10
"""One pod in so many asks by a command."""


@contextlib.asynccontextmanager
async def node() -> AsyncIterator[AgentNode]:
    """An API server, a Podman service and an agent; nothing of them is left behind."""
    root = Path(tempfile.mkdtemp(prefix="picluster-bench-agent-"))
    (root / "podman").mkdir()
    podman, server = PodmanService(root / "podman"), ServerProcess(root / "server", "--role", "apiserver")
    podman.configure()
    made = None
    try:
        podman.import_image()
        podman.start()
        server.start()
        async with Client(ClientConfig.from_kubeconfig(server.kubeconfig)) as client:
            made = AgentNode(root, podman, server, client, {"log_level": "INFO", "run_dir": RUN_DIR})
            await made.prepare()
            made.start()
            await made.eventually(made.registered, "the node to be Ready")
            yield made
    finally:
        if made is not None:
            made.clean()
        server.kill()
        podman.clean()
        shutil.rmtree(root, ignore_errors=True)


def web(name: str, number: int = 0) -> dict[str, Any]:
    """A web server that is asked whether it is ready, and whether it lives."""
    liveness = EXEC if number % EXEC_EVERY == EXEC_EVERY - 1 else TCP
    ports = [{"containerPort": 8080}]
    box = container("web", "httpd", "-f", "-p", "8080", ports=ports, readinessProbe=HTTP, livenessProbe=liveness)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "nodeName": NODE,
            "terminationGracePeriodSeconds": 1,
            "tolerations": [{"operator": "Exists"}],
            "containers": [box],
        },
    }


class Follower:
    """When each pod was seen to be Ready, as a client of the API server sees it."""

    def __init__(self, client: Client) -> None:
        self.ready_s: dict[str, float] = {}
        self.changed = asyncio.Event()
        self.informer = Informer(client, PODS, namespace="default")
        self.informer.add_handler(self._seen)

    def _seen(self, _: Any, new: Any) -> None:
        if new is not None and condition_is(new, "Ready"):
            self.ready_s.setdefault(new["metadata"]["name"], time.perf_counter())
            self.changed.set()

    async def wait(self, names: list[str]) -> None:
        async with asyncio.timeout(READY_MAX_S):
            while not all(name in self.ready_s for name in names):
                self.changed.clear()
                await self.changed.wait()


@contextlib.asynccontextmanager
async def followed() -> AsyncIterator[tuple[AgentNode, Follower]]:
    async with node() as made:
        follower = Follower(made.client)
        following = asyncio.ensure_future(follower.informer.run())
        await follower.informer.wait_synced()
        await made.run(web("warm"))
        await follower.wait(["warm"])
        try:
            yield made, follower
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def start(made: AgentNode, follower: Follower, count: int) -> list[str]:
    names = [f"web-{number}" for number in range(count)]
    await asyncio.gather(*(made.run(web(name, number)) for number, name in enumerate(names)))
    await follower.wait(names)
    return names


async def ready(count: int) -> dict[str, Any]:
    seconds = []
    async with followed() as (made, follower):
        for number in range(count):
            begin_s = time.perf_counter()
            await made.run(web(f"web-{number}"))
            await follower.wait([f"web-{number}"])
            seconds.append(follower.ready_s[f"web-{number}"] - begin_s)
            if number >= 10:  # a node with some pods, not with ever more
                await made.client.delete(PODS, f"web-{number - 10}", namespace="default", grace_period_s=0)
    return latencies(seconds)


async def burst(count: int) -> dict[str, Any]:
    async with followed() as (made, follower):
        begin_s = time.perf_counter()
        names = await start(made, follower, count)
        return {"all_s": round(max(follower.ready_s[name] for name in names) - begin_s, 2)}


async def many(count: int) -> dict[str, Any]:
    """Memory after all are Ready and quiet, and how soon the status of one that is killed is told."""
    async with followed() as (made, follower):
        begin_s = time.perf_counter()
        await start(made, follower, count)
        all_s = time.perf_counter() - begin_s
        await asyncio.sleep(SETTLE_S)
        assert made.process is not None
        rss_mib = memory_mib(made.process.pid)
        status = (await made.client.get(PODS, "web-0", namespace="default"))["status"]["containerStatuses"][0]
        killed_s = time.perf_counter()
        made.podman.podman("kill", status["containerID"].removeprefix("podman://"))

        async def restarted() -> bool:
            now = (await made.client.get(PODS, "web-0", namespace="default"))["status"]["containerStatuses"][0]
            return bool(now["restartCount"] == 1 and now["ready"])

        await made.eventually(restarted, "the killed container to be Ready again")
        fresh_s = time.perf_counter() - killed_s
        running = sum(one["State"] == "running" for one in made.podman.containers())
        return {
            "rss_mib": round(rss_mib, 1),
            "all_s": round(all_s, 1),
            "restarted_s": round(fresh_s, 2),
            "running": running,
        }


async def idle(count: int) -> dict[str, Any]:
    async with followed() as (made, follower):
        await start(made, follower, count)
        await asyncio.sleep(SETTLE_S)
        assert made.process is not None
        pid = made.process.pid
        before, written = cpu_s(pid), written_bytes(pid)
        await asyncio.sleep(IDLE_S)
        own, children = (now - then for now, then in zip(cpu_s(pid), before, strict=True))
        per_hour = (written_bytes(pid) - written) * 3600 / IDLE_S
        return {
            "rss_mib": round(memory_mib(pid), 1),
            "cpu_percent": round(100 * own / IDLE_S, 2),
            "children_cpu_percent": round(100 * children / IDLE_S, 2),
            "written_mib_per_hour": round(per_hour / 2**20, 3),
        }


def memory_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def cpu_s(pid: int) -> tuple[float, float]:
    """Of the process itself, and of its children that have ended."""
    fields = [int(one) for one in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]]
    ticks = os.sysconf("SC_CLK_TCK")
    return (fields[0] + fields[1]) / ticks, (fields[2] + fields[3]) / ticks


def written_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    raise RuntimeError("no write_bytes")


SCENARIOS: dict[str, Callable[[int], Awaitable[dict[str, Any]]]] = {
    "ready": ready,
    "burst": burst,
    "many": many,
    "idle": idle,
}


if __name__ == "__main__":
    if missing := missing_here():
        sys.exit(f"pods cannot run here: {missing}")
    print(json.dumps(asyncio.run(SCENARIOS[sys.argv[1]](int(sys.argv[2])))))
