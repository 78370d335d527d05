"""Leader election over a lease server small enough to break at will, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from picluster.api.errors import ApiError, conflict, internal, not_found
from picluster.client import Client, ClientConfig
from picluster.runtime import LeaderElector, LeadershipLost
from picluster.util.clock import VirtualClock


class LeaseServer:
    """One lease with optimistic concurrency; ``broken`` makes every request fail."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.broken = False
        self._revision = 0

    async def handle(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(self._answer(request.method, await request.read()))
        except ApiError as error:
            return web.json_response(error.status(), status=error.code)

    def _answer(self, method: str, body: bytes) -> dict[str, Any]:
        if self.broken:
            raise internal("broken")
        if method == "GET":
            if self.lease is None:
                raise not_found("coordination.k8s.io", "leases", "lead")
            return self.lease
        wanted = json.loads(body)
        if self.lease is not None and wanted["metadata"].get("resourceVersion") != str(self._revision):
            raise conflict("coordination.k8s.io", "leases", "lead")
        self._revision += 1
        wanted["metadata"]["resourceVersion"] = str(self._revision)
        self.lease = wanted
        return wanted

    @property
    def holder(self) -> str:
        return str(self.lease["spec"]["holderIdentity"]) if self.lease is not None else ""


@contextlib.asynccontextmanager
async def lease_server() -> AsyncIterator[tuple[LeaseServer, Client]]:
    leases = LeaseServer()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", leases.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with Client(ClientConfig(f"http://127.0.0.1:{runner.addresses[0][1]}")) as client:
        yield leases, client
    await runner.cleanup()


class Candidate:
    def __init__(self, client: Client, name: str, clock: VirtualClock) -> None:
        self.leads = False
        self.elector = LeaderElector(client, "lead", name, clock=clock)
        self.task = asyncio.create_task(self.elector.run(self._lead))

    async def _lead(self) -> None:
        self.leads = True
        try:
            await asyncio.Event().wait()
        finally:
            self.leads = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def pass_time(clock: VirtualClock, seconds: float) -> None:
    """Virtual seconds, with real moments in between for the network."""
    for _ in range(int(seconds * 2)):
        await clock.advance(0.5)
        await asyncio.sleep(0.005)


async def until(clock: VirtualClock, candidate: Candidate, within_s: float) -> float:
    waited_s = 0.0
    while not candidate.leads:
        assert waited_s < within_s, f"nobody leads after {waited_s} s"
        await pass_time(clock, 0.5)
        waited_s += 0.5
    return waited_s


async def test_a_dead_leaders_lease_runs_out_on_the_candidates_own_clock() -> None:
    async with lease_server() as (leases, client):
        clock = VirtualClock()
        leases._answer("POST", json.dumps({
            "metadata": {"name": "lead"},
            "spec": {"holderIdentity": "dead", "leaseDurationSeconds": 15, "renewTime": "2999-01-01T00:00:00.000000Z"},
        }).encode())  # fmt: skip
        second = Candidate(client, "b", clock)
        await pass_time(clock, 12)
        assert not second.leads
        await until(clock, second, 8)
        assert leases.holder == "b"
        await second.stop()
        assert leases.holder == ""


async def test_a_leader_that_cannot_renew_stops_before_another_may_start() -> None:
    async with lease_server() as (leases, client):
        clock = VirtualClock()
        first = Candidate(client, "a", clock)
        await until(clock, first, 4)
        await pass_time(clock, 30)
        assert first.leads
        leases.broken = True
        await pass_time(clock, 7)
        assert first.leads
        await pass_time(clock, 7)
        assert not first.leads
        with pytest.raises(LeadershipLost, match="a lost lead"):
            await first.task


async def test_only_one_of_many_leads() -> None:
    async with lease_server() as (_, client):
        clock = VirtualClock()
        candidates = [Candidate(client, name, clock) for name in "abc"]
        for _ in range(3):
            await pass_time(clock, 6)
            assert sum(candidate.leads for candidate in candidates) <= 1
        leader = next(candidate for candidate in candidates if candidate.leads)
        await leader.stop()
        await pass_time(clock, 6)
        assert sum(candidate.leads for candidate in candidates) == 1
        for candidate in candidates:
            await candidate.stop()


def test_timings_that_cannot_work_are_refused() -> None:
    client = Client(ClientConfig("http://127.0.0.1:1"))
    with pytest.raises(ValueError, match="must outlast"):
        LeaderElector(client, "lead", "a", lease_duration_s=5, renew_deadline_s=5, retry_s=1)
