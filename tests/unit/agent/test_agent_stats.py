"""What is read of the kernel's files, and how it is told: resource metrics, cAdvisor's, the summary."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from picluster.api.meta import now_rfc3339
from picluster.util.clock import VirtualClock
from picluster_agent import figures
from picluster_agent.cgroups.hierarchy import Hierarchy
from picluster_agent.cgroups.usage import Usage
from picluster_agent.endpoint import metrics
from picluster_agent.stats import cadvisor, proc, resource
from picluster_agent.stats.collector import Collector
from picluster_agent.stats.disks import measure
from picluster_agent.stats.exposition import Family, histogram, label_text
from picluster_agent.stats.model import (
    BlockIo,
    ContainerSample,
    Disks,
    DiskSpace,
    Interface,
    Measured,
    NodeSample,
    PodDisks,
    PodSample,
    Pressure,
    Stall,
    VolumeSpace,
)
from picluster_agent.stats.summary import summary
from picluster_agent.sync.context import PodContext, PodPaths
from picluster_agent.sync.model import Seen, State

PRESSURE = "some avg10=1.50 avg60=2.50 avg300=3.50 total=7\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n"
NET_DEV = """Inter-|   Receive        |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo: 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7
  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
vethab: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1
"""
ETH0 = Interface("eth0", 1, 2, 3, 4, 9, 10, 11, 12)
USAGE = Usage(cpu_ns=1_500_000_000, memory_bytes=300, working_set_bytes=200, rss_bytes=100, swap_bytes=5, processes=2)
WEB = ContainerSample(
    "web",
    "abc",
    "nginx:1",
    1000.0,
    Measured("kubepods/podu/libpod-abc", USAGE, 7, (BlockIo("8:0", 1, 2, 3, 4),)),
    {"resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": "500m", "memory": "64Mi"}}},
)
POD = PodSample("u", "shop", "front", 999.0, (WEB,), Measured("kubepods/podu", USAGE, 8), (ETH0,))
HOST = PodSample("h", "shop", "host", 999.0, (), Measured("kubepods/podh", USAGE), None)
NODE = NodeSample(
    at_s=2000.5,
    node="pi-1",
    booted_s=10.0,
    measured=Measured("", USAGE, 9),
    memory_bytes=1000,
    swap_bytes=50,
    processors=4,
    interfaces=(ETH0,),
    pods=(POD, HOST),
    system={"kubelet": (500.0, Measured("", USAGE)), "pods": (500.0, Measured("kubepods", USAGE))},
    pid_max=100,
    processes=10,
)
ROOM = DiskSpace(1000, 600, 100, 60, 400, 40)
DISKS = Disks(
    1990.0,
    ROOM,
    ROOM,
    {
        "u": PodDisks(
            {"web": DiskSpace(1000, 600, 100, 60, 10, 1)},
            {"web": DiskSpace(1000, 600, 100, 60, 20, 2)},
            (
                VolumeSpace("cache", DiskSpace(1000, 600, 100, 60, 30, 3)),
                VolumeSpace("data", DiskSpace(9, 8, 7, 6, 5, 4), claim="db", ephemeral=False),
            ),
        )
    },
)


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """As Prometheus' own parser reads them; a series that is told twice is a mistake."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def one(text: str, metric: str, **labels: str) -> float:
    """The only series of a name that has these labels."""
    wanted = set(labels.items())
    found = [value for (known, having), value in samples(text).items() if known == metric and wanted <= having]
    assert len(found) == 1, (metric, labels, found)
    return found[0]


def test_interfaces_are_read_without_the_loopback() -> None:
    found = proc.interfaces(NET_DEV)
    assert found[0] == ETH0
    assert [one.name for one in proc.physical(found)] == ["eth0"]


def test_block_devices_of_both_versions() -> None:
    assert proc.io_v2("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n254:0\n") == (BlockIo("8:0", 1, 2, 3, 4),)
    size, count = "8:0 Read 1\n8:0 Write 2\n8:0 Total 3\nTotal 3\n", "8:0 Read 3\n8:0 Write 4\nTotal 7\n"
    assert proc.io_v1(size, count) == (BlockIo("8:0", 1, 2, 3, 4),)


def test_resource_metrics_are_those_that_a_metrics_server_reads() -> None:
    text = resource.text(NODE)
    whose = {"container": "web", "namespace": "shop", "pod": "front"}
    assert one(text, "container_cpu_usage_seconds_total", **whose) == 1.5
    assert one(text, "container_memory_working_set_bytes", **whose) == 200
    assert one(text, "container_start_time_seconds", **whose) == 1000
    assert one(text, "pod_cpu_usage_seconds_total", namespace="shop", pod="host") == 1.5
    assert one(text, "node_memory_working_set_bytes") == 200
    assert one(text, "resource_scrape_error") == 0
    assert "node_cpu_usage_seconds_total 1.5 2000500\n" in text


