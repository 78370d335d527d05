"""``/metrics/cadvisor``: containers, pods and the machine with cAdvisor's names and labels. PURE.

A series of a pod's own group has an empty ``container``; that of the whole machine has the id ``/``. Source:
https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md and ``pkg/kubelet/server/server.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from picluster.api.quantity import milli, value
from picluster.api.types import Object
from picluster_agent.cgroups.usage import Usage
from picluster_agent.stats.exposition import Family, joined, label_text
from picluster_agent.stats.model import Disks, Interface, Measured, NodeSample, PodSample

COUNTERS: tuple[tuple[str, str, Callable[[Usage], float]], ...] = (
    ("container_cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds.",
     lambda one: one.cpu_user_ns / 1e9),
    ("container_cpu_system_seconds_total", "Cumulative system cpu time consumed in seconds.",
     lambda one: one.cpu_system_ns / 1e9),
    ("container_memory_failcnt", "Number of memory usage hits limits", lambda one: one.failures),
    ("container_oom_events_total", "Count of out of memory events observed for the container",
     lambda one: one.oom_kills),
)  # fmt: skip
THROTTLING: tuple[tuple[str, str, Callable[[Usage], float]], ...] = (
    ("container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.", lambda one: one.periods),
    ("container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.",
     lambda one: one.throttled_periods),
    ("container_cpu_cfs_throttled_seconds_total", "Total time duration the container has been throttled.",
     lambda one: one.throttled_ns / 1e9),
)  # fmt: skip
GAUGES: tuple[tuple[str, str, Callable[[Usage], float]], ...] = (
    ("container_memory_usage_bytes", "Current memory usage in bytes, including all memory regardless of when it was"
     " accessed", lambda one: one.memory_bytes),
    ("container_memory_working_set_bytes", "Current working set in bytes.", lambda one: one.working_set_bytes),
    ("container_memory_rss", "Size of RSS in bytes.", lambda one: one.rss_bytes),
    ("container_memory_cache", "Number of bytes of page cache memory.", lambda one: one.cache_bytes),
    ("container_memory_mapped_file", "Size of memory mapped files in bytes.", lambda one: one.mapped_file_bytes),
    ("container_memory_swap", "Container swap usage in bytes.", lambda one: one.swap_bytes),
    ("container_processes", "Number of processes running inside the container.", lambda one: one.processes),
)  # fmt: skip
NETWORK: tuple[tuple[str, str, Callable[[Interface], int]], ...] = (
    ("receive_bytes", "bytes received", lambda one: one.rx_bytes),
    ("receive_packets", "packets received", lambda one: one.rx_packets),
    ("receive_errors", "errors encountered while receiving", lambda one: one.rx_errors),
    ("receive_packets_dropped", "packets dropped while receiving", lambda one: one.rx_dropped),
    ("transmit_bytes", "bytes transmitted", lambda one: one.tx_bytes),
    ("transmit_packets", "packets transmitted", lambda one: one.tx_packets),
    ("transmit_errors", "errors encountered while transmitting", lambda one: one.tx_errors),
    ("transmit_packets_dropped", "packets dropped while transmitting", lambda one: one.tx_dropped),
)
DEVICES = (
    ("container_fs_reads_bytes_total", "Cumulative count of bytes read", "read_bytes"),
    ("container_fs_writes_bytes_total", "Cumulative count of bytes written", "written_bytes"),
    ("container_fs_reads_total", "Cumulative count of reads completed", "reads"),
    ("container_fs_writes_total", "Cumulative count of writes completed", "writes"),
)
SPEC = (
    ("container_spec_cpu_period", "CPU period of the container."),
    ("container_spec_cpu_quota", "CPU quota of the container."),
    ("container_spec_cpu_shares", "CPU share of the container."),
    ("container_spec_memory_limit_bytes", "Memory limit for the container."),
    ("container_spec_memory_reservation_limit_bytes", "Memory reservation limit for the container."),
    ("container_spec_memory_swap_limit_bytes", "Memory swap limit for the container."),
)
CPU_PERIOD_US = 100_000


class _Scrape:
    def __init__(self, at_s: float) -> None:
        self.at_ms = int(at_s * 1000)
        self.families: dict[str, Family] = {}

    def add(self, name: str, kind: str, what: str, number: float, labels: str) -> None:
        family = self.families.get(name)
        if family is None:
            family = self.families[name] = Family(name, kind, what)
        family.add(number, labels, self.at_ms)


def text(sample: NodeSample, disks: Disks | None) -> str:
    """``disks`` add what containers have written, where that was measured."""
    scrape = _Scrape(sample.at_s)
    _measured(scrape, sample.measured, _labels(), sample.booted_s)
    _network(scrape, sample.interfaces, _labels())
    for started_s, measured in sample.system.values():
        if measured.group:
            _measured(scrape, measured, _labels(group=measured.group), started_s)
    for pod in sample.pods:
        _pod(scrape, pod, disks)
    _machine(scrape, sample)
    return joined(scrape.families.values())


def _labels(container: str = "", group: str = "", image: str = "", name: str = "", pod: PodSample | None = None) -> str:
    return label_text(
        {
            "container": container,
            "id": f"/{group}",
            "image": image,
            "name": name,
            "namespace": pod.namespace if pod else "",
            "pod": pod.name if pod else "",
        }
    )


def _pod(scrape: _Scrape, pod: PodSample, disks: Disks | None) -> None:
    if pod.measured is not None and pod.measured.group:
        labels = _labels(group=pod.measured.group, pod=pod)
        _measured(scrape, pod.measured, labels, pod.started_s)
        _network(scrape, pod.interfaces or (), labels)
    elif pod.containers:  # a pod without a group of its own: its network is told with its first container's
        _network(scrape, pod.interfaces or (), _labels(group=pod.containers[0].measured.group, pod=pod))
    roots = disks.pods[pod.uid].roots if disks is not None and pod.uid in disks.pods else {}
    for one in pod.containers:
        labels = _labels(one.name, one.measured.group, one.image, one.id, pod)
        _measured(scrape, one.measured, labels, one.started_s)
        _spec(scrape, one.definition, labels)
        if (root := roots.get(one.name)) is not None:
            usage = (
                "container_fs_usage_bytes",
                "Number of bytes that are consumed by the container on this filesystem.",
            )
            limit = (
                "container_fs_limit_bytes",
                "Number of bytes that can be consumed by the container on this filesystem.",
            )
            scrape.add(usage[0], "gauge", usage[1], root.used_bytes or 0, f'{labels},device=""')
            scrape.add(limit[0], "gauge", limit[1], root.capacity_bytes, f'{labels},device=""')


def _measured(scrape: _Scrape, measured: Measured, labels: str, started_s: float) -> None:
    usage = measured.usage
    total = "Cumulative cpu time consumed in seconds."
    scrape.add("container_cpu_usage_seconds_total", "counter", total, usage.cpu_ns / 1e9, f'{labels},cpu="total"')
    for name, what, read in COUNTERS:
        scrape.add(name, "counter", what, read(usage), labels)
    for name, what, read in THROTTLING if usage.periods else ():
        scrape.add(name, "counter", what, read(usage), labels)
    for name, what, read in GAUGES:
        scrape.add(name, "gauge", what, read(usage), labels)
    for kind, count in (("pgfault", usage.page_faults), ("pgmajfault", usage.major_page_faults)):
        told = f'{labels},failure_type="{kind}",scope="hierarchy"'
        what = "Cumulative count of memory allocation failures."
        scrape.add("container_memory_failures_total", "counter", what, count, told)
    for io in measured.io:
        for name, what, attribute in DEVICES:
            scrape.add(name, "counter", what, getattr(io, attribute), f'{labels},device="{io.device}"')
    for kind, pressure in measured.pressure.items():
        for name, what, stall in (("waiting", "some", pressure.some), ("stalled", "all", pressure.full)):
            told = f"Total time duration {what} tasks in the container have waited due to {kind} congestion."
            seconds = stall.total_us / 1e6
            scrape.add(f"container_pressure_{kind}_{name}_seconds_total", "counter", told, seconds, labels)
    started = "Start time of the container since unix epoch in seconds."
    scrape.add("container_start_time_seconds", "gauge", started, int(started_s), labels)
    last = "Last time a container was seen by the exporter"
    scrape.add("container_last_seen", "gauge", last, scrape.at_ms // 1000, labels)


def _network(scrape: _Scrape, interfaces: Iterable[Interface], labels: str) -> None:
    for one in interfaces:
        for name, what, read in NETWORK:
            told = f'{labels},interface="{one.name}"'
            scrape.add(f"container_network_{name}_total", "counter", f"Cumulative count of {what}", read(one), told)


def _spec(scrape: _Scrape, definition: Object, labels: str) -> None:
    resources = definition.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    wanted = requests.get("cpu", limits.get("cpu"))
    found: dict[str, float] = {
        "container_spec_cpu_period": CPU_PERIOD_US,
        "container_spec_cpu_shares": max(milli(wanted) * 1024 // 1000, 2) if wanted is not None else 2,
        "container_spec_memory_limit_bytes": value(limits["memory"]) if "memory" in limits else 0,
        "container_spec_memory_reservation_limit_bytes": 0,
        "container_spec_memory_swap_limit_bytes": value(limits["memory"]) if "memory" in limits else 0,
    }
    if "cpu" in limits:
        found["container_spec_cpu_quota"] = milli(limits["cpu"]) * CPU_PERIOD_US // 1000
    for name, what in SPEC:
        if name in found:
            scrape.add(name, "gauge", what, found[name], labels)


def _machine(scrape: _Scrape, sample: NodeSample) -> None:
    facts = (
        ("machine_cpu_cores", "Number of logical CPU cores.", sample.processors),
        ("machine_memory_bytes", "Amount of memory installed on the machine.", sample.memory_bytes),
        ("machine_swap_bytes", "Amount of swap memory available on the machine.", sample.swap_bytes),
        ("machine_scrape_error", "1 if there was an error while getting machine metrics, 0 otherwise.", 0),
        ("container_scrape_error", "1 if there was an error while getting container metrics, 0 otherwise", 0),
    )
    for name, what, number in facts:
        family = scrape.families[name] = Family(name, "gauge", what)
        family.add(number)
