"""Lets requests in: at once while their level has seats, in fair order when it has none.

One event loop serves everybody, so a request that never waits for anything would give its seat back before the next one
is looked at, and a thousand of them would hold up the loop without one seat ever being missing. Seats of requests that
are done are therefore free only at the next turn of the loop. Within a turn a level serves no more than its seats; the
rest waits in queues, and between two turns the loop reads what others have sent: a node's heartbeat waits for one
turn of a flood, not for the flood.

What a request is classified as is kept per user, verb, resource and namespace until a flow schema or a priority level
changes; they are compiled when the next request asks. A level that has used up its seats borrows idle ones of others
seat by seat, and a level always has its own, so nothing has to be adjusted periodically.

Source: ``pkg/util/flowcontrol``, ``server/filters/priority-and-fairness.go`` and ``pkg/util/flowcontrol/request`` (how
wide a request is) of k8s.io/apiserver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import orjson

from picluster.api import errors
from picluster.api.resources import FLOW_SCHEMAS, NAMESPACES, PRIORITY_LEVEL_CONFIGURATIONS
from picluster.api.types import Object
from picluster.apiserver.authn import User
from picluster.apiserver.authz import MASTERS
from picluster.apiserver.authz.attributes import Attributes, of_request
from picluster.apiserver.cache.history import Change
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.flowcontrol.levels import Level, Limits, Ticket, Usage, deal, limits_of, may_borrow
from picluster.apiserver.flowcontrol.rules import Schema, choose, schemas
from picluster.apiserver.metrics import Metrics
from picluster.apiserver.requestfigures import key_of
from picluster.apiserver.requestinfo import Query, RequestInfo
from picluster.util.clock import Clock

FLOWS_MAX = 4096
WAIT_MAX_S = 15.0
"""A quarter of the time that a request may take."""
RETRY_AFTER_S = 1
OBJECTS_PER_SEAT = 100
SCHEMA_HEADER = "X-Kubernetes-PF-FlowSchema-UID"
LEVEL_HEADER = "X-Kubernetes-PF-PriorityLevel-UID"
LONG_VERBS = frozenset({"proxy"})
LONG_SUBRESOURCES = frozenset({"attach", "exec", "log", "portforward", "proxy"})
FULL, NO_SEATS, TIMED_OUT, CANCELLED = "queue-full", "concurrency-limit", "time-out", "cancelled"
"""Why a request is not served, as the metric says it."""
OnLost = Callable[[Callable[[], None]], Callable[[], None]]
"""Calls what it is given when the client is gone; returns what takes that back."""


class Waiting(NamedTuple):
    """A request in a queue, for who looks at it."""

    user: str
    distinguisher: str
    info: RequestInfo
    arrived_s: float


class Flow:
    """What requests that nobody needs to tell apart have in common: their schema, their level and their hand."""

    __slots__ = ("_hand", "distinguisher", "headers", "level", "usage", "user")

    def __init__(self, schema: Schema, level: Level, usage: Usage, distinguisher: str, user: str) -> None:
        self.user = user
        self.level = level
        self.usage = usage
        self.headers = ((SCHEMA_HEADER, schema.uid), (LEVEL_HEADER, level.uid)) if schema.uid and level.uid else ()
        self.distinguisher = distinguisher
        self._hand: tuple[int, ...] = ()

    def hand(self, limits: Limits) -> tuple[int, ...]:
        """A flow lives no longer than its level's limits, so that it is dealt to once."""
        if not self._hand:
            self._hand = deal(self.usage.schema, self.distinguisher, limits)
        return self._hand


class Seat:
    """The seats of one request; ``free`` is safe to call twice."""

    __slots__ = ("_control", "_width", "flow")

    def __init__(self, control: FlowControl, flow: Flow, width: int) -> None:
        self._control = control
        self._width = width
        self.flow = flow

    def free(self) -> None:
        width, self._width = self._width, 0
        if width:
            self._control.finish(self.flow, width)