def test_cadvisors_metrics_have_its_labels() -> None:
    text = cadvisor.text(NODE, DISKS)
    web = {
        "container": "web",
        "id": "/kubepods/podu/libpod-abc",
        "image": "nginx:1",
        "name": "abc",
        "namespace": "shop",
        "pod": "front",
    }
    assert one(text, "container_cpu_usage_seconds_total", cpu="total", **web) == 1.5
    assert one(text, "container_memory_working_set_bytes", **web) == 200
    assert one(text, "container_spec_cpu_quota", **web) == 50_000
    assert one(text, "container_spec_cpu_shares", **web) == 256
    assert one(text, "container_spec_memory_limit_bytes", **web) == 64 << 20
    assert one(text, "container_fs_writes_bytes_total", device="8:0", **web) == 2
    assert one(text, "container_fs_usage_bytes", **web) == 10
    assert one(text, "container_last_seen", **web) == 2000
    assert one(text, "container_network_transmit_bytes_total", pod="front", interface="eth0") == 9
    assert one(text, "container_memory_rss", id="/kubepods/podu", container="") == 100
    assert one(text, "container_memory_usage_bytes", id="/") == 300
    assert one(text, "machine_cpu_cores") == 4
    assert not [key for key in samples(text) if "network" in key[0] and ("pod", "host") in key[1]]


def test_the_summary_is_whole() -> None:
    told = summary(NODE, DISKS)
    node, (front, host) = told["node"], told["pods"]
    assert [one["name"] for one in node["systemContainers"]] == ["kubelet", "pods"]
    assert node["memory"]["availableBytes"] == 800
    assert node["cpu"] == {"time": "1970-01-01T00:33:20Z", "usageNanoCores": 9, "usageCoreNanoSeconds": 1_500_000_000}
    assert node["network"]["interfaces"][0]["rxBytes"] == node["network"]["rxBytes"] == 1
    assert node["fs"]["usedBytes"] == 400
    assert node["runtime"]["imageFs"]["inodesFree"] == 60
    assert node["rlimit"] == {"time": "1970-01-01T00:33:20Z", "maxpid": 100, "curproc": 10}
    assert front["podRef"] == {"name": "front", "namespace": "shop", "uid": "u"}
    assert front["containers"][0]["rootfs"]["usedBytes"] == 10
    assert front["containers"][0]["logs"]["usedBytes"] == 20
    assert [(one["name"], one.get("pvcRef")) for one in front["volume"]] == [
        ("cache", None),
        ("data", {"name": "db", "namespace": "shop"}),
    ]
    assert front["ephemeral-storage"]["usedBytes"] == 60
    assert front["process_stats"] == {"process_count": 2}
    assert "network" in front
    assert "network" not in host


def test_processor_and_memory_alone() -> None:
    told = summary(NODE, None)
    assert set(told["node"]) == {"nodeName", "systemContainers", "startTime", "cpu", "memory"}
    assert set(told["pods"][0]) == {"podRef", "startTime", "containers", "cpu", "memory"}
    assert set(told["pods"][0]["containers"][0]) == {"name", "startTime", "cpu", "memory"}


def test_a_tree_is_measured_once_for_each_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "big").write_bytes(b"x" * 100_000)
    (tmp_path / "again").hardlink_to(tmp_path / "a" / "big")
    (tmp_path / "link").symlink_to("/")
    used_bytes, inodes = measure(tmp_path)
    assert inodes == 4
    assert 100_000 <= used_bytes < 150_000
    assert measure(tmp_path / "none") == (0, 0)
    assert measure(tmp_path, entries_max=1)[1] == 1


def test_labels_are_escaped_and_empty_families_left_out() -> None:
    family = Family("a", "gauge", "what")
    assert family.text() == ""
    family.add(1, label_text({"b": 'say "\\"\n'}))
    assert samples(family.text()) == {("a", frozenset({("b", 'say "\\"\n')})): 1}


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/containers/json", "list_containers"),
        ("GET", "/containers/abc/json", "container_status"),
        ("POST", "/containers/create", "create_container"),
        ("POST", "/containers/abc/start", "start_container"),
        ("DELETE", "/containers/abc", "remove_container"),
        ("GET", "/images/docker.io%2Fnginx/json", "image_status"),
        ("POST", "http://podman/v1.40/images/create", "pull_image"),
        ("GET", "/events", ""),
        ("GET", "/_ping", ""),
    ],
)
def test_operations_have_the_kubelets_names(method: str, path: str, kind: str) -> None:
    assert figures.operation(method, path) == kind


