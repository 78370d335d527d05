"""What priority and fairness does, as metrics and as a table to look at (``apf_controller_debug.go``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from aiohttp import web
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from picluster.apiserver.flowcontrol.controller import CANCELLED, FULL, NO_SEATS, TIMED_OUT, FlowControl
from picluster.apiserver.flowcontrol.levels import Level, Usage
from picluster.apiserver.requestinfo import RequestInfo

LEVELS_PATH = "/debug/api_priority_and_fairness/dump_priority_levels"
COLUMNS = (
    "PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests",
    "DispatchedRequests", "RejectedRequests", "TimedoutRequests", "CancelledRequests",
)  # fmt: skip
PREFIX = "apiserver_flowcontrol_"
LABELS = ("priority_level", "flow_schema")


class Figures(Collector):
    """Read from the counters when somebody asks."""

    def __init__(self, control: FlowControl) -> None:
        self._control = control

    def collect(self) -> Iterator[Metric]:
        usages = list(self._control.usages.values())
        rejected = CounterMetricFamily(
            f"{PREFIX}rejected_requests", "Requests that were refused.", labels=(*LABELS, "reason")
        )
        dispatched = CounterMetricFamily(f"{PREFIX}dispatched_requests", "Requests that were let in.", labels=LABELS)
        waiting = GaugeMetricFamily(f"{PREFIX}current_inqueue_requests", "Requests that wait.", labels=LABELS)
        executing = GaugeMetricFamily(f"{PREFIX}current_executing_requests", "Requests being served.", labels=LABELS)
        for usage in usages:
            names = (usage.level, usage.schema)
            dispatched.add_metric(names, usage.dispatched)
            waiting.add_metric(names, usage.waiting)
            executing.add_metric(names, usage.executing)
            for reason, count in usage.rejected.items():
                rejected.add_metric((*names, reason), count)
        yield from (rejected, dispatched, waiting, executing)
        in_flight = sum(usage.executing for usage in usages)
        yield GaugeMetricFamily("apiserver_current_inflight_requests", "Requests being served.", in_flight)
        yield from self._seats()

    def _seats(self) -> Iterator[Metric]:
        nominal = GaugeMetricFamily(f"{PREFIX}nominal_limit_seats", "Seats of a level.", labels=LABELS[:1])
        taken = GaugeMetricFamily(f"{PREFIX}current_executing_seats", "Seats that are taken.", labels=LABELS[:1])
        for name, level in self._control.levels.items():
            nominal.add_metric((name,), level.seats)
            taken.add_metric((name,), level.executing - level.spent)
        yield from (nominal, taken)


def dump_handler(control: FlowControl) -> Callable[[web.BaseRequest, RequestInfo], Awaitable[web.StreamResponse]]:
    async def handle(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        return web.Response(text=dump(control), headers={"X-Content-Type-Options": "nosniff"})

    return handle


def dump(control: FlowControl) -> str:
    """One line for each level, aligned."""
    by_level: dict[str, list[Usage]] = {}
    for usage in control.usages.values():
        by_level.setdefault(usage.level, []).append(usage)
    rows = [COLUMNS, *(_row(level, by_level.get(name, ())) for name, level in sorted(control.levels.items()))]
    cells = [[f"{cell}," for cell in row[:-1]] + [row[-1]] for row in rows]
    widths = [max(len(row[at]) for row in cells) + 1 for at in range(len(COLUMNS))]
    lines = ("".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "\n".join(lines) + "\n"


def _row(level: Level, usages: Sequence[Usage]) -> tuple[str, ...]:
    executing = sum(usage.executing for usage in usages)
    rejected = {reason: sum(usage.rejected.get(reason, 0) for usage in usages) for reason in _REASONS}
    idle = not executing and not level.waiting
    return (
        level.name, str(level.active_queues), str(idle).lower(), "false", str(level.waiting), str(executing),
        str(sum(usage.dispatched for usage in usages)), str(rejected[FULL] + rejected[NO_SEATS]),
        str(rejected[TIMED_OUT]), str(rejected[CANCELLED]),
    )  # fmt: skip


_REASONS = (FULL, NO_SEATS, TIMED_OUT, CANCELLED)
