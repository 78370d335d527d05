"""The tables that show what flow control does: levels, queues, and who waits in them."""

from __future__ import annotations

from picluster.apiserver.authn import User
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.flowcontrol import dumps
from picluster.apiserver.flowcontrol.controller import FlowControl, Waiting
from picluster.apiserver.flowcontrol.levels import Ticket, Usage
from picluster.apiserver.metrics import Metrics
from picluster.apiserver.requestinfo import request_info
from picluster.util.clock import VirtualClock

PATH = "/apis/apps/v1/namespaces/shop/deployments/web/status"


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]


def crowded() -> FlowControl:
    """``catch-all`` with two queues, and one request that waits in the second."""
    cache = WatchCache()
    control = FlowControl(cache, Metrics(cache), VirtualClock(), 10)
    control.load()
    control.flow(User("ann", frozenset()), request_info("GET", PATH, Catalog()))
    level = control.levels["catch-all"]
    level.set_limits(level.limits._replace(queues=2, hand=1, queue_max=5))
    what = Waiting("ann", "ann", request_info("GET", PATH, Catalog()), 1_700_000_000.25)
    usage = control.usages.setdefault(("catch-all", "catch-all"), Usage("catch-all", "catch-all"))
    assert level.enqueue(Ticket(usage, 3, lambda: None, what), (1,))
    return control


def test_levels() -> None:
    head, *rows = cells(dumps.levels(crowded()))
    assert head == list(dumps.LEVELS)
    assert rows[0] == ["catch-all", "1", "false", "false", "1", "0", "0", "0", "0", "0"]
    assert rows[1][:3] == ["exempt", "0", "true"]


def test_queues() -> None:
    head, *rows = cells(dumps.queues(crowded()))
    assert head == list(dumps.QUEUES)
    assert rows == [
        ["catch-all", "0", "0", "0", "0", "0.00000000ss", "0", "0", "0.00000000ss"],
        ["catch-all", "1", "1", "0", "0", "0.00000000ss", "3", "3", "3.00000000ss"],
    ]


def test_requests() -> None:
    head, *rows = cells(dumps.requests(crowded(), details=False))
    assert head == list(dumps.REQUESTS)
    arrived, never = "2023-11-14T22:13:20.250000Z", "0001-01-01T00:00:00Z"
    assert rows == [["catch-all", "catch-all", "1", "0", "ann", arrived, "3", "0", "0s", never]]
    head, *rows = cells(dumps.requests(crowded(), details=True))
    assert head == [*dumps.REQUESTS, *dumps.DETAILS]
    assert rows[0][10:] == ["ann", "get", PATH, "shop", "web", "v1", "deployments", "status"]
