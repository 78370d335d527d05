"""Who is let in, who waits, who is refused: the controller on an event loop of its own, without any server."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from picluster.api.errors import ApiError
from picluster.api.resources import FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS, Resource
from picluster.api.serialize import encode
from picluster.apiserver.authn import User
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.flowcontrol import controller, dumps, figures
from picluster.apiserver.flowcontrol.controller import FlowControl, Seat, is_long
from picluster.apiserver.flowcontrol.objects import objects
from picluster.apiserver.metrics import Metrics
from picluster.apiserver.requestinfo import RequestInfo, request_info
from picluster.storage.backend import Event
from picluster.util.clock import VirtualClock

SEATS = 49
"""``workload-low`` has 20 of them, and 10 of the other levels' it may borrow."""
LOW, LENT = 20, 10
PODS = "/api/v1/namespaces/default/pods"
AUTHENTICATED = "system:authenticated"
ADMIN = User("admin", frozenset({"system:masters", AUTHENTICATED}))
NODE = User("system:node:pi-1", frozenset({"system:nodes", AUTHENTICATED}))
OPS = User("ops", frozenset({"ops"}))
REVISIONS = itertools.count(1)


def account(name: str) -> User:
    return User(f"system:serviceaccount:ci:{name}", frozenset({"system:serviceaccounts", AUTHENTICATED}))


def asked(path: str = f"{PODS}/a", method: str = "GET") -> RequestInfo:
    return request_info(method, path, Catalog())


def nobody_leaves(callback: Callable[[], None]) -> Callable[[], None]:
    return lambda: None


class World:
    def __init__(self) -> None:
        self.cache = WatchCache()
        self.metrics = Metrics(self.cache)
        self.control = FlowControl(self.cache, self.metrics, VirtualClock(), SEATS)
        self.control.load()
        self.metrics.add(figures.Figures(self.control))

    def put(self, resource: Resource, obj: dict[str, Any]) -> None:
        name = obj["metadata"]["name"]
        obj = {"kind": resource.kind, **obj, "metadata": {"uid": f"uid-{name}", **obj["metadata"]}}
        self.cache.apply([Event(next(REVISIONS), f"{resource.stored_as}//{name}", encode(obj))])

    def level(self, name: str, response: dict[str, Any], shares: int = 0) -> None:
        limited = {"nominalConcurrencyShares": shares, "limitResponse": response, "borrowingLimitPercent": 0}
        obj = {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}}
        self.put(PRIORITY_LEVEL_CONFIGURATIONS, obj)

    def schema(self, name: str, group: str, precedence: int = 3) -> None:
        rule = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]}
        subject = {"kind": "Group", "group": {"name": group}}
        spec = {
            "priorityLevelConfiguration": {"name": name},
            "matchingPrecedence": precedence,
            "rules": [{"subjects": [subject], "resourceRules": [rule]}],
        }
        self.put(FLOW_SCHEMAS, {"metadata": {"name": name}, "spec": spec})

    def take(self, user: User, info: RequestInfo | None = None) -> Seat | None:
        info = info or asked()
        return self.control.take(self.control.flow(user, info), info)

    async def enter(
        self, user: User, info: RequestInfo | None = None, on_lost: controller.OnLost = nobody_leaves
    ) -> Seat:
        info = info or asked()
        flow = self.control.flow(user, info)
        return self.control.take(flow, info) or await self.control.wait(flow, info, on_lost)

    def fill(self, user: User) -> list[Seat]:
        """Take every seat that there is for ``user``."""
        seats: list[Seat] = []
        while (seat := self.take(user)) is not None:
            seats.append(seat)
        return seats

    def metric(self, name: str, **labels: str) -> float:
        text = self.metrics.render().decode()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = [line for line in text.splitlines() if line.startswith(f"apiserver_flowcontrol_{name}")]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in wanted))


@pytest.fixture
def world() -> World:
    world = World()
    for resource, obj in objects():
        world.put(resource, obj)
    return world


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_seats_are_free_again_at_the_next_turn_of_the_loop(world: World) -> None:
    seats = world.fill(account("flood"))
    assert len(seats) == LOW + LENT
    for seat in seats:
        seat.free()
        seat.free()
    assert world.take(account("flood")) is None
    await settle()
    assert len(world.fill(account("flood"))) == LOW + LENT


