"""A priority level at work: its seats, and whose turn it is when they are taken. PURE.

A request takes as many seats as its work is wide and gives them back when it is done. When there are none it waits in
one of the level's queues: its flow is dealt a hand of them (shuffle sharding), and it joins the shortest, so that a
flow that floods fills its own hand and shares few queues with any other. Queues take turns by start-time fair queuing:
each has a tag that grows by the width of what it sends, the lowest tag is next, and a queue that was idle starts at the
present tag, so that nobody saves up turns.

Source: ``util/flowcontrol/fairqueuing/queueset`` and ``util/shufflesharding`` of k8s.io/apiserver.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from picluster.api.types import Object
from picluster.api.validation.flowcontrol import MANDATORY_PRIORITY_LEVELS

WIDTH_MAX = 10
WIDTH_SHARE_MAX = 0.15
"""The most seats of one request, absolutely and of its level's."""


class Limits(NamedTuple):
    """``seats`` are nominal, ``lendable`` of them others may use, ``borrowable`` of others' this level may.

    With no ``queues``, who finds no seat is refused.
    """

    exempt: bool = False
    seats: int = 0
    lendable: int = 0
    borrowable: int = 0
    queues: int = 0
    hand: int = 0
    queue_max: int = 0


@dataclass(slots=True, eq=False)
class Usage:
    """What became of the requests of one flow schema at one level."""

    schema: str
    level: str
    dispatched: int = 0
    executing: int = 0
    waiting: int = 0
    rejected: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Ticket:
    """A request that waits; ``outcome`` is ``""`` when it has its seats, else why it never will.

    ``what`` is for who looks at the queues.
    """

    usage: Usage
    width: int
    wake: Callable[[], None]
    what: object = None
    queue: Queue | None = None
    outcome: str | None = None

    def settle(self, outcome: str) -> None:
        self.outcome = outcome
        self.wake()


@dataclass(slots=True, eq=False)
class Queue:
    index: int
    tickets: deque[Ticket] = field(default_factory=deque)
    seats: int = 0
    tag: int = 0
    lined_up: bool = False


