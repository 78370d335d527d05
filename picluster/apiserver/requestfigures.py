"""Requests counted and timed: a look-up and a few additions for each; labels are made of its key when somebody asks.

Names and labels: ``endpoints/metrics/metrics.go`` of k8s.io/apiserver.
"""

from __future__ import annotations

from operator import add
from typing import NamedTuple

from picluster.apiserver.requestinfo import RequestInfo
from picluster.util.timings import Timing, head, histogram, labelled

LABELS = ("verb", "group", "version", "resource", "subresource", "scope", "component")
COMPONENT = "apiserver"
KEYS_MAX = 8192
"""More kinds of requests than that are counted as one; a client can make up methods, but not resources."""
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


class RequestFigures:
    def __init__(self) -> None:
        self._seen: dict[tuple[Key, int], Timing] = {}

    def observe(self, key: Key, code: int, seconds: float) -> None:
        found = self._seen.get((key, code))
        if found is None:
            if len(self._seen) >= KEYS_MAX:
                key = Key("other")
            found = self._seen.setdefault((key, code), Timing())
        found.observe(seconds)

    def resources(self) -> set[tuple[str, str, str, str]]:
        """Group, version, resource and subresource of all that was asked for."""
        return {(key.group, key.version, key.resource, key.subresource) for key, _ in self._seen if key.resource}

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
        lines = head("apiserver_request_total", "counter", "Requests by what they ask for.")
        for values, count in counts.items():
            lines.append(f"apiserver_request_total{{{labelled((*names, 'code'), values)}}} {count}.0\n")
        name, what = "apiserver_request_duration_seconds", "Time to answer, watches excepted."
        return "".join(lines) + histogram(name, what, names, timed)


def labels_of(key: Key) -> tuple[str, ...]:
    """The values of ``LABELS`` (``cleanVerb``, ``CleanScope``)."""
    if key.resource:
        scope = "resource" if key.named or key.verb == "create" else "namespace" if key.namespaced else "cluster"
        verb = _VERBS.get(key.verb, "other")
    else:
        scope, verb = "", key.verb.upper() if key.verb.upper() in _METHODS else "other"
    return verb, key.group, key.version, key.resource, key.subresource, scope, COMPONENT