async def test_other_levels_keep_their_seats_in_a_flood(world: World) -> None:
    world.fill(account("flood"))
    lease = asked("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/pi-1", "PUT")
    assert len([world.take(NODE, lease) for _ in range(8)]) == 8
    assert world.take(User("jane", frozenset({AUTHENTICATED}))) is not None


async def test_what_was_lent_goes_back_first(world: World) -> None:
    seats = world.fill(account("flood"))
    node = [world.take(NODE) for _ in range(6)]
    assert all(node), "all seats of the level system, though two of them are lent"
    for seat in seats[:2]:
        seat.free()
    await settle()
    assert world.take(account("flood")) is None


async def test_masters_are_never_held_up(world: World) -> None:
    assert len([world.take(ADMIN) for _ in range(500)]) == 500
    assert world.metric("current_executing_requests", priority_level="exempt", flow_schema="exempt") == 500


async def test_flows_of_a_level_take_turns(world: World) -> None:
    seats, order = world.fill(account("flood")), []

    async def work(name: str) -> None:
        seat = await world.enter(account(name))
        order.append(name)
        await asyncio.sleep(0)
        seat.free()

    tasks = [asyncio.create_task(work("flood")) for _ in range(60)]
    await settle()
    tasks.append(asyncio.create_task(work("calm")))
    await settle()
    assert world.metric("current_inqueue_requests", priority_level="workload-low") == 61
    for seat in seats:
        seat.free()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert order.index("calm") <= 7, "a flow has six queues, so that one more is the seventh"
    assert world.metric("current_inqueue_requests", priority_level="workload-low") == 0
    waited = "request_wait_duration_seconds_count"
    assert world.metric(waited, priority_level="workload-low", execute="true") == 61
    await settle()
    assert world.control.levels["workload-low"].executing == 0


async def refused(world: World, user: User) -> ApiError:
    with pytest.raises(ApiError) as found:
        await world.enter(user)
    assert (found.value.code, found.value.reason) == (429, "TooManyRequests")
    assert found.value.message == "too many requests, please try again later"
    assert found.value.details == {"retryAfterSeconds": 1}
    return found.value


async def test_a_level_without_queues_refuses(world: World) -> None:
    world.level("ops", {"type": "Reject"})
    world.schema("ops", "ops")
    assert len(world.fill(OPS)) == 1, "without shares one runs alone"
    await refused(world, OPS)
    assert world.metric("rejected_requests_total", flow_schema="ops", reason="concurrency-limit") == 1


async def test_who_finds_all_his_queues_full_is_refused(world: World) -> None:
    world.level("ops", {"type": "Queue", "queuing": {"queues": 4, "handSize": 2, "queueLengthLimit": 3}})
    world.schema("ops", "ops")
    world.fill(OPS)
    tasks = [asyncio.create_task(world.enter(OPS)) for _ in range(6)]
    await settle()
    await refused(world, OPS)
    assert world.metric("rejected_requests_total", flow_schema="ops", reason="queue-full") == 1
    world.control.stop()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [getattr(each, "code", 0) for each in ended] == [429] * 6


async def test_nobody_waits_longer_than_the_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "WAIT_MAX_S", 0.0)
    world.fill(account("flood"))
    await refused(world, account("late"))
    assert world.metric("rejected_requests_total", flow_schema="service-accounts", reason="time-out") == 1
    assert world.control.levels["workload-low"].waiting == 0


async def test_a_client_that_is_gone_waits_no_longer(world: World) -> None:
    seats, gone = world.fill(account("flood")), []

    def on_lost(callback: Callable[[], None]) -> Callable[[], None]:
        gone.append(callback)
        return gone.clear

    task = asyncio.create_task(world.enter(account("late"), on_lost=on_lost))
    await settle()
    gone[0]()
    with pytest.raises(ConnectionResetError):
        await task
    assert not gone, "the connection is told no more"
    assert world.metric("rejected_requests_total", reason="cancelled") == 1
    for seat in seats:
        seat.free()
    await settle()
    assert world.control.levels["workload-low"].executing == 0


