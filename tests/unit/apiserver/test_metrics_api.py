"""What nodes and pods use, made of two readings of their agents' metrics."""

from __future__ import annotations

import pytest

from picluster.apiserver.metricsapi import samples
from picluster.apiserver.metricsapi.rows import PRINTER
from picluster.apiserver.metricsapi.samples import Point, Rate, Reading

TEXT = """# HELP container_cpu_usage_seconds_total what
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="web",namespace="shop",pod="front"} 1.5 100000
container_cpu_usage_seconds_total{container="odd",namespace="shop",pod="a\\"b"} x 100000
container_memory_working_set_bytes{container="web",namespace="shop",pod="front"} 2.097152e+06 100000
container_start_time_seconds{container="web",namespace="shop",pod="front"} 50.25
container_swap_usage_bytes{container="web",namespace="shop",pod="front"} 0 100000
node_cpu_usage_seconds_total 20 100000
node_memory_working_set_bytes 1048576
pod_cpu_usage_seconds_total{namespace="shop",pod="front"} 1.5 100000
resource_scrape_error 0
"""
FRONT = ("shop", "front")


def test_the_text_is_read_for_what_the_api_tells() -> None:
    found = samples.parse(TEXT, now_s=99.0)
    assert found.node == Point(20, 1_048_576, at_s=100)
    assert found.pods[FRONT] == {"web": Point(1.5, 2_097_152, 50.25, 100)}


@pytest.mark.parametrize(
    ("before", "last", "expected"),
    [
        (Point(1, 5, 10, 100), Point(4, 7, 10, 115), Rate(0.2, 7, 15, 115)),
        (Point(9, 5, 10, 100), Point(1, 7, 105, 115), Rate(0.1, 7, 10, 115)),
        (None, Point(1, 7, 105, 115), Rate(0.1, 7, 10, 115)),
        (None, Point(1, 7, 114, 115), None),
        (None, Point(1, 7, 0, 115), None),
        (Point(1, 5, 10, 100), Point(4, None, 10, 115), None),
        (Point(1, 5, 10, 100), Point(1, 5, 10, 100), None),
    ],
    ids=["two readings", "started again", "new", "too new", "no start", "no memory", "the same reading"],
)
def test_a_rate_needs_two_moments(before: Point | None, last: Point, expected: Rate | None) -> None:
    assert samples.rate(before, last) == expected


def test_half_a_pod_is_not_told() -> None:
    web, side = Point(1, 5, 10, 100), Point(1, 5, 99.5, 100)
    reading = Reading(Point(), {FRONT: {"web": web, "side": side}})
    assert samples.pod_rates(None, reading, FRONT) is None
    assert samples.pod_rates(None, Reading(Point(), {FRONT: {"web": web}}), FRONT) == {"web": Rate(1 / 90, 5, 90, 100)}
    assert samples.pod_rates(None, Reading(Point()), FRONT) is None
    assert samples.node_rate(None, Reading(web)) is None


def test_an_object_is_as_metrics_server_shows_it() -> None:
    rate = Rate(0.0123456789, 3 << 20, 15.0312, 1000.0)
    assert samples.usage(rate) == {"cpu": "12345678n", "memory": "3Mi"}
    metadata = {"name": "front", "namespace": "shop", "labels": {"app": "front"}, "uid": "u"}
    body = {"containers": [{"name": "web", "usage": samples.usage(rate)}] * 2}
    told = samples.metrics("PodMetrics", metadata, rate, body, 1001.0)
    assert told["metadata"] == {
        "name": "front",
        "creationTimestamp": "1970-01-01T00:16:41Z",
        "namespace": "shop",
        "labels": {"app": "front"},
    }
    assert (told["timestamp"], told["window"]) == ("1970-01-01T00:16:40Z", "15.031s")
    assert PRINTER.row(told, 0.0) == ["front", "24691356n", "6Mi", "15.031s"]


def test_durations_are_those_of_go() -> None:
    assert [samples.duration(each) for each in (1.5, 15, 62.25, 3723)] == ["1.5s", "15s", "1m2.25s", "1h2m3s"]
