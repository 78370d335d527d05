"""Which volume a claim gets."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api import volumebinding as binding

Json = dict[str, Any]


def claim(size: str = "1Gi", **spec: Any) -> Json:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    return {"metadata": {"name": "c", "namespace": "d", "uid": "u"}, "spec": wanted}


def volume(
    name: str = "v", size: str = "1Gi", phase: str = "Available", labels: Json | None = None, **spec: Any
) -> Json:
    kept = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, **spec}
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": kept, "status": {"phase": phase}}


def reserved(name: str = "r", namespace: str = "d", claim_name: str = "c", **reference: Any) -> Json:
    return volume(name, "10Gi", claimRef={"namespace": namespace, "name": claim_name, **reference})


RWX = ["ReadWriteOnce", "ReadWriteMany"]
DELETED = volume("v")
DELETED["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
ANNOTATED = volume("v", storageClassName="other")
ANNOTATED["metadata"]["annotations"] = {binding.CLASS_ANNOTATION: "gold"}


@pytest.mark.parametrize(
    ("wanted", "volumes", "chosen"),
    [
        pytest.param(claim("2Gi"), [volume("a", "3Gi"), volume("b", "2Gi"), volume("c", "1Gi")], "b", id="smallest"),
        pytest.param(claim(), [volume("b"), volume("a")], "a", id="of equals the first by name"),
        pytest.param(claim(), [volume("a", accessModes=RWX), volume("b", "9Gi")], "b", id="fewest modes first"),
        pytest.param(claim(accessModes=RWX), [volume("a"), volume("b", "9Gi", accessModes=RWX)], "b", id="all modes"),
        pytest.param(claim("2Gi"), [volume("a")], None, id="too small"),
        pytest.param(claim(), [volume("a", phase="Released")], None, id="not available"),
        pytest.param(claim(), [volume("a", volumeMode="Block")], None, id="mode"),
        pytest.param(claim(volumeMode="Block"), [volume("a", volumeMode="Block")], "a", id="block"),
        pytest.param(claim(), [volume("a", storageClassName="gold")], None, id="class"),
        pytest.param(claim(storageClassName="gold"), [volume("a"), ANNOTATED], "v", id="class by annotation"),
        pytest.param(claim(), [DELETED], None, id="on its way out"),
        pytest.param(claim(), [volume("a", volumeAttributesClassName="x")], None, id="attributes"),
        pytest.param(
            claim(selector={"matchLabels": {"disk": "ssd"}}), [volume("a"), volume("b", "9Gi", labels={"disk": "ssd"})],
            "b", id="selector",
        ),
        pytest.param(claim(), [volume("a"), reserved()], "r", id="reserved by name"),
        pytest.param(claim(), [volume("a"), reserved(uid="u")], "r", id="reserved by uid"),
        pytest.param(claim(), [reserved(uid="another")], None, id="reserved for one that is gone"),
        pytest.param(claim(), [reserved(namespace="e"), reserved(claim_name="x")], None, id="reserved for others"),
    ],
)  # fmt: skip
def test_matches(wanted: Json, volumes: list[Json], chosen: str | None) -> None:
    found = binding.find_best(wanted, volumes, delayed=False)
    assert (found or {"metadata": {"name": None}})["metadata"]["name"] == chosen


def test_a_delayed_claim_gets_only_what_is_reserved_until_a_node_is_known() -> None:
    free, mine = volume("a"), reserved()
    assert binding.find_match(claim(), [free], delayed=True) is None
    assert binding.find_match(claim(), [free, mine], delayed=True) is mine
    assert binding.find_match(claim(), [free], delayed=True, fits_node=lambda _: True) is free
    assert binding.find_match(claim(), [free, mine], fits_node=lambda found: found is free) is None
    assert binding.find_match(claim(), [free], fits_node=lambda _: True, taken={"a"}) is None


def test_a_volume_is_marked_when_its_maker_did_not_reserve_it() -> None:
    found, mine = binding.reserved(volume(), claim()), binding.reserved(reserved(), claim())
    assert binding.annotations_of(found) == {binding.BOUND_BY_CONTROLLER: "yes"}
    assert found["spec"]["claimRef"]["uid"] == mine["spec"]["claimRef"]["uid"] == "u"
    assert binding.annotations_of(mine) == {}
    assert binding.reserved(found, claim()) is found


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (volume(), None),
        (DELETED, 'the volume is marked for deletion "v"'),
        (volume(size="1Mi"), "requested PV is too small"),
        (volume(storageClassName="gold"), "storageClassName does not match"),
        (volume(volumeMode="Block"), "incompatible volumeMode"),
        (volume(accessModes=["ReadOnlyMany"]), "incompatible accessMode"),
    ],
)
def test_why_a_named_volume_does_not_do(asked: Json, why: str | None) -> None:
    assert binding.mismatch(asked, claim()) == why


def test_of_several_default_classes_the_newest_counts() -> None:
    def named(name: str, created: str, default: str = "true") -> Json:
        said = {"storageclass.kubernetes.io/is-default-class": default}
        return {"metadata": {"name": name, "annotations": said, "creationTimestamp": created}}

    classes = [
        named("old", "2026-01-01"),
        named("b", "2026-02-01"),
        named("a", "2026-02-01"),
        named("x", "2027", "false"),
    ]
    assert (binding.default_class(classes) or {})["metadata"]["name"] == "a"
    assert binding.default_class(classes[3:]) is None


def test_claims_of_a_pod() -> None:
    volumes = [
        {"name": "a", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "b", "ephemeral": {}},
        {"name": "e", "emptyDir": {}},
    ]
    pod = {"metadata": {"name": "web", "namespace": "d"}, "spec": {"volumes": volumes}}
    assert list(binding.mounts(pod)) == [("c", False), ("web-b", True)]
