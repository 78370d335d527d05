"""Requests counted and timed, and other times: plain numbers, which become text when somebody asks for them.

A request costs one look-up here and a few additions; labels are made of its key by ``text``. These are nearly all the
lines that there are, thousands of them, and everybody waits while they are written: so that is done here, in a tenth of
the time that the library takes. All of it belongs to the event loop: nothing here is locked. Names and labels:
``endpoints/metrics/metrics.go`` of k8s.io/apiserver.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate
from operator import add
from typing import NamedTuple

from picluster.apiserver.requestinfo import RequestInfo

LATENCY_BUCKETS_S = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15,
    20, 30, 45, 60,
)  # fmt: skip
"""Kubernetes' own from 5 ms on, and finer ones below."""
LABELS = ("verb", "group", "version", "resource", "subresource", "scope", "component")
COMPONENT = "apiserver"
KEYS_MAX = 8192
"""More kinds of requests than that are counted as one; a client can make up methods, but not resources."""
_LE = (*[f"{bound:g}" for bound in LATENCY_BUCKETS_S], "+Inf")
_VERBS = {
    "get": "GET", "list": "LIST", "watch": "WATCH", "create": "POST", "update": "PUT", "patch": "PATCH",
    "delete": "DELETE", "deletecollection": "DELETECOLLECTION", "proxy": "CONNECT",
}  # fmt: skip
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Key(NamedTuple):
    """What is told apart; ``verb`` is the authorizer's, or the method where no resource is asked for."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    named: bool = False
    namespaced: bool = False
    dry_run: bool = False


def key_of(info: RequestInfo) -> Key:
    verb, _, target, query = info
    resource = target.resource
    if resource is None or not resource.kind:
        return Key(verb)
    return Key(
        verb, resource.group, resource.version, resource.plural, target.subresource, target.name != "",
        target.namespace != "", "dryRun" in query,
    )  # fmt: skip


class Timing:
    """A histogram."""

    __slots__ = ("seconds", "under")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.under = [0] * len(_LE)

    def observe(self, seconds: float) -> None:
        self.seconds += seconds
        self.under[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1

    @property
    def count(self) -> int:
        return sum(self.under)


class Timings:
    """One histogram for each combination of labels; ``labels`` gives it, to be kept by who observes."""

    def __init__(self, name: str, what: str, labels: tuple[str, ...]) -> None:
        self._name, self._what, self._labels = name, what, labels
        self._made: dict[tuple[str, ...], Timing] = {}

    def labels(self, *values: str) -> Timing:
        return self._made.setdefault(values, Timing())

    def text(self) -> str:
        return _histogram(self._name, self._what, self._labels, self._made)


class RequestFigures:
    def __init__(self) -> None:
        self._seen: dict[tuple[Key, int], Timing] = {}

    def observe(self, key: Key, code: int, seconds: float) -> None:
        found = self._seen.get((key, code))
        if found is None:
            if len(self._seen) >= KEYS_MAX:
                key = Key("other")
            found = self._seen.setdefault((key, code), Timing())
        found.seconds += seconds
        found.under[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1

    def text(self) -> str:
        names = (*LABELS, "dry_run")
        timed: dict[tuple[str, ...], Timing] = {}
        counts: dict[tuple[str, ...], int] = {}
        for (key, code), timing in self._seen.items():
            labels = (*labels_of(key), "All" if key.dry_run else "")
            counts[*labels, str(code)] = counts.get((*labels, str(code)), 0) + timing.count
            if key.verb != "watch":
                total = timed.setdefault(labels, Timing())
                total.seconds += timing.seconds
                total.under = list(map(add, total.under, timing.under))
        lines = _head("apiserver_request_total", "counter", "Requests by what they ask for.")
        for labelled, count in counts.items():
            lines.append(f"apiserver_request_total{{{_labelled((*names, 'code'), labelled)}}} {count}.0\n")
        name, what = "apiserver_request_duration_seconds", "Time to answer, watches excepted."
        return "".join(lines) + _histogram(name, what, names, timed)


def labels_of(key: Key) -> tuple[str, ...]:
    """The values of ``LABELS`` (``cleanVerb``, ``CleanScope``)."""
    if key.resource:
        scope = "resource" if key.named or key.verb == "create" else "namespace" if key.namespaced else "cluster"
        verb = _VERBS.get(key.verb, "other")
    else:
        scope, verb = "", key.verb.upper() if key.verb.upper() in _METHODS else "other"
    return verb, key.group, key.version, key.resource, key.subresource, scope, COMPONENT


def _histogram(name: str, what: str, labels: tuple[str, ...], timings: Mapping[tuple[str, ...], Timing]) -> str:
    lines = _head(name, "histogram", what)
    for values, timing in timings.items():
        labelled = _labelled(labels, values)
        counts = list(accumulate(timing.under))
        lines.extend(
            [f'{name}_bucket{{{labelled},le="{bound}"}} {count}.0\n' for bound, count in zip(_LE, counts, strict=True)]
        )
        lines.append(f"{name}_count{{{labelled}}} {counts[-1]}.0\n{name}_sum{{{labelled}}} {timing.seconds!r}\n")
    return "".join(lines)


def _head(name: str, kind: str, what: str) -> list[str]:
    return [f"# HELP {name} {what}\n# TYPE {name} {kind}\n"]


def _labelled(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """Labels as the text has them; what clients make up is no value of any."""
    return ",".join(sorted([f'{name}="{value}"' for name, value in zip(names, values, strict=True)]))
