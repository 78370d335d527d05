"""Priority and fairness as tables to look at, under ``/debug/api_priority_and_fairness/``.

Source: ``util/flowcontrol/apf_controller_debug.go`` of k8s.io/apiserver. Two differences follow from the design: a
request leaves its queue when it is let in, so queues have no executing ones; and nobody keeps those that are being
served, so ``dump_requests`` lists those that wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime

from aiohttp import web

from picluster.apiserver.flowcontrol.controller import CANCELLED, FULL, NO_SEATS, TIMED_OUT, FlowControl, Waiting
from picluster.apiserver.flowcontrol.levels import Level, Queue, Usage
from picluster.apiserver.requestinfo import RequestInfo

PREFIX = "/debug/api_priority_and_fairness/"
LEVELS = (
    "PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests",
    "DispatchedRequests", "RejectedRequests", "TimedoutRequests", "CancelledRequests",
)  # fmt: skip
QUEUES = (
    "PriorityLevelName", "Index", "PendingRequests", "ExecutingRequests", "SeatsInUse", "NextDispatchR",
    "InitialSeatsSum", "MaxSeatsSum", "TotalWorkSum",
)  # fmt: skip
REQUESTS = (
    "PriorityLevelName", "FlowSchemaName", "QueueIndex", "RequestIndexInQueue", "FlowDistingsher", "ArriveTime",
    "InitialSeats", "FinalSeats", "AdditionalLatency", "StartTime",
)  # fmt: skip
DETAILS = ("UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource")
_REASONS = (FULL, NO_SEATS, TIMED_OUT, CANCELLED)

Handle = Callable[[web.BaseRequest, RequestInfo], Awaitable[web.StreamResponse]]


def handlers(control: FlowControl) -> dict[str, Handle]:
    """By path."""

    def answered(dump: Callable[[RequestInfo], str]) -> Handle:
        async def handle(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
            return web.Response(text=dump(info), headers={"X-Content-Type-Options": "nosniff"})

        return handle

    return {
        f"{PREFIX}dump_priority_levels": answered(lambda _: levels(control)),
        f"{PREFIX}dump_queues": answered(lambda _: queues(control)),
        f"{PREFIX}dump_requests": answered(
            lambda info: requests(control, details=bool(info.query.get("includeRequestDetails")))
        ),
    }


def levels(control: FlowControl) -> str:
    """One line for each level."""
    by_level: dict[str, list[Usage]] = {}
    for usage in control.usages.values():
        by_level.setdefault(usage.level, []).append(usage)
    return _aligned([LEVELS, *(_level(level, by_level.get(level.name, ())) for level in _sorted(control))])


def queues(control: FlowControl) -> str:
    """One line for each queue of each level."""
    return _aligned([QUEUES, *(row for level in _sorted(control) for row in _queues(level))])


def requests(control: FlowControl, *, details: bool) -> str:
    """One line for each request that waits."""
    rows = [row for level in _sorted(control) for row in _requests(level, details=details)]
    return _aligned([REQUESTS + DETAILS if details else REQUESTS, *rows])


def _sorted(control: FlowControl) -> list[Level]:
    return [control.levels[name] for name in sorted(control.levels)]


def _level(level: Level, usages: Sequence[Usage]) -> tuple[str, ...]:
    executing = sum(usage.executing for usage in usages)
    rejected = {reason: sum(usage.rejected.get(reason, 0) for usage in usages) for reason in _REASONS}
    idle = not executing and not level.waiting
    return (
        level.name, str(level.active_queues), str(idle).lower(), "false", str(level.waiting), str(executing),
        str(sum(usage.dispatched for usage in usages)), str(rejected[FULL] + rejected[NO_SEATS]),
        str(rejected[TIMED_OUT]), str(rejected[CANCELLED]),
    )  # fmt: skip


def _queues(level: Level) -> Iterator[tuple[str, ...]]:
    used = {queue.index: queue for queue in level.queues()}
    for index in range(max(level.limits.queues, *(each + 1 for each in used), 0)):
        queue = used.get(index) or Queue(index)
        seats = str(queue.seats)
        yield (
            level.name, str(index), str(len(queue.tickets)), "0", "0", f"{queue.tag:.8f}ss", seats, seats,
            f"{queue.seats:.8f}ss",
        )  # fmt: skip


def _requests(level: Level, *, details: bool) -> Iterator[tuple[str, ...]]:
    for queue in level.queues():
        for position, ticket in enumerate(queue.tickets):
            assert isinstance(ticket.what, Waiting)
            what = ticket.what
            row = (
                level.name, ticket.usage.schema, str(queue.index), str(position), what.distinguisher,
                _time(what.arrived_s), str(ticket.width), "0", "0s", "0001-01-01T00:00:00Z",
            )  # fmt: skip
            yield (*row, *_details(what)) if details else row


def _details(what: Waiting) -> tuple[str, ...]:
    verb, path, target, _ = what.info
    resource = target.resource
    if resource is None:
        return what.user, verb, path, "", "", "", "", ""
    return (
        what.user, verb, path, target.namespace, target.name, resource.version, resource.plural, target.subresource,
    )  # fmt: skip


def _time(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    cells = [[f"{cell}," for cell in row[:-1]] + [row[-1]] for row in rows]
    widths = [max(len(row[at]) for row in cells) + 1 for at in range(len(rows[0]))]
    lines = ("".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "\n".join(lines) + "\n"