class Level:
    """``executing`` counts seats; ``spent`` are those whose requests are done and that are not free before the next
    turn.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.uid = ""
        self.executing = 0
        self.spent = 0
        self.waiting = 0
        self.set_limits(limits)
        self._queues: dict[int, Queue] = {}
        self._line: list[tuple[int, int, Queue]] = []
        self._order = itertools.count()
        self._tag = 0

    def set_limits(self, limits: Limits) -> None:
        """Who waits already stays where he is; queues that are no more take nobody new."""
        self.limits = limits
        self.exempt = limits.exempt
        self.seats = limits.seats
        self.width_max = WIDTH_MAX
        if not limits.exempt:
            self.width_max = min(WIDTH_MAX, max(1, math.ceil(limits.seats * WIDTH_SHARE_MAX)))

    @property
    def active_queues(self) -> int:
        return sum(bool(queue.tickets) for queue in self._queues.values())

    def queues(self) -> list[Queue]:
        """Those that have been used since the start, in order."""
        return [self._queues[index] for index in sorted(self._queues)]

    def tickets(self) -> list[Ticket]:
        """All who wait."""
        return [ticket for queue in self._queues.values() for ticket in queue.tickets]

    def fits(self, width: int) -> bool:
        """Whether there are seats for so wide a request; what is wider than the level runs alone."""
        return self.executing + width <= self.seats or not self.executing

    def enqueue(self, ticket: Ticket, hand: tuple[int, ...]) -> bool:
        """Let ``ticket`` wait in the shortest queue of ``hand``; False when that is full."""
        queue = min((self._queue(index) for index in hand), key=lambda queue: queue.seats)
        if len(queue.tickets) >= self.limits.queue_max:
            return False
        if not queue.tickets:
            queue.tag = max(queue.tag, self._tag)
        queue.tickets.append(ticket)
        queue.seats += ticket.width
        ticket.queue = queue
        ticket.usage.waiting += 1
        self.waiting += 1
        self._line_up(queue)
        return True

    def next_width(self) -> int:
        """How wide the request is whose turn it is; 0 when nobody waits."""
        while self._line and not self._line[0][2].tickets:
            heapq.heappop(self._line)[2].lined_up = False
        return self._line[0][2].tickets[0].width if self._line else 0

    def dispatch(self) -> Ticket:
        """Give seats to the request whose turn it is; there must be one (``next_width``)."""
        queue = heapq.heappop(self._line)[2]
        queue.lined_up = False
        ticket = queue.tickets.popleft()
        self._left(queue, ticket)
        self._tag = queue.tag
        queue.tag += ticket.width
        if queue.tickets:
            self._line_up(queue)
        self.executing += ticket.width
        ticket.usage.executing += 1
        ticket.usage.dispatched += 1
        return ticket

    def withdraw(self, ticket: Ticket) -> bool:
        """Let ``ticket`` wait no longer; False when it does not."""
        queue = ticket.queue
        if queue is None:
            return False
        queue.tickets.remove(ticket)
        self._left(queue, ticket)
        return True

    def withdraw_all(self) -> list[Ticket]:
        tickets = self.tickets()
        for ticket in tickets:
            self.withdraw(ticket)
        return tickets

    def _queue(self, index: int) -> Queue:
        queue = self._queues.get(index)
        if queue is None:
            queue = self._queues[index] = Queue(index)
        return queue

    def _line_up(self, queue: Queue) -> None:
        if not queue.lined_up:
            queue.lined_up = True
            heapq.heappush(self._line, (queue.tag, next(self._order), queue))

    def _left(self, queue: Queue, ticket: Ticket) -> None:
        queue.seats -= ticket.width
        ticket.queue = None
        ticket.usage.waiting -= 1
        self.waiting -= 1


def may_borrow(level: Level, width: int, levels: Mapping[str, Level]) -> bool:
    """Whether ``level``, whose own seats are taken, may use idle ones that others lend."""
    limits = level.limits
    wanted = level.executing + width - limits.seats
    if wanted > limits.borrowable:
        return False
    idle = lent = 0
    for other in levels.values():
        if other is not level:
            free = other.limits.seats - other.executing
            if free > 0:
                idle += min(other.limits.lendable, free)
            elif not other.exempt:
                lent -= free
    return wanted + lent <= idle


def limits_of(specs: Mapping[str, Object], total: int) -> dict[str, Limits]:
    """The levels' parts of ``total`` seats, by their shares; the mandatory levels are there whatever ``specs`` are."""
    specs = {**MANDATORY_PRIORITY_LEVELS, **specs}
    parts = {name: spec.get("exempt" if spec["type"] == "Exempt" else "limited") or {} for name, spec in specs.items()}
    shares = {name: part.get("nominalConcurrencyShares") or 0 for name, part in parts.items()}
    whole = max(1, sum(shares.values()))
    found = {}
    for name, part in parts.items():
        seats = math.ceil(total * shares[name] / whole)
        percent = part.get("borrowingLimitPercent")
        response = part.get("limitResponse") or {}
        queuing = response.get("queuing") or {}
        queues = queuing["queues"] if response.get("type") == "Queue" else 0
        found[name] = Limits(
            exempt=specs[name]["type"] == "Exempt",
            seats=seats,
            lendable=_percent(seats, part.get("lendablePercent") or 0),
            borrowable=total if percent is None else _percent(seats, percent),
            queues=queues,
            hand=queuing["handSize"] if queues else 0,
            queue_max=queuing["queueLengthLimit"] if queues else 0,
        )
    return found


def deal(schema: str, distinguisher: str, limits: Limits) -> tuple[int, ...]:
    """The hand of queues of one flow: as many as its hand holds, different ones, the same each time."""
    digest = hashlib.sha256(f"{len(schema)},{schema}{distinguisher}".encode()).digest()
    value = int.from_bytes(digest[:8], "little")
    deck, hand = list(range(limits.queues)), []
    for left in range(limits.queues, limits.queues - limits.hand, -1):
        value, at = divmod(value, left)
        hand.append(deck.pop(at))
    return tuple(hand)


def _percent(seats: int, percent: int) -> int:
    return math.floor(seats * percent / 100 + 0.5)