def test_work_that_was_done_can_be_read(monkeypatch: Any) -> None:
    for name in ("RUNTIME_OPERATIONS", "RUNTIME_ERRORS", "PROBES"):
        monkeypatch.setattr(figures, name, type(getattr(figures, name))())
    with figures.counted("POST", "/containers/create"):
        pass
    with pytest.raises(ValueError, match="no"), figures.counted("POST", "/containers/create"):
        raise ValueError("no")
    figures.PROBES["u", "web", "Liveness", "failed"] += 2
    text = metrics.work()
    assert one(text, "kubelet_runtime_operations_total", operation_type="create_container") == 2
    assert one(text, "kubelet_runtime_operations_errors_total", operation_type="create_container") == 1
    assert one(text, "kubelet_runtime_operations_duration_seconds_count", operation_type="create_container") >= 2
    told = metrics.probes({"u": ("shop", "front")})
    assert one(told, "prober_probe_total", probe_type="Liveness", result="failed", pod_uid="u", pod="front") == 2
    assert metrics.probes({}) == ""
    assert not figures.PROBES
    assert one(histogram("x", "y", figures.POD_START), "x_bucket", le="+Inf") == figures.POD_START.count


def groups(top: Path, files: dict[str, dict[str, str]]) -> Hierarchy:
    """A version 2 tree with these files in each group."""
    for group, content in files.items():
        (top / group).mkdir(parents=True, exist_ok=True)
        for name, text in content.items():
            (top / group / name).write_text(text)
    return Hierarchy(2, dict.fromkeys(("cpu", "cpuacct", "memory", "pids"), top))


def group(cpu_us: int, memory_bytes: int, **more: str) -> dict[str, str]:
    return {
        "cpu.stat": f"usage_usec {cpu_us}\n",
        "memory.stat": "anon 10\nfile 20\ninactive_file 30\n",
        "memory.current": str(memory_bytes),
        **more,
    }


async def test_groups_become_samples_and_counters_rates(tmp_path: Path) -> None:
    clock = VirtualClock(1_000_000.0)
    pod = {
        "metadata": {"name": "front", "namespace": "shop", "uid": "u"},
        "spec": {"containers": [{"name": "web"}]},
        "status": {"startTime": now_rfc3339(clock.now() - 100)},
    }
    paths = PodPaths(tmp_path / "disk", tmp_path / "run")
    worker: Any = SimpleNamespace(context=PodContext("u", pod, paths))
    seen = (
        Seen("abc", "web", 0, State.RUNNING, started_s=clock.now() - 50, image="nginx"),
        Seen("old", "web", 0, State.EXITED),
        Seen("gone", "side", 0, State.RUNNING),
    )
    place = "kubepods/besteffort/podu"
    hierarchy = groups(
        tmp_path / "cgroup",
        {
            "": {"cpu.stat": "usage_usec 9\n", "memory.stat": "anon 1\ninactive_file 2\n"},
            "kubepods": group(4_000_000, 400),
            place: group(2_000_000, 300),
            f"{place}/libpod-abc": group(
                1_000_000, 200, **{"io.stat": "8:77 rbytes=1 wbytes=2 rios=3 wios=4\n", "cpu.pressure": PRESSURE}
            ),
            f"{place}/libpod-abc/container": {"cgroup.procs": f"{os.getpid()}\n"},
        },
    )
    collector = Collector("pi-1", hierarchy, lambda: [worker], lambda uid: seen, clock)
    first = await collector.sample()
    assert await collector.sample() is first, "nothing is read twice within a second"
    (found,) = first.pods
    (web,) = found.containers
    assert (web.name, web.id, web.image, web.measured.group) == ("web", "abc", "nginx", f"{place}/libpod-abc")
    assert web.measured.usage.working_set_bytes == 170
    assert web.measured.nano_cores == 20_000_000, "the mean of its life"
    assert web.measured.io == (BlockIo("8:77", 1, 2, 3, 4),)
    assert web.measured.pressure == {"cpu": Pressure(Stall(7, 1.5, 2.5, 3.5), Stall(9))}
    told = summary(first, None)["pods"][0]["containers"][0]
    assert told["cpu"]["psi"]["some"] == {"total": 7, "avg10": 1.5, "avg60": 2.5, "avg300": 3.5}
    assert "psi" not in told["memory"]
    assert one(cadvisor.text(first, None), "container_pressure_cpu_stalled_seconds_total", container="web") == 9e-6
    assert found.measured is not None
    assert (found.measured.usage.memory_bytes, found.started_s) == (300, clock.now() - 100)
    assert first.measured.usage.memory_bytes > 1 << 20, "the root has no figure of its own"
    assert first.system["pods"][1].usage.memory_bytes == 400

    groups(tmp_path / "cgroup", {f"{place}/libpod-abc": group(3_000_000, 200)})
    await clock.advance(10.0)
    second = await collector.sample()
    assert second.pods[0].containers[0].measured.nano_cores == 200_000_000
    assert (await Collector("pi-1", None, lambda: [worker], lambda uid: seen, clock).sample()).pods == ()
