"""What a node tells of itself: the summary, the metrics of resources, containers, probes and of its own work."""

from __future__ import annotations

import asyncio
import subprocess
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from picluster.api.errors import ApiError
from picluster.api.meta import condition_is

pytestmark = [pytest.mark.lab, pytest.mark.kubectl]

PROXY = "/api/v1/nodes/test-node/proxy"


async def read(node: Any, path: str) -> Any:
    """What the node's agent answers, through the API server."""
    async with node.client.raw("GET", f"{PROXY}{path}") as response:
        assert response.status == 200, await response.text()
        return await (response.json() if "stats" in path else response.text())


def value(text: str, metric: str, **labels: str) -> float | None:
    """The only series of ``metric`` with these labels, if it is there."""
    found = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == metric and labels.items() <= sample.labels.items()
    ]
    assert len(found) < 2, (metric, labels)
    return found[0] if found else None


async def tops(node: Any) -> None:
    """``kubectl top`` and what an autoscaler asks, of the metrics API that the API server makes of it."""

    async def top(*words: str) -> str:
        command = ["kubectl", "--kubeconfig", str(node.server.kubeconfig), "top", *words]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30)
        return done.stdout

    nodes = (await top("nodes")).splitlines()
    assert nodes[0].split()[:3] == ["NAME", "CPU(cores)", "CPU(%)"]
    assert nodes[1].split()[0] == "test-node"

    async def busy() -> bool:
        return "busy" in await top("pods", "--sort-by=cpu")

    await node.eventually(busy, "the pod in kubectl top")
    listed = (await top("pods", "--containers", "--sort-by=memory")).splitlines()
    assert listed[0].split() == ["POD", "NAME", "CPU(cores)", "MEMORY(bytes)"]
    pod, name, cpu, memory = listed[1].split()
    assert (pod, name) == ("busy", "busy")
    assert 0 < int(cpu.removesuffix("m")) < 1000
    assert memory.endswith("Mi")
    path = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods"
    async with node.client.raw("GET", f"{path}?labelSelector=app%3Dnone") as response:
        assert (await response.json())["items"] == []
    async with node.client.raw("GET", f"{path}/busy") as response:
        told = await response.json()
    assert told["containers"][0]["usage"]["memory"].endswith("i")
    assert told["window"].endswith("s")
    with pytest.raises(ApiError, match=r'podmetrics\.metrics\.k8s\.io "default/none" not found'):
        async with node.client.raw("GET", f"{path}/none"):
            pass


async def test_use_is_told_as_by_a_kubelet(shared_node: Any, make_pod: Any, box: Any) -> None:
    node = shared_node
    command = "dd if=/dev/zero of=/cache/big bs=1M count=3; touch /cache/done; "
    busy = box(
        "busy",
        "sh",
        "-c",
        command + "while true; do :; done",
        volumeMounts=[{"name": "cache", "mountPath": "/cache"}],
        readinessProbe={"exec": {"command": ["stat", "/cache/done"]}, "periodSeconds": 1},
        livenessProbe={"tcpSocket": {"port": 1}, "periodSeconds": 1, "failureThreshold": 1000},
        resources={"limits": {"memory": "64Mi", "cpu": "100m"}},
    )
    await node.run(make_pod("busy", busy, volumes=[{"name": "cache", "emptyDir": {}}]))
    await node.when("busy", lambda pod: condition_is(pod, "Ready"))

    async def used() -> dict[str, Any] | None:
        summary = await read(node, "/stats/summary")
        mine = [one for one in summary["pods"] if one["podRef"]["name"] == "busy" and one.get("volume")]
        used_up = mine and mine[0]["cpu"]["usageCoreNanoSeconds"] > 20_000_000
        return summary if used_up and mine[0]["volume"][0]["usedBytes"] >= 3 << 20 else None

    summary = await node.eventually(used, "the pod's use")
    pod = next(one for one in summary["pods"] if one["podRef"]["name"] == "busy")
    container = pod["containers"][0]
    assert container["name"] == "busy"
    assert 0 < container["cpu"]["usageNanoCores"] < 1_000_000_000
    assert 0 < container["memory"]["workingSetBytes"] < 64 << 20
    assert pod["network"]["interfaces"][0]["name"] == "eth0"
    assert {one["name"] for one in summary["node"]["systemContainers"]} >= {"kubelet"}
    assert summary["node"]["memory"]["availableBytes"] > 0
    few = await read(node, "/stats/summary?only_cpu_and_memory=true")
    assert "fs" not in few["node"]

    mine = {"namespace": "default", "pod": "busy", "container": "busy"}
    resources = await read(node, "/metrics/resource")
    seconds = value(resources, "container_cpu_usage_seconds_total", **mine)
    assert seconds is not None
    assert seconds > 0.02
    assert value(resources, "node_cpu_usage_seconds_total") is not None
    cadvisor = await read(node, "/metrics/cadvisor")
    assert value(cadvisor, "container_memory_working_set_bytes", **mine)
    assert value(cadvisor, "container_spec_memory_limit_bytes", **mine) == 64 << 20
    assert value(cadvisor, "container_network_receive_packets_total", pod="busy", interface="eth0") is not None
    assert value(cadvisor, "machine_cpu_cores")

    async def probed() -> float | None:
        return value(await read(node, "/metrics/probes"), "prober_probe_total", result="failed", **mine)

    await node.eventually(probed, "a failed probe to be counted")
    assert await read(node, "/healthz/syncloop") == "ok"
    await tops(node)
    own = await read(node, "/metrics")
    assert value(own, "kubelet_running_pods")
    assert value(own, "kubelet_node_name", node="test-node") == 1
    assert value(own, "kubelet_runtime_operations_total", operation_type="create_container")
    assert value(own, "kubelet_pleg_relist_duration_seconds_count")
    assert value(own, "kubelet_started_pods_total")
    assert value(own, "kubelet_started_containers_total", container_type="container")
    assert value(own, "kubelet_pod_start_duration_seconds_count")
    assert value(own, "kubelet_pod_worker_duration_seconds_count", operation_type="create")
    assert value(own, "kubelet_certificate_manager_client_ttl_seconds")
    assert value(own, "process_resident_memory_bytes")
    assert value(own, "picluster_board_clock_synchronized") is not None
