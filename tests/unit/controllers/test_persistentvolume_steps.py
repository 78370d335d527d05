"""What is next for a claim or a volume, whatever state a crash or a user left."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api import volumebinding as binding
from picluster.controllers import persistentvolume_steps as steps
from picluster.controllers.persistentvolume_steps import Reclaim, VolumeStep

Json = dict[str, Any]
DONE = {binding.BIND_COMPLETED: "yes"}
MADE = {binding.PROVISIONED_BY: "example.com/disks"}
OURS = {binding.BOUND_BY_CONTROLLER: "yes"}
WAITS = {"metadata": {"name": "waits"}, "provisioner": "p.io/x", "volumeBindingMode": "WaitForFirstConsumer"}
OLD = {"metadata": {"name": "old"}, "provisioner": "kubernetes.io/aws-ebs", "volumeBindingMode": "Immediate"}


def claim(said: Json | None = None, **spec: Any) -> Json:
    return {"metadata": {"name": "c", "namespace": "d", "uid": "u", "annotations": said or {}}, "spec": spec}


def volume(uid: str | None = None, said: Json | None = None, **spec: Any) -> Json:
    reference = {} if uid is None else {"claimRef": {"namespace": "d", "name": "c", **({"uid": uid} if uid else {})}}
    return {"metadata": {"name": "v", "annotations": said or {}}, "spec": {**reference, **spec}, "status": {}}


def view(*volumes: Json, pods: tuple[str, ...] = ()) -> steps.View:
    by_name = {found["metadata"]["name"]: found for found in volumes}
    classes = {found["metadata"]["name"]: found for found in (WAITS, OLD)}
    return steps.View(by_name.get, lambda: list(volumes), classes, lambda _: pods)


@pytest.mark.parametrize(
    ("subject", "volumes", "said"),
    [
        pytest.param(claim(DONE, volumeName="v"), (volume("u"),), "Bind", id="all is well"),
        pytest.param(claim(DONE, volumeName="v"), (volume(),), "Bind", id="the volume lost its half"),
        pytest.param(claim(DONE, volumeName="v"), (), "ClaimLost", id="the volume is gone"),
        pytest.param(claim(DONE), (), "ClaimLost", id="the name is gone"),
        pytest.param(claim(DONE, volumeName="v"), (volume("x"),), "ClaimMisbound", id="somebody else has it"),
        pytest.param(claim(volumeName="v"), (), None, id="asked for, not there"),
        pytest.param(claim(volumeName="v"), (volume(),), "Bind", id="asked for, free"),
        pytest.param(claim(volumeName="v"), (volume("u"),), "Bind", id="crashed before the claim was written"),
        pytest.param(claim(volumeName="v"), (volume("x"),), "FailedBinding", id="asked for, taken"),
        pytest.param(claim(), (), "FailedBinding", id="no class"),
        pytest.param(claim(storageClassName="waits"), (), "WaitForFirstConsumer", id="nobody uses it"),
        pytest.param(claim({binding.SELECTED_NODE: "n"}, storageClassName="waits"), (), "Provision", id="node chosen"),
        pytest.param(claim(storageClassName="nil"), (), "ProvisioningFailed", id="no such class"),
        pytest.param(claim(storageClassName="old"), (), "ProvisioningFailed", id="a plugin of the past"),
    ],
)
def test_claims(subject: Json, volumes: tuple[Json, ...], said: str | None) -> None:
    step = steps.claim_step(subject, view(*volumes))
    event = getattr(step, "said", None)
    assert (event.reason if event else None if isinstance(step, steps.Stay) else type(step).__name__) == said


@pytest.mark.parametrize(
    ("pods", "message"),
    [
        (("a",), "waiting for pod a to be scheduled"),
        (("a", "b"), "waiting for pods a,b to be scheduled"),
        ((), "waiting for first consumer to be created before binding"),
    ],
)
def test_who_is_waited_for(pods: tuple[str, ...], message: str) -> None:
    step = steps.claim_step(claim(storageClassName="waits"), view(pods=pods))
    assert isinstance(step, steps.Stay)
    assert step.said is not None
    assert step.said.message == message


@pytest.mark.parametrize(
    ("subject", "its", "step"),
    [
        (volume(), None, VolumeStep.AVAILABLE),
        (volume(""), None, VolumeStep.AVAILABLE),
        (volume("u"), None, VolumeStep.RELEASED),
        (volume("u"), claim(volumeName="v"), VolumeStep.BOUND),
        (volume("u"), claim(), VolumeStep.FINISH),
        (volume("u", volumeMode="Block"), claim(), VolumeStep.MISFIT),
        (volume("u"), claim(volumeName="w"), VolumeStep.UNBIND),
        (volume("u", MADE, persistentVolumeReclaimPolicy="Delete"), claim(volumeName="w"), VolumeStep.RELEASED),
        (volume("u", MADE, persistentVolumeReclaimPolicy="Retain"), claim(volumeName="w"), VolumeStep.UNBIND),
    ],
)
def test_volumes(subject: Json, its: Json | None, step: VolumeStep) -> None:
    assert steps.volume_step(subject, its) is step


def test_who_reserved_a_volume_keeps_it_reserved() -> None:
    assert steps.unbound(volume("u"))["spec"]["claimRef"] == {"namespace": "d", "name": "c"}
    freed = steps.unbound(volume("u", OURS))
    assert "claimRef" not in freed["spec"]
    assert "annotations" not in freed["metadata"]


def test_a_bound_claim_keeps_its_size() -> None:
    has = volume("u", capacity={"storage": "2Gi"}, accessModes=["ReadWriteOnce"])
    fresh = {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "2Gi"}}
    assert steps.bound_status(claim(), has) == fresh
    grown = {**fresh, "capacity": {"storage": "1Gi"}}
    assert steps.bound_status({**claim(), "status": grown}, has) == grown
    assert steps.unbound_status({**claim(), "status": grown}, "Lost") == {"phase": "Lost"}


@pytest.mark.parametrize(
    ("policy", "said", "spec", "outcome"),
    [
        ("Retain", {}, {}, Reclaim.NOTHING),
        ("Delete", MADE, {}, Reclaim.NOTHING),
        ("Delete", {}, {"csi": {}}, Reclaim.NOTHING),
        ("Delete", {binding.MIGRATED_TO: "x"}, {}, Reclaim.NOTHING),
        ("Delete", {}, {"hostPath": {"path": "/tmp/a"}}, Reclaim.DELETE),
        ("Delete", {}, {"hostPath": {"path": "/tmp/../etc"}}, "VolumeFailedDelete"),
        ("Delete", {}, {"hostPath": {"path": "/tmp/"}}, "VolumeFailedDelete"),
        ("Delete", {}, {"nfs": {}}, "VolumeFailedDelete"),
        ("Recycle", {}, {"hostPath": {"path": "/tmp/a"}}, "VolumeFailedRecycle"),
    ],
)
def test_what_becomes_of_a_released_volume(policy: str, said: Json, spec: Json, outcome: Reclaim | str) -> None:
    found = steps.reclaim(volume("u", said, persistentVolumeReclaimPolicy=policy, **spec))
    assert (found.reason if isinstance(found, steps.Said) else found) == outcome
