"""``/stats/summary``: the kubelet's Summary (``staging/src/k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go``). PURE."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from picluster.api.meta import now_rfc3339
from picluster.api.types import Object
from picluster_agent.stats.model import (
    ContainerSample,
    Disks,
    DiskSpace,
    Interface,
    Measured,
    NodeSample,
    PodDisks,
    PodSample,
    Stall,
)


def summary(sample: NodeSample, disks: Disks | None) -> Object:
    """Everything; without ``disks`` processor and memory only (``?only_cpu_and_memory=true``)."""
    now = now_rfc3339(sample.at_s)
    return {"node": _node(sample, disks, now), "pods": [_pod(one, disks, sample, now) for one in sample.pods]}


def _node(sample: NodeSample, disks: Disks | None, now: str) -> Object:
    told: Object = {
        "nodeName": sample.node,
        "systemContainers": [
            {"name": name, "startTime": now_rfc3339(started_s), **_cpu_and_memory(measured, now)}
            for name, (started_s, measured) in sample.system.items()
        ],
        "startTime": now_rfc3339(sample.booted_s),
        **_cpu_and_memory(sample.measured, now, sample.memory_bytes),
    }
    if disks is None:
        return told
    at = now_rfc3339(disks.at_s)
    return {
        **told,
        "network": _network(sample.interfaces, now),
        "fs": _space(disks.node, at),
        "runtime": {"imageFs": _space(disks.images, at), "containerFs": _space(disks.images, at)},
        "rlimit": {"time": now, "maxpid": sample.pid_max, "curproc": sample.processes},
        "swap": _swap(sample.measured, sample.swap_bytes, now),
    }


def _pod(pod: PodSample, disks: Disks | None, sample: NodeSample, now: str) -> Object:
    found = (disks.pods.get(pod.uid) or PodDisks()) if disks is not None else None
    told: Object = {
        "podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
        "startTime": now_rfc3339(pod.started_s),
        "containers": [_container(one, found, disks, now) for one in pod.containers],
    }
    if pod.measured is not None:
        told.update(_cpu_and_memory(pod.measured, now))
    if found is None or disks is None:
        return told
    at = now_rfc3339(disks.at_s)
    if pod.interfaces is not None:
        told["network"] = _network(pod.interfaces, now)
    told["volume"] = [
        {
            **_space(one.space, at),
            "name": one.name,
            **({"pvcRef": {"name": one.claim, "namespace": pod.namespace}} if one.claim else {}),
        }
        for one in found.volumes
    ]
    told["ephemeral-storage"] = _ephemeral(found, disks.node, at)
    if pod.measured is not None:
        told["process_stats"] = {"process_count": pod.measured.usage.processes}
        told["swap"] = _swap(pod.measured, sample.swap_bytes, now)
    return told


def _container(one: ContainerSample, found: PodDisks | None, disks: Disks | None, now: str) -> Object:
    told = {"name": one.name, "startTime": now_rfc3339(one.started_s), **_cpu_and_memory(one.measured, now)}
    if found is None or disks is None:
        return told
    at = now_rfc3339(disks.at_s)
    for key, spaces in (("rootfs", found.roots), ("logs", found.logs)):
        if one.name in spaces:
            told[key] = _space(spaces[one.name], at)
    told["swap"] = {"time": now, "swapUsageBytes": one.measured.usage.swap_bytes}
    return told


def _cpu_and_memory(measured: Measured, now: str, memory_bytes: int = 0) -> Object:
    usage = measured.usage
    memory: dict[str, Any] = {"time": now}
    if memory_bytes:
        memory["availableBytes"] = max(memory_bytes - usage.working_set_bytes, 0)
    memory |= {
        "usageBytes": usage.memory_bytes,
        "workingSetBytes": usage.working_set_bytes,
        "rssBytes": usage.rss_bytes,
        "pageFaults": usage.page_faults,
        "majorPageFaults": usage.major_page_faults,
    }
    cpu: Object = {"time": now, "usageNanoCores": measured.nano_cores, "usageCoreNanoSeconds": usage.cpu_ns}
    if not measured.pressure:
        return {"cpu": cpu, "memory": memory}
    io: Object = {"time": now}
    for kind, part in (("cpu", cpu), ("memory", memory), ("io", io)):
        if kind in measured.pressure:
            part["psi"] = {name: _stall(stall) for name, stall in measured.pressure[kind]._asdict().items()}
    return {"cpu": cpu, "memory": memory, "io": io}


def _stall(stall: Stall) -> Object:
    return {"total": stall.total_us, "avg10": stall.avg10, "avg60": stall.avg60, "avg300": stall.avg300}


def _network(interfaces: Iterable[Interface], now: str) -> Object:
    listed = [
        {
            "name": one.name,
            "rxBytes": one.rx_bytes,
            "rxErrors": one.rx_errors,
            "txBytes": one.tx_bytes,
            "txErrors": one.tx_errors,
        }
        for one in interfaces
    ]
    default = next((one for one in listed if one["name"] == "eth0"), listed[0] if listed else {})
    return {"time": now, **default, "interfaces": listed}


def _swap(measured: Measured, swap_bytes: int, now: str) -> Object:
    used_bytes = measured.usage.swap_bytes
    return {"time": now, "swapAvailableBytes": max(swap_bytes - used_bytes, 0), "swapUsageBytes": used_bytes}


def _space(space: DiskSpace, at: str) -> Object:
    told: Object = {
        "time": at,
        "availableBytes": space.available_bytes,
        "capacityBytes": space.capacity_bytes,
        "inodesFree": space.inodes_free,
        "inodes": space.inodes,
    }
    if space.used_bytes is not None:
        told["usedBytes"] = space.used_bytes
    if space.inodes_used is not None:
        told["inodesUsed"] = space.inodes_used
    return told


def _ephemeral(found: PodDisks, node: DiskSpace, at: str) -> Object:
    """The sum of what containers and local volumes have written; the room is the node's."""
    parts = [*found.roots.values(), *found.logs.values(), *(one.space for one in found.volumes if one.ephemeral)]
    used = DiskSpace(
        node.capacity_bytes,
        node.available_bytes,
        node.inodes,
        node.inodes_free,
        sum(one.used_bytes or 0 for one in parts),
        sum(one.inodes_used or 0 for one in parts),
    )
    return _space(used, at)
