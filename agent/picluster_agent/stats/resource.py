"""``/metrics/resource``: what the metrics API is made of (``kubelet/metrics/collectors/resource_metrics.go``). PURE."""

from __future__ import annotations

from picluster_agent.cgroups.usage import Usage
from picluster_agent.stats.exposition import Family, joined, label_text
from picluster_agent.stats.model import NodeSample


class _Three:
    """Processor, memory and swap of nodes, pods or containers."""

    def __init__(self, subject: str) -> None:
        self.cpu = Family(
            f"{subject}_cpu_usage_seconds_total",
            "counter",
            f"[STABLE] Cumulative cpu time consumed by the {subject} in core-seconds",
        )
        self.memory = Family(
            f"{subject}_memory_working_set_bytes",
            "gauge",
            f"[STABLE] Current working set of the {subject} in bytes",
        )
        self.swap = Family(
            f"{subject}_swap_usage_bytes", "gauge", f"[ALPHA] Current amount of the {subject} swap usage in bytes"
        )

    def add(self, usage: Usage, labels: str, at_ms: int) -> None:
        self.cpu.add(usage.cpu_ns / 1e9, labels, at_ms)
        self.memory.add(usage.working_set_bytes, labels, at_ms)
        self.swap.add(usage.swap_bytes, labels, at_ms)

    @property
    def families(self) -> tuple[Family, Family, Family]:
        return self.cpu, self.memory, self.swap


def text(sample: NodeSample) -> str:
    at_ms = int(sample.at_s * 1000)
    node, pods, containers = _Three("node"), _Three("pod"), _Three("container")
    started = Family(
        "container_start_time_seconds", "gauge", "[STABLE] Start time of the container since unix epoch in seconds"
    )
    failed = Family(
        "resource_scrape_error",
        "gauge",
        "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
    )
    node.add(sample.measured.usage, "", at_ms)
    for pod in sample.pods:
        whose = {"namespace": pod.namespace, "pod": pod.name}
        for one in pod.containers:
            labels = label_text({"container": one.name, **whose})
            containers.add(one.measured.usage, labels, at_ms)
            started.add(one.started_s, labels)
        if pod.measured is not None:
            pods.add(pod.measured.usage, label_text(whose), at_ms)
    failed.add(0)
    return joined((*containers.families, started, *node.families, *pods.families, failed))