@pytest.mark.parametrize("served", [False, True])
async def test_a_handler_that_is_cancelled_leaves_no_seat_taken(world: World, served: bool) -> None:
    seats = world.fill(account("flood"))
    task = asyncio.create_task(world.enter(account("late")))
    await settle()
    if served:
        for seat in seats:
            seat.free()
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for seat in seats:
        seat.free()
    await settle()
    level = world.control.levels["workload-low"]
    assert (level.executing, level.waiting, world.metric("current_executing_requests")) == (0, 0, 0)


async def test_a_classification_is_kept_until_something_changes(world: World) -> None:
    flow = world.control.flow(OPS, asked())
    assert flow.usage.schema == "catch-all"
    assert world.control.flow(OPS, asked(f"{PODS}/b")) is flow
    assert world.control.flow(OPS, asked("/api/v1/namespaces/other/pods/b")) is not flow
    world.schema("ops", "ops")
    assert world.control.flow(OPS, asked()).usage.schema == "catch-all", "its level is not there yet"
    world.level("ops", {"type": "Reject"})
    flow = world.control.flow(OPS, asked())
    assert flow.usage.schema == "ops"
    assert dict(flow.headers) == {
        "X-Kubernetes-PF-FlowSchema-UID": "uid-ops", "X-Kubernetes-PF-PriorityLevel-UID": "uid-ops",
    }  # fmt: skip


async def test_a_level_keeps_count_over_changes_of_its_limits(world: World) -> None:
    seats = [world.take(account("a")) for _ in range(3)]
    world.level("workload-low", {"type": "Reject"}, shares=1)
    world.control.flow(OPS, asked())
    level = world.control.levels["workload-low"]
    assert (level.executing, level.limits.queues) == (3, 0)
    for seat in seats:
        assert seat is not None
        seat.free()
    await settle()
    assert level.executing == 0


@pytest.mark.parametrize(
    ("path", "width"),
    [
        ("/api/v1/configmaps", 3),
        ("/api/v1/configmaps?limit=50", 1),
        ("/api/v1/configmaps?limit=50&labelSelector=a", 3),
        ("/api/v1/configmaps?limit=x", 3),
        ("/api/v1/configmaps?fieldSelector=metadata.name%3Da", 1),
        ("/api/v1/configmaps?watch=1&resourceVersion=9", 1),
        ("/api/v1/configmaps?watch=1", 3),
        ("/api/v1/configmaps?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=9", 3),
        ("/api/v1/secrets", 1),
        ("/api/v1/namespaces/default/configmaps/a", 1),
        ("/version", 1),
    ],
)
async def test_a_list_is_as_wide_as_what_it_looks_at(world: World, path: str, width: int) -> None:
    events = [
        Event(next(REVISIONS), f"configmaps/default/m{at}", encode({"metadata": {"name": f"m{at}"}}))
        for at in range(250)
    ]
    world.cache.apply(events)
    assert world.take(account("a"), asked(path)) is not None
    assert world.control.levels["workload-low"].executing == width


def test_what_lasts_holds_no_seat_but_a_watch_while_it_begins() -> None:
    long = [f"{PODS}/a/log", f"{PODS}/a/exec", f"{PODS}/a/attach", f"{PODS}/a/portforward", f"{PODS}/a/proxy/x"]
    assert all(is_long(asked(path)) for path in long)
    assert not any(is_long(asked(path)) for path in (PODS, f"{PODS}?watch=1", f"{PODS}/a/status", "/version"))


async def test_levels_can_be_looked_at(world: World) -> None:
    assert world.take(account("a")) is not None
    lines = dumps.levels(world.control).splitlines()
    assert lines[0].split() == [f"{column}," for column in dumps.LEVELS[:-1]] + [dumps.LEVELS[-1]]
    assert lines[-1].split() == ["workload-low,", "0,", "false,", "false,", "0,", "1,", "1,", "0,", "0,", "0"]
    assert len({line.index(cell) for line, cell in zip(lines[1:], [" 0,"] * 8, strict=True)}) == 1
