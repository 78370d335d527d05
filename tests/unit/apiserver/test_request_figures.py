"""Requests as metrics: labels as Kubernetes has them, histograms that add up, and a bound on what clients make up."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from picluster.apiserver.requestfigures import KEYS_MAX, Key, RequestFigures, labels_of
from picluster.util.timings import LATENCY_BUCKETS_S, Timings


@pytest.mark.parametrize(
    ("key", "verb", "scope"),
    [
        (Key("get", resource="pods", named=True, namespaced=True), "GET", "resource"),
        (Key("list", resource="pods", namespaced=True), "LIST", "namespace"),
        (Key("watch", resource="pods"), "WATCH", "cluster"),
        (Key("create", resource="pods", namespaced=True), "POST", "resource"),
        (Key("update", resource="pods", named=True), "PUT", "resource"),
        (Key("deletecollection", resource="pods", namespaced=True), "DELETECOLLECTION", "namespace"),
        (Key("GET"), "GET", ""),
        (Key("post"), "POST", ""),
        (Key("BREW"), "other", ""),
    ],
)
def test_labels(key: Key, verb: str, scope: str) -> None:
    labels = labels_of(key)
    assert (labels[0], labels[5], labels[6]) == (verb, scope, "apiserver")


def test_times_of_all_codes_add_up_and_those_of_watches_are_left_out() -> None:
    figures = RequestFigures()
    get, watch = Key("get", resource="pods", named=True), Key("watch", resource="pods")
    for code, seconds in ((200, 0.0004), (200, 0.03), (404, 100.0)):
        figures.observe(get, code, seconds)
    figures.observe(watch, 200, 1.0)
    lines = figures.text().splitlines()
    counts = [line.rpartition(" ")[2] for line in lines if line.startswith("apiserver_request_total{")]
    assert sorted(counts) == ["1.0", "1.0", "2.0"]
    under = [line for line in lines if "_bucket{" in line]
    assert len(under) == len(LATENCY_BUCKETS_S) + 1 and not any("WATCH" in line for line in under)
    assert [line.rpartition(" ")[2] for line in under if 'le="0.0005"' in line or 'le="0.05"' in line] == ["1.0", "2.0"]
    assert next(line for line in under if 'le="+Inf"' in line).endswith(" 3.0")


def test_made_up_requests_are_bounded() -> None:
    figures = RequestFigures()
    for number in range(KEYS_MAX + 10):
        figures.observe(Key("get", resource=f"r{number}"), 200, 0.1)
    lines = figures.text().splitlines()
    assert sum(line.startswith("apiserver_request_total{") for line in lines) == KEYS_MAX + 1


def test_timings_have_a_histogram_for_each_combination_of_labels() -> None:
    timings = Timings("wait_seconds", "Waits.", ("operation",))
    timings.labels("a").observe(0.3)
    timings.labels("a").observe(0.3)
    assert timings.labels("a").count == 2
    [family] = text_string_to_metric_families(timings.text())
    assert (family.name, family.type, family.documentation) == ("wait_seconds", "histogram", "Waits.")
    samples = {
        sample.name: sample.value for sample in family.samples if sample.labels.get("le") in (None, "0.4", "0.2")
    }
    assert samples == {"wait_seconds_bucket": 2.0, "wait_seconds_count": 2.0, "wait_seconds_sum": 0.6}