class FlowControl:
    """``load`` once the cache holds what the store holds; before that, what is mandatory is in force."""

    def __init__(self, cache: WatchCache, metrics: Metrics, clock: Clock, seats: int) -> None:
        self.levels: dict[str, Level] = {}
        self.usages: dict[tuple[str, str], Usage] = {}
        self._cache = cache
        self._metrics = metrics
        self._clock = clock
        self._seats = seats
        self._schemas: tuple[Schema, ...] = ()
        self._stale = True
        self._flows: dict[tuple[object, ...], Flow] = {}
        self._masters: Flow | None = None
        self._spent: set[Level] = set()
        self._contended: dict[Level, None] = {}
        self._turning = False

    def load(self) -> None:
        for resource in (FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS):
            self._cache.collection(resource).listeners.append(self._on_change)

    def flow(self, user: User, info: RequestInfo) -> Flow:
        """What a request is classified as."""
        groups = user.groups
        if MASTERS in groups:
            return self._masters or self._flow_of_masters(user)
        verb, path, target, _ = info
        resource = target.resource
        key: tuple[object, ...]
        if resource is None:
            key = (user.name, groups, verb, path)
        else:
            place = target.name if resource is NAMESPACES else target.namespace
            key = (user.name, groups, verb, resource.plural, resource.group, target.subresource, place)
        return self._flows.get(key) or self._classify(key, of_request(user, info))

    def take(self, flow: Flow, info: RequestInfo) -> Seat | None:
        """The seats of a request, if it need not wait for them."""
        level = flow.level
        width = 1 if info.verb not in ("list", "watch") else min(self._width(info), level.width_max)
        if not level.exempt and (level.waiting or not self._has_seats(level, width)):
            return None
        level.executing += width
        flow.usage.executing += 1
        flow.usage.dispatched += 1
        return Seat(self, flow, width)

    async def wait(self, flow: Flow, info: RequestInfo, on_lost: OnLost) -> Seat:
        """The seats of a request that ``take`` had none for; raises ``ApiError`` 429 or ``ConnectionError``."""
        level, loop = flow.level, asyncio.get_running_loop()
        if not level.limits.queues:
            raise self._refused(flow.usage, NO_SEATS, info)
        settled: asyncio.Future[None] = loop.create_future()
        what = Waiting(flow.user, flow.distinguisher, info, self._clock.now())
        ticket = Ticket(flow.usage, min(self._width(info), level.width_max), partial(_wake, settled), what)
        if not level.enqueue(ticket, flow.hand(level.limits)):
            raise self._refused(flow.usage, FULL, info)
        self._contended[level] = None
        self._ensure_turn()
        started_s = self._clock.monotonic()
        timer = loop.call_later(WAIT_MAX_S, self._give_up, level, ticket, TIMED_OUT)
        forget = on_lost(partial(self._give_up, level, ticket, CANCELLED))
        try:
            await settled
        except asyncio.CancelledError:
            self._abandon(flow, ticket)
            raise
        finally:
            timer.cancel()
            forget()
        waited_s = self._clock.monotonic() - started_s
        executed = "false" if ticket.outcome else "true"
        self._metrics.flow_wait_seconds.labels(level.name, flow.usage.schema, executed).observe(waited_s)
        if ticket.outcome:
            raise self._refused(flow.usage, ticket.outcome, info)
        return Seat(self, flow, ticket.width)

    def finish(self, flow: Flow, width: int) -> None:
        """A request is done: its seats are free from the next turn on."""
        level = flow.level
        flow.usage.executing -= 1
        if level.exempt:
            level.executing -= width
            return
        level.spent += width
        self._spent.add(level)
        if not self._turning:
            self._ensure_turn()

    def stop(self) -> None:
        """Refuse who waits: the server stops."""
        for level in list(self._contended):
            for ticket in level.withdraw_all():
                ticket.settle(TIMED_OUT)
        self._contended.clear()

    def _ensure_turn(self) -> None:
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turning = False
        for level in self._spent:
            level.executing -= level.spent
            level.spent = 0
        self._spent.clear()
        if self._contended:
            self._dispatch()

    def _dispatch(self) -> None:
        """Everybody's own seats first, then what can be borrowed, one request of each level after the other."""
        for level in list(self._contended):
            while (width := level.next_width()) and level.fits(width):
                level.dispatch().settle("")
        borrowers = [level for level in self._contended if level.waiting]
        while borrowers:
            borrowers = [level for level in borrowers if self._borrow_for(level)]
        for level in [level for level in self._contended if not level.waiting]:
            del self._contended[level]

    def _borrow_for(self, level: Level) -> bool:
        width = level.next_width()
        if not width or not may_borrow(level, width, self.levels):
            return False
        level.dispatch().settle("")
        return True

    def _has_seats(self, level: Level, width: int) -> bool:
        return level.fits(width) or may_borrow(level, width, self.levels)

    def _give_up(self, level: Level, ticket: Ticket, reason: str) -> None:
        if level.withdraw(ticket):
            ticket.settle(reason)
            self._ensure_turn()

    def _abandon(self, flow: Flow, ticket: Ticket) -> None:
        """The handler was cancelled while it waited, or as its turn came."""
        if not flow.level.withdraw(ticket) and ticket.outcome == "":
            self.finish(flow, ticket.width)

    def _refused(self, usage: Usage, reason: str, info: RequestInfo) -> Exception:
        usage.rejected[reason] = usage.rejected.get(reason, 0) + 1
        if reason == CANCELLED:
            return ConnectionResetError("the client is gone")
        self._metrics.terminated(key_of(info), 429)
        return errors.too_many_requests("too many requests, please try again later", RETRY_AFTER_S)

    def _width(self, info: RequestInfo) -> int:
        """Seats for the objects that a list has to look at; a watch that lists first is a list until it has."""
        verb, _, target, query = info
        if verb not in ("list", "watch") or target.resource is None or (verb == "watch" and not _lists(query)):
            return 1
        collection = self._cache.collections.get(target.resource.stored_as)
        if collection is None or "metadata.name=" in query.get("fieldSelector", ""):
            return 1
        objects = len(collection)
        limit = query.get("limit", "")
        if limit.isdecimal() and int(limit) and "labelSelector" not in query and "fieldSelector" not in query:
            objects = min(objects, int(limit))
        return max(1, -(-objects // OBJECTS_PER_SEAT))

    def _on_change(self, change: Change) -> None:
        self._stale = True
        self._flows.clear()
        self._masters = None

    def _classify(self, key: tuple[object, ...], asked: Attributes) -> Flow:
        if self._stale:
            self._compile()
        if len(self._flows) >= FLOWS_MAX:
            self._flows.clear()
        flow = self._flows[key] = self._made(asked)
        return flow

    def _flow_of_masters(self, user: User) -> Flow:
        """They are exempt by a schema that is first and cannot be changed."""
        if self._stale:
            self._compile()
        self._masters = self._made(Attributes(user, "get", path="/", is_resource=False))
        return self._masters

    def _made(self, asked: Attributes) -> Flow:
        schema = choose(self._schemas, asked)
        usage = self.usages.setdefault((schema.level, schema.name), Usage(schema.name, schema.level))
        return Flow(schema, self.levels[schema.level], usage, schema.distinguisher(asked), asked.user.name)

    def _compile(self) -> None:
        found = self._objects(PRIORITY_LEVEL_CONFIGURATIONS.stored_as)
        limits = limits_of({obj["metadata"]["name"]: obj["spec"] for obj in found}, self._seats)
        uids = {obj["metadata"]["name"]: obj["metadata"].get("uid", "") for obj in found}
        known, self.levels = self.levels, {}
        for name, wanted in limits.items():
            level = self.levels[name] = known.get(name) or Level(name, wanted)
            level.set_limits(wanted)
            level.uid = uids.get(name, "")
        self._schemas = schemas(self._objects(FLOW_SCHEMAS.stored_as), self.levels)
        used = {(schema.level, schema.name) for schema in self._schemas}
        self.usages = {key: usage for key, usage in self.usages.items() if key in used}
        self._stale = False

    def _objects(self, stored_as: str) -> list[Object]:
        return [orjson.loads(entry.wire) for entry in self._cache.collections[stored_as].entries.values()]


def is_long(info: RequestInfo) -> bool:
    """Whether a request lasts as long as its client wants it to; those hold no seats. A watch begins with a list."""
    return info.target.subresource in LONG_SUBRESOURCES or info.verb in LONG_VERBS


def _wake(settled: asyncio.Future[None]) -> None:
    if not settled.done():
        settled.set_result(None)


def _lists(query: Query) -> bool:
    return "sendInitialEvents" in query or query.get("resourceVersion", "") in ("", "0")
