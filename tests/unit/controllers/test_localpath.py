"""What the local-path provisioner takes on, and what it makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api import volumebinding as binding
from picluster.controllers import localpath

Json = dict[str, Any]
ASKED = {binding.STORAGE_PROVISIONER: binding.LOCAL_PATH}


def claim(said: Json | None = None, **spec: Any) -> Json:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    metadata = {"name": "c", "namespace": "d", "uid": "u", "annotations": ASKED if said is None else said}
    return {"metadata": metadata, "spec": wanted}


def volume(
    phase: str, policy: str = "Delete", finalizers: tuple[str, ...] = (localpath.FINALIZER,), **more: Any
) -> Json:
    metadata = {"name": "v", "finalizers": list(finalizers), **more}
    return {"metadata": metadata, "spec": {"persistentVolumeReclaimPolicy": policy}, "status": {"phase": phase}}


LEAVING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("subject", "node", "why"),
    [
        (claim(), "n", None),
        (claim(accessModes=["ReadWriteOncePod"]), "n", None),
        (claim(accessModes=["ReadWriteMany"]), "n", "access modes"),
        (claim(volumeMode="Block"), "n", "Filesystem"),
        (claim(selector={}), "n", "Selector"),
        (claim(dataSource={"name": "s"}), "n", "data source"),
        (claim(), None, "WaitForFirstConsumer"),
    ],
)
def test_refusals(subject: Json, node: str | None, why: str | None) -> None:
    found = localpath.refusal(subject, node)
    assert (found is None) == (why is None)
    assert why is None or why in str(found)


@pytest.mark.parametrize(
    ("subject", "goes"),
    [
        (volume("Bound"), False),
        (volume("Bound", **LEAVING), False),
        (volume("Available"), False),
        (volume("Available", **LEAVING), True),
        (volume("Released"), True),
        (volume("Released", policy="Retain"), False),
        (volume("Released", **LEAVING), True),
        (volume("Released", finalizers=("example.com/other",), **LEAVING), False),
    ],
)
def test_data_goes_with_a_volume_that_nobody_needs(subject: Json, goes: bool) -> None:
    assert localpath.is_to_go(subject) is goes


def test_who_asks() -> None:
    assert localpath.is_asked(claim())
    assert not localpath.is_asked(claim({}))
    assert not localpath.is_asked(claim(volumeName="v"))
    assert not localpath.is_asked({**claim(), "metadata": {**claim()["metadata"], **LEAVING}})


def test_a_volume_is_its_nodes_alone() -> None:
    node = {"metadata": {"name": "pi-1.lan", "labels": {"kubernetes.io/hostname": "pi-1"}}}
    storage_class = {"metadata": {"name": "local-path"}, "reclaimPolicy": "Retain"}
    made = localpath.volume_for(claim(), storage_class, node, "/x/y")
    [term] = made["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["pi-1"]}]
    assert made["metadata"]["annotations"]["picluster.io/node"] == "pi-1.lan"
    assert made["metadata"]["finalizers"] == []
    assert binding.is_for(made, claim())
    long = {**claim(), "metadata": {**claim()["metadata"], "name": "n" * 253, "namespace": "s" * 63, "uid": "u" * 36}}
    assert len(localpath.directory_of(long)) == localpath.NAME_MAX
