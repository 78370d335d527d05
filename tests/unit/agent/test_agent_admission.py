"""May a pod run on this node: the kubelet's reasons and messages, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from picluster_agent.admission import sysctls
from picluster_agent.admission.critical import NotEnough, is_critical, to_preempt
from picluster_agent.admission.decide import NodeView, Rejection, admit, amounts

MIB = 1024**2


def pod(name: str = "p", cpu: str = "", labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "c", "resources": {"requests": {"cpu": cpu} if cpu else {}}}
    if ports := spec.pop("host_ports", None):
        container["ports"] = [{"containerPort": port, "hostPort": port, "protocol": "TCP"} for port in ports]
    metadata = {"name": name, "namespace": "d", "uid": name, "labels": labels or {}}
    return {"metadata": metadata, "spec": {"containers": [container], **spec}}


def view(**fields: Any) -> NodeView:
    given = {"labels": {"disk": "ssd"}, **fields}
    return NodeView("n", amounts({"cpu": "1", "memory": "64Mi"}), given.pop("pods_max", 3), **given)


def affinity(key: str) -> dict[str, Any]:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": "Exists"}]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def predicate(name: str, why: str) -> tuple[str, str]:
    return name, f"Predicate {name} failed: node(s) {why}"


EVICTING = {"key": "k", "effect": "NoExecute"}
TOLERANT = [{"operator": "Exists"}]


@pytest.mark.parametrize(
    ("wanted", "others", "node", "expected"),
    [
        (pod(cpu="500m"), [pod("o", "500m")], view(), None),
        (
            pod(cpu="501m"),
            [pod("o", "500m")],
            view(),
            ("OutOfcpu", "Node didn't have enough resource: cpu, requested: 501, used: 500, capacity: 1000"),
        ),
        (
            pod(),
            [pod(str(index)) for index in range(3)],
            view(),
            ("OutOfpods", "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"),
        ),
        (
            pod(overhead={"memory": "65Mi"}),
            [],
            view(),
            (
                "OutOfmemory",
                f"Node didn't have enough resource: memory, requested: {65 * MIB}, used: 0, capacity: {64 * MIB}",
            ),
        ),
        (pod(nodeSelector={"disk": "ssd"}), [], view(), None),
        (
            pod(nodeSelector={"disk": "hdd"}),
            [],
            view(),
            predicate("NodeAffinity", "didn't match Pod's node affinity/selector"),
        ),
        (
            pod(affinity=affinity("gpu")),
            [],
            view(),
            predicate("NodeAffinity", "didn't match Pod's node affinity/selector"),
        ),
        (pod(affinity=affinity("gpu")), [], view(labels=None), None),
        (
            pod(host_ports=[80]),
            [pod("o", host_ports=[80])],
            view(),
            predicate("NodePorts", "didn't have free ports for the requested pod ports"),
        ),
        (pod(host_ports=[80]), [pod("o", host_ports=[81])], view(), None),
        (pod(), [], view(taints=[EVICTING]), predicate("TaintToleration", "had taints that the pod didn't tolerate")),
        (pod(tolerations=TOLERANT), [], view(taints=[EVICTING]), None),
        (pod(), [], view(taints=[{"key": "k", "effect": "NoSchedule"}]), None),
        (
            pod(os={"name": "windows"}),
            [],
            view(),
            ("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"),
        ),
        (
            pod(labels={"kubernetes.io/os": "windows"}),
            [],
            view(),
            (
                "PodOSSelectorNodeLabelDoesNotMatch",
                "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
            ),
        ),
        (pod(), [], view(pressures=["MemoryPressure"]), ("Evicted", "The node had condition: [MemoryPressure]. ")),
        (pod(cpu="1m"), [], view(pressures=["MemoryPressure"]), None),
        (pod(tolerations=TOLERANT), [], view(pressures=["MemoryPressure"]), None),
        (pod(cpu="1m"), [], view(pressures=["DiskPressure"]), ("Evicted", "The node had condition: [DiskPressure]. ")),
        (pod(priority=2_000_000_000), [], view(pressures=["DiskPressure"]), None),
        (
            pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
            [],
            view(),
            ("SysctlForbidden", 'forbidden sysctl: "kernel.msgmax" not allowlisted'),
        ),
    ],
)
def test_admission(
    wanted: dict[str, Any], others: list[dict[str, Any]], node: NodeView, expected: tuple[str, str] | None
) -> None:
    verdict = admit(wanted, others, node)
    assert verdict.rejection == (None if expected is None else Rejection(*expected))
    assert not verdict.preempt


def test_resources_that_the_node_does_not_know_are_not_counted() -> None:
    wanted = pod()
    wanted["spec"]["containers"][0]["resources"]["requests"]["example.com/cluster-wide"] = "5"
    assert admit(wanted, [], view()).rejection is None


def sure(name: str, cpu: str) -> dict[str, Any]:
    made = pod(name, cpu)
    made["spec"]["containers"][0]["resources"] = {
        kind: {"cpu": cpu, "memory": "1Mi"} for kind in ("requests", "limits")
    }
    return made


def test_a_critical_pod_takes_the_place_of_the_fewest() -> None:
    others = [sure("sure", "400m"), pod("small", "100m"), pod("big", "300m"), pod("best")]
    verdict = admit(pod("critical", "250m", priority=2_000_000_000), others, view(pods_max=10))
    assert verdict.rejection is None
    assert [one["metadata"]["name"] for one in verdict.preempt] == ["small"]
    verdict = admit(pod("critical", "700m", priority=2_000_000_000), others, view(pods_max=10))
    assert [one["metadata"]["name"] for one in verdict.preempt] == ["small", "sure"]


def test_a_critical_pod_does_not_preempt_critical_ones_or_in_vain() -> None:
    other = pod("o", "800m", priority=2_000_000_000)
    verdict = admit(pod("critical", "500m", priority=2_000_000_000), [other], view())
    assert verdict.rejection is not None and verdict.rejection.reason == "UnexpectedAdmissionError"
    assert "no set of running pods found to reclaim resources: [(res: cpu, q: 300), ]" in verdict.rejection.message
    elsewhere = pod("critical", "500m", priority=2_000_000_000, nodeSelector={"a": "b"})
    assert admit(elsewhere, [pod("o", "800m")], view()).rejection == Rejection(
        *predicate("NodeAffinity", "didn't match Pod's node affinity/selector")
    )
    with pytest.raises(NotEnough):
        to_preempt(pod("critical", "1", priority=2_000_000_000), [], {"cpu": 1})


def test_static_pods_and_mirrors_are_critical() -> None:
    for annotation in ({"kubernetes.io/config.source": "file"}, {"kubernetes.io/config.mirror": "x"}):
        one = pod()
        one["metadata"]["annotations"] = annotation
        assert is_critical(one)
    assert not is_critical(pod(priority=1_999_999_999))


@pytest.mark.parametrize(
    ("name", "fields", "allowed", "why"),
    [
        ("kernel.shm_rmid_forced", {}, (), ""),
        ("net/ipv4/tcp_syncookies", {}, (), ""),
        ("net.ipv4.tcp_syncookies", {"hostNetwork": True}, (), "not allowed with host net enabled"),
        ("kernel.shm_rmid_forced", {"hostIPC": True}, (), "not allowed with host IPC enabled"),
        ("kernel.msgmax", {}, ("kernel.msg*",), ""),
        ("net.core.somaxconn", {}, ("net.core.somaxconn",), ""),
        ("net.core.somaxconn", {}, ("net.ipv4.*",), '"net.core.somaxconn" not allowlisted'),
    ],
)
def test_kernel_parameters(name: str, fields: dict[str, Any], allowed: tuple[str, ...], why: str) -> None:
    spec = {"securityContext": {"sysctls": [{"name": name, "value": "1"}]}, **fields}
    assert why in sysctls.forbidden(spec, allowed)
    assert bool(sysctls.forbidden(spec, allowed)) == bool(why)
