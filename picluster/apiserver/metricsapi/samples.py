"""From two readings of a node's ``/metrics/resource`` to what it and its pods use. PURE.

As metrics-server does it (``pkg/storage``): processor use is the rate between the two readings; of a container that has
begun since the first one, the rate since its start, once that is long enough ago to mean anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from picluster.api.meta import now_rfc3339
from picluster.api.quantity import NANO, Style, from_value, render
from picluster.api.types import Object

FRESH_MIN_S = 2.0
_LINE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)(?: (?P<at_ms>\d+))?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_CPU, _MEMORY, _START = "cpu_usage_seconds_total", "memory_working_set_bytes", "start_time_seconds"

_OF_CONTAINERS = tuple(f"container_{what}" for what in (_CPU, _MEMORY, _START))

PodKey = tuple[str, str]
"""Namespace and name."""


class Point(NamedTuple):
    """One container or node at one moment; ``None`` for what was not told."""

    cpu_s: float | None = None
    memory_bytes: float | None = None
    started_s: float = 0.0
    at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    node: Point
    pods: Mapping[PodKey, Mapping[str, Point]] = field(default_factory=dict)
    """Points by container."""


class Rate(NamedTuple):
    """``cores`` and bytes, over ``window_s`` seconds up to ``at_s``."""

    cores: float
    memory_bytes: int
    window_s: float
    at_s: float


def parse(text: str, now_s: float) -> Reading:
    """The text format of Prometheus, of which only what is meant for the metrics API counts."""
    node, pods = Point(), dict[PodKey, dict[str, Point]]()
    for line in text.splitlines():
        if line.startswith("node_"):
            found = _LINE.match(line)
            if found is not None:
                node = _with(node, found["name"].removeprefix("node_"), found, now_s)
        elif line.startswith(_OF_CONTAINERS):
            found = _LINE.match(line)
            if found is None:
                continue
            labels = dict(_LABEL.findall(found["labels"] or ""))
            containers = pods.setdefault((labels.get("namespace", ""), labels.get("pod", "")), {})
            name = labels.get("container", "")
            before = containers.get(name, Point())
            containers[name] = _with(before, found["name"].removeprefix("container_"), found, now_s)
    return Reading(node, pods)


def _with(point: Point, what: str, found: re.Match[str], now_s: float) -> Point:
    try:
        value = float(found["value"])
    except ValueError:
        return point
    if what == _START:
        return point._replace(started_s=value)
    at_s = int(found["at_ms"]) / 1000 if found["at_ms"] else now_s
    if what == _CPU:
        return point._replace(cpu_s=value, at_s=at_s)
    if what == _MEMORY:
        return point._replace(memory_bytes=value, at_s=max(at_s, point.at_s))
    return point


def rate(before: Point | None, last: Point) -> Rate | None:
    """``None`` while there is not enough to say."""
    if last.cpu_s is None or last.memory_bytes is None:
        return None
    if before is None or before.cpu_s is None or before.started_s != last.started_s or before.cpu_s > last.cpu_s:
        if not last.started_s or last.at_s - last.started_s < FRESH_MIN_S:
            return None
        before = Point(0.0, 0.0, last.started_s, last.started_s)
    window_s = last.at_s - before.at_s
    if window_s <= 0:
        return None
    return Rate((last.cpu_s - (before.cpu_s or 0.0)) / window_s, int(last.memory_bytes), window_s, last.at_s)


def node_rate(before: Reading | None, last: Reading) -> Rate | None:
    """A node was always there: without an earlier reading there is no rate."""
    return rate(before.node, last.node) if before is not None else None


def pod_rates(before: Reading | None, last: Reading, key: PodKey) -> dict[str, Rate] | None:
    """Of each container; ``None`` when one of them cannot be told yet: half a pod would mislead who scales by it."""
    known = before.pods.get(key, {}) if before is not None else {}
    rates: dict[str, Rate] = {}
    for name, point in last.pods.get(key, {}).items():
        found = rate(known.get(name), point)
        if found is None:
            return None
        rates[name] = found
    return rates or None


def usage(found: Rate) -> dict[str, str]:
    return {
        "cpu": render(max(int(found.cores * NANO), 0)),
        "memory": from_value(found.memory_bytes, Style.BINARY),
    }


def metrics(kind: str, metadata: Object, found: Rate, body: Object, now_s: float) -> Object:
    """A NodeMetrics or PodMetrics; ``metadata`` is that of the node or pod."""
    told: Object = {"name": metadata["name"], "creationTimestamp": now_rfc3339(now_s)}
    for key in ("namespace", "labels"):
        if metadata.get(key):
            told[key] = metadata[key]
    return {
        "kind": kind,
        "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": told,
        "timestamp": now_rfc3339(found.at_s),
        "window": duration(found.window_s),
        **body,
    }


def duration(seconds: float) -> str:
    """``15.031s``, ``1m2s``: how Go prints a duration, to the millisecond."""
    minutes, rest = divmod(round(seconds, 3), 60)
    shown = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}h{minutes}m{shown}" if hours else f"{minutes}m{shown}" if minutes else shown
