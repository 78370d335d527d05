"""Where pods with claims can go, and what they are told: tables of small clusters."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api import volumebinding as binding
from picluster.api.meta import key_of
from picluster.api.resources import (
    CSI_DRIVERS,
    CSI_NODES,
    CSI_STORAGE_CAPACITIES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
    Resource,
)
from picluster.scheduler.classes import Classes
from picluster.scheduler.decide import Unschedulable, decide
from picluster.scheduler.loop import Change, could_help, trimmed
from picluster.scheduler.model import pod_info
from picluster.scheduler.snapshot import Snapshot
from picluster.scheduler.volumebinder import slimmer
from picluster.scheduler.volumeplan import plan_for
from picluster.scheduler.volumes import Plan

Json = dict[str, Any]
DONE = {binding.BIND_COMPLETED: "yes"}
NODES = ("pi-1", "pi-2", "pi-3")
RWOP = "ReadWriteOncePod"
PREEMPTION = "preemption: 0/3 nodes are available:"


def pod(name: str = "web", *claims: str, on: str = "", ephemeral: str = "") -> Json:
    volumes: list[Json] = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims]
    volumes += [{"name": ephemeral, "ephemeral": {}}] if ephemeral else []
    spec: Json = {"containers": [{"name": "c", "image": "i"}], "volumes": [*volumes, {"name": "e", "emptyDir": {}}]}
    if on:
        spec["nodeName"] = on
    return trimmed({"metadata": {"name": name, "namespace": "d", "uid": name}, "spec": spec})


def claim(name: str = "c", said: Json | None = None, size: str = "1Gi", **more: Any) -> Json:
    metadata = {"name": name, "namespace": "d", "uid": name, "resourceVersion": "5", "annotations": said or {}}
    metadata.update(more.pop("metadata", {}))
    status = {"phase": more.pop("phase", "Pending")}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **more}
    return {"metadata": metadata, "spec": spec, "status": status}


def bound(name: str, volume: str, **more: Any) -> Json:
    return claim(name, DONE, volumeName=volume, phase="Bound", **more)


def volume(
    name: str, on: str = "", size: str = "1Gi", phase: str = "Available", labels: Json | None = None, **spec: Any
) -> Json:
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [on]}]}
    affinity = {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}} if on else {}
    kept = {"accessModes": ["ReadWriteOnce", RWOP], "capacity": {"storage": size}, **affinity, **spec}
    metadata = {"name": name, "resourceVersion": "5", "labels": labels or {}}
    return {"metadata": metadata, "spec": kept, "status": {"phase": "Available"}}


def storage_class(name: str = "wait", provisioner: str = binding.NO_PROVISIONER, **more: Any) -> Json:
    mode = more.pop("volumeBindingMode", "WaitForFirstConsumer")
    return {"metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": mode, **more}


def cluster(*objects: tuple[Resource, Json], pods: tuple[Json, ...] = ()) -> Snapshot:
    found = Snapshot()
    for name in NODES:
        labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{name[-1]}"}
        status = {"allocatable": {"cpu": "4", "memory": "4Gi", "pods": "110"}}
        found.set_node({"metadata": {"name": name, "labels": labels}, "spec": {}, "status": status})
    for resource, obj in objects:
        found.volumes.set(resource, None, slimmer(resource)(obj))
    for each in pods:
        found.set_pod(each)
    return found


def of(resource: Resource, *objects: Json) -> list[tuple[Resource, Json]]:
    return [(resource, obj) for obj in objects]


CLAIMS, VOLUMES, CLASSES = PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES
ZONE = "topology.kubernetes.io/zone"
MADE = storage_class(provisioner="p.io")
LATER = claim(storageClassName="wait")


def candidates(subject: Json, snapshot: Snapshot) -> set[str] | Unschedulable:
    """All nodes that the pod may go to, or why to none."""
    seen: set[str] = set()

    def tie(names: Any) -> str:
        seen.update(names)
        return str(names[0])

    found = decide(pod_info(subject), snapshot, tie)
    assert type(Classes().decide(pod_info(subject), snapshot, tie)) is type(found)
    return found if isinstance(found, Unschedulable) else seen


@pytest.mark.parametrize(
    ("objects", "nodes"),
    [
        pytest.param(of(CLAIMS, bound("c", "v")) + of(VOLUMES, volume("v", "pi-2")), {"pi-2"}, id="bound to a node"),
        pytest.param(of(CLAIMS, bound("c", "v")) + of(VOLUMES, volume("v")), set(NODES), id="bound anywhere"),
        pytest.param(
            of(CLAIMS, bound("c", "v")) + of(VOLUMES, volume("v", labels={ZONE: "zone-1__zone-3"})),
            {"pi-1", "pi-3"}, id="bound in zones",
        ),
        pytest.param(
            of(CLAIMS, LATER) + of(CLASSES, storage_class())
            + of(VOLUMES, volume("a", "pi-1", storageClassName="wait"), volume("b", "pi-3", storageClassName="wait")),
            {"pi-1", "pi-3"}, id="static volumes on two nodes",
        ),
        pytest.param(of(CLAIMS, LATER) + of(CLASSES, MADE), set(NODES), id="made anywhere"),
        pytest.param(
            of(CLAIMS, claim("c", {binding.SELECTED_NODE: "pi-2"}, storageClassName="wait"))
            + of(CLASSES, storage_class(provisioner="p.io")),
            {"pi-2"}, id="being made on a node",
        ),
        pytest.param(
            of(CLAIMS, LATER)
            + of(CLASSES, storage_class(provisioner="p.io", allowedTopologies=[
                {"matchLabelExpressions": [{"key": "topology.kubernetes.io/zone", "values": ["zone-3"]}]},
            ])),
            {"pi-3"}, id="allowed topologies",
        ),
        pytest.param(
            of(CLAIMS, LATER) + of(CLASSES, storage_class(provisioner="p.io"))
            + of(CSI_DRIVERS, {"metadata": {"name": "p.io"}, "spec": {"storageCapacity": True}})
            + of(CSI_STORAGE_CAPACITIES, *(
                {"metadata": {"name": f"{name}-{size}", "namespace": "x"}, "storageClassName": "wait", "capacity": size,
                 "nodeTopology": {"matchLabels": {"kubernetes.io/hostname": name}}}
                for name, size in (("pi-1", "512Mi"), ("pi-2", "2Gi"))
            )),
            {"pi-2"}, id="capacity",
        ),
    ],
)  # fmt: skip
def test_where_a_pod_with_a_claim_goes(objects: list[tuple[Resource, Json]], nodes: set[str]) -> None:
    assert candidates(pod("web", "c"), cluster(*objects)) == nodes


@pytest.mark.parametrize(
    ("subject", "objects", "why"),
    [
        (pod("web", "c"), [], 'persistentvolumeclaim "c" not found'),
        (
            pod("web", ephemeral="data"),
            [],
            'waiting for ephemeral volume controller to create the persistentvolumeclaim "web-data"',
        ),
        (
            pod("web", ephemeral="data"),
            of(CLAIMS, claim("web-data")),
            "PVC d/web-data was not created for pod d/web (pod is not owner)",
        ),
        (
            pod("web", "c"),
            of(CLAIMS, claim(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})),
            'persistentvolumeclaim "c" is being deleted',
        ),
        (
            pod("web", "c"),
            of(CLAIMS, claim("c", DONE, volumeName="v", phase="Lost")),
            'persistentvolumeclaim "c" bound to non-existent persistentvolume "v"',
        ),
        (pod("web", "c"), of(CLAIMS, claim()), "pod has unbound immediate PersistentVolumeClaims"),
        (
            pod("web", "c"),
            of(CLAIMS, claim(storageClassName="wait", volumeName="v")) + of(CLASSES, storage_class()),
            "pod has unbound immediate PersistentVolumeClaims",
        ),
        (pod("web", "c"), of(CLAIMS, bound("c", "v")), 'persistentvolume "v" not found'),
    ],
)
def test_what_keeps_a_pod_from_every_node(subject: Json, objects: list[tuple[Resource, Json]], why: str) -> None:
    found = candidates(subject, cluster(*objects))
    assert isinstance(found, Unschedulable)
    hopeless = f"{PREEMPTION} 3 Preemption is not helpful for scheduling."
    assert found.message() == f"0/3 nodes are available: {why}. {hopeless}"


def csi(name: str) -> Json:
    return volume(name, csi={"driver": "p.io", "volumeHandle": name})


@pytest.mark.parametrize(
    ("objects", "pods", "why"),
    [
        pytest.param(
            of(CLAIMS, bound("c", "v")) + of(VOLUMES, volume("v", "pi-9")), (),
            "3 node(s) didn't match PersistentVolume's node affinity", id="elsewhere",
        ),
        pytest.param(
            of(CLAIMS, LATER) + of(CLASSES, storage_class()), (),
            "3 node(s) didn't find available persistent volumes to bind", id="none to be had",
        ),
        pytest.param(
            of(CLAIMS, bound("c", "v", accessModes=[RWOP])) + of(VOLUMES, volume("v")), (pod("other", "c", on="pi-1"),),
            "3 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by "
            "another pod", id="one pod only",
        ),
        pytest.param(
            of(CLAIMS, bound("c", "v"), bound("o", "o")) + of(VOLUMES, csi("v"), csi("o"))
            + of(CSI_NODES, *(
                {"metadata": {"name": n}, "spec": {"drivers": [{"name": "p.io", "allocatable": {"count": 1}}]}}
                for n in NODES
            )),
            tuple(pod(f"o-{n}", "o", on=n) for n in NODES), "3 node(s) exceed max volume count", id="limits",
        ),
    ],
)  # fmt: skip
def test_why_nodes_cannot_take_it(objects: list[tuple[Resource, Json]], pods: tuple[Json, ...], why: str) -> None:
    found = candidates(pod("web", "c"), cluster(*objects, pods=pods))
    assert isinstance(found, Unschedulable)
    assert found.message().startswith(f"0/3 nodes are available: {why}. preemption:")


def test_a_volume_that_is_there_already_does_not_count_again() -> None:
    drivers = {"drivers": [{"name": "p.io", "allocatable": {"count": 1}}]}
    objects = of(CLAIMS, bound("c", "v")) + of(VOLUMES, csi("v"))
    objects += of(CSI_NODES, *({"metadata": {"name": name}, "spec": drivers} for name in NODES))
    snapshot = cluster(*objects, pods=(pod("other", "c", on="pi-1"),))
    assert candidates(pod("web", "c"), snapshot) == set(NODES) - {"pi-1"}  # spread, none is refused


def test_two_pods_never_get_one_volume_and_one_gives_it_back() -> None:
    objects = of(CLAIMS, LATER, claim("c2", storageClassName="wait")) + of(CLASSES, storage_class())
    snapshot = cluster(*objects, *of(VOLUMES, volume("v", "pi-1", storageClassName="wait")))
    first, second = pod_info(pod("web", "c")), pod("web-2", "c2")
    plan = plan_for(first, snapshot.nodes["pi-1"], snapshot.volumes)
    assert isinstance(plan, Plan)
    assert [(key_of(c), v["metadata"]["name"]) for c, v in plan.bindings] == [("d/c", "v")]
    snapshot.volumes.assume(plan, "pi-1")
    assert isinstance(candidates(second, snapshot), Unschedulable)
    assert candidates(pod("web", "c"), snapshot) == {"pi-1"}, "its own"
    snapshot.volumes.forget(plan)
    assert candidates(second, snapshot) == {"pi-1"}
    # A newer volume, as the watch brings it, is the truth.
    snapshot.volumes.assume(plan, "pi-1")
    newer = volume("v", "pi-1", storageClassName="wait")
    newer["metadata"]["resourceVersion"] = "6"
    snapshot.volumes.set(VOLUMES, None, newer)
    assert candidates(second, snapshot) == {"pi-1"}


def test_a_chosen_node_holds_for_all_pods_of_the_claim() -> None:
    snapshot = cluster(*of(CLAIMS, LATER), *of(CLASSES, storage_class(provisioner="p.io")))
    plan = plan_for(pod_info(pod("web", "c")), snapshot.nodes["pi-2"], snapshot.volumes)
    assert isinstance(plan, Plan)
    assert [key_of(found) for found in plan.provisions] == ["d/c"]
    snapshot.volumes.assume(plan, "pi-2")
    assert candidates(pod("web-2", "c"), snapshot) == {"pi-2"}


def test_several_claims_get_volumes_of_their_own() -> None:
    two = (claim("a", size="2Gi", storageClassName="wait"), claim("b", storageClassName="wait"))
    there = (volume("v1", "pi-1", "2Gi", storageClassName="wait"), volume("v2", "pi-1", "1Gi", storageClassName="wait"))
    snapshot = cluster(*of(CLAIMS, *two), *of(VOLUMES, *there), *of(CLASSES, storage_class()))
    plan = plan_for(pod_info(pod("web", "a", "b")), snapshot.nodes["pi-1"], snapshot.volumes)
    assert isinstance(plan, Plan)
    pairs = {found["metadata"]["name"]: has["metadata"]["name"] for found, has in plan.bindings}
    assert pairs == {"a": "v1", "b": "v2"}


def test_only_claims_are_kept_of_a_pods_volumes_and_what_changes_in_them_wakes_it() -> None:
    with_claim, without = pod("web", "c"), pod("web")
    assert "volumes" not in without["spec"]
    assert [volume["name"] for volume in with_claim["spec"]["volumes"]] == ["c"]
    wakes = could_help(frozenset({Change.VOLUMES}))
    assert wakes(pod_info(with_claim))
    assert not wakes(pod_info(without))
    assert pod_info(with_claim).template != pod_info(pod("web", "d")).template


def test_little_is_kept_of_a_volume() -> None:
    whole = volume("v", csi={"driver": "d", "volumeHandle": "h"}, claimRef={"uid": "u"}, mountOptions=["ro"])
    whole["metadata"].update(managedFields=[{}], annotations={"long": "text", binding.BOUND_BY_CONTROLLER: "yes"})
    slim = slimmer(VOLUMES)(whole)
    assert "mountOptions" not in slim["spec"]
    assert slim["metadata"]["annotations"] == {binding.BOUND_BY_CONTROLLER: "yes"}
    assert slimmer(VOLUMES)(slim) == slim


def with_disk(name: str, on: str = "", **disk: Any) -> Json:
    made = pod(name, on=on)
    made["spec"]["volumes"] = [{"name": "d", **disk}]
    return trimmed(made)


EBS = {"awsElasticBlockStore": {"volumeID": "e"}}
ISCSI = {"iscsi": {"iqn": "q", "lun": 1, "targetPortal": "t"}}
RBD = {"rbd": {"monitors": ["a", "b"], "image": "i"}}


@pytest.mark.parametrize(
    ("mine", "its", "clash"),
    [
        (EBS, EBS, True),
        ({"awsElasticBlockStore": {"volumeID": "e", "readOnly": True}},) * 2 + (True,),
        ({"gcePersistentDisk": {"pdName": "p"}}, {"gcePersistentDisk": {"pdName": "p", "readOnly": True}}, True),
        ({"gcePersistentDisk": {"pdName": "p", "readOnly": True}},) * 2 + (False,),
        ({"gcePersistentDisk": {"pdName": "p"}}, {"gcePersistentDisk": {"pdName": "q"}}, False),
        (ISCSI, ISCSI, True),
        (ISCSI, EBS, False),
        (RBD, {"rbd": {"monitors": ["b", "c"], "image": "i", "pool": "rbd"}}, True),
        (RBD, {"rbd": {"monitors": ["c"], "image": "i"}}, False),
        (RBD, {"rbd": {"monitors": ["a"], "image": "j"}}, False),
    ],
)
def test_a_disk_is_written_by_one_pod_of_a_node(mine: Json, its: Json, clash: bool) -> None:
    others = tuple(with_disk(f"o-{name}", name, **its) for name in NODES)
    found = candidates(with_disk("web", **mine), cluster(pods=others))
    assert isinstance(found, Unschedulable) is clash
    if isinstance(found, Unschedulable):
        assert found.message().startswith("0/3 nodes are available: 3 node(s) had no available disk. preemption:")
