"""What priority and fairness does, as metrics (``util/flowcontrol/metrics`` of k8s.io/apiserver)."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from picluster.apiserver.flowcontrol.controller import FlowControl, Waiting

PREFIX = "apiserver_flowcontrol_"
LABELS = ("priority_level", "flow_schema")
READING = frozenset({"get", "list", "watch"})


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
        yield from (rejected, dispatched, waiting, executing, self._waiting_seats())
        in_flight = sum(usage.executing for usage in usages)
        yield GaugeMetricFamily("apiserver_current_inflight_requests", "Requests being served.", in_flight)
        yield self._waiting_kinds()
        yield from self._seats()

    def _waiting_kinds(self) -> Metric:
        family = GaugeMetricFamily(
            "apiserver_current_inqueue_requests", "Requests that wait.", labels=("request_kind",)
        )
        waiting = [ticket.what for level in self._control.levels.values() for ticket in level.tickets()]
        reading = sum(isinstance(what, Waiting) and what.info.verb in READING for what in waiting)
        family.add_metric(("mutating",), len(waiting) - reading)
        family.add_metric(("readOnly",), reading)
        return family

    def _waiting_seats(self) -> Metric:
        family = GaugeMetricFamily(f"{PREFIX}current_inqueue_seats", "Seats that are waited for.", labels=LABELS)
        seats = dict.fromkeys(self._control.usages, 0)
        for level in self._control.levels.values():
            for ticket in level.tickets():
                names = (level.name, ticket.usage.schema)
                seats[names] = seats.get(names, 0) + ticket.width
        for names, width in seats.items():
            family.add_metric(names, width)
        return family

    def _seats(self) -> Iterator[Metric]:
        def gauge(name: str, text: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"{PREFIX}{name}", text, labels=LABELS[:1])

        nominal = gauge("nominal_limit_seats", "Seats of a level.")
        lower = gauge("lower_limit_seats", "Seats that a level does not lend.")
        upper = gauge("upper_limit_seats", "Seats of a level and those that it may borrow.")
        taken = gauge("current_executing_seats", "Seats that are taken.")
        for name, level in self._control.levels.items():
            limits = level.limits
            nominal.add_metric((name,), level.seats)
            lower.add_metric((name,), level.seats - limits.lendable)
            upper.add_metric((name,), level.seats + limits.borrowable)
            taken.add_metric((name,), level.executing - level.spent)
        yield from (nominal, lower, upper, taken)
