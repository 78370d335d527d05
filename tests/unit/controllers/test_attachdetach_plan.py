"""What is attached to a node and what is taken from it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from picluster.controllers import attachdetach_plan as attaching
from picluster.controllers.attachdetach_plan import Source, Wanted

Json = dict[str, Any]
SOURCE = Source("p.io", "h")
NAME = SOURCE.attachment("pi-1")
UNIQUE = "kubernetes.io/csi/p.io^h"
READY = [{"type": "Ready", "status": "True"}]
OUT = {"taints": [{"key": attaching.OUT_OF_SERVICE, "effect": "NoExecute"}]}


def node(*, in_use: bool = False, ready: bool = True, spec: Json | None = None) -> Json:
    status = {"conditions": READY if ready else [], "volumesInUse": [UNIQUE] if in_use else []}
    return {"metadata": {"name": "pi-1"}, "spec": spec or {}, "status": status}


def attachment(*, attached: bool = True, leaving: bool = False, name: str = NAME) -> tuple[Json, Source]:
    metadata = {"name": name, **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {})}
    return {"metadata": metadata, "spec": {"nodeName": "pi-1"}, "status": {"attached": attached}}, SOURCE


def wanted(*modes: str) -> Wanted:
    return Wanted({"metadata": {"name": "v"}, "spec": {"accessModes": list(modes)}}, SOURCE, ())


def test_names_are_kubernetes() -> None:
    assert f"csi-{hashlib.sha256(b'hp.iopi-1').hexdigest()}" == NAME
    assert SOURCE.unique_name == UNIQUE
    assert attaching.reported({"status": {"volumesAttached": [{"name": UNIQUE}, {"name": "other"}]}}) == {SOURCE}


@pytest.mark.parametrize(
    ("there", "elsewhere", "modes", "outcome"),
    [
        pytest.param([], False, ["ReadWriteOnce"], "attach", id="new"),
        pytest.param([attachment(attached=False)], False, ["ReadWriteOnce"], "", id="under way"),
        pytest.param([attachment()], False, ["ReadWriteOnce"], "attached", id="there"),
        pytest.param([attachment(leaving=True)], False, ["ReadWriteOnce"], "", id="being taken away"),
        pytest.param([], True, ["ReadWriteOnce"], "blocked", id="another node has it"),
        pytest.param([], True, ["ReadWriteOncePod"], "blocked", id="another pod has it"),
        pytest.param([], True, ["ReadWriteMany"], "attach", id="shared"),
        pytest.param([], True, ["ReadOnlyMany"], "attach", id="read by many"),
    ],
)
def test_what_pods_use(there: list[tuple[Json, Source]], elsewhere: bool, modes: list[str], outcome: str) -> None:
    others = {"v": [attachment()[0]]} if elsewhere else {}
    found = attaching.plan("pi-1", node(), [wanted(*modes)], there, others, {})
    assert [name for name in ("attach", "blocked", "attached", "detach") if getattr(found, name)] == [outcome] * bool(
        outcome
    )


@pytest.mark.parametrize(
    ("subject", "waited_s", "detached"),
    [
        pytest.param(node(), 0, True, id="not mounted"),
        pytest.param(node(in_use=True), 0, False, id="mounted"),
        pytest.param(node(in_use=True), 9999, False, id="mounted by a node that is well"),
        pytest.param(node(in_use=True, ready=False), 359, False, id="not ready"),
        pytest.param(node(in_use=True, ready=False), 360, True, id="not ready for six minutes"),
        pytest.param(node(in_use=True, ready=False, spec=OUT), 0, True, id="out of service"),
        pytest.param(None, 0, False, id="node gone"),
        pytest.param(None, 360, True, id="node gone for six minutes"),
    ],
)
def test_what_nobody_uses(subject: Json | None, waited_s: float, detached: bool) -> None:
    found = attaching.plan("pi-1", subject, [], [attachment()], {}, {NAME: waited_s})
    assert bool(found.detach) is detached
    assert bool(found.waiting) is not detached
    assert found.attached == ([] if detached else [UNIQUE])
    gone = attaching.plan("pi-1", subject, [], [attachment(leaving=True)], {}, {})
    assert not gone.detach
    assert not gone.waiting


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([], "Volume is already exclusively attached to one node and can't be attached to another"),
        ([("d", "b"), ("d", "a")], "Volume is already used by pod(s) a, b"),
        ([("d", "a"), ("x", "b")], "Volume is already used by pod(s) a and 1 pod(s) in different namespaces"),
        ([("x", "a"), ("x", "b")], "Volume is already used by 2 pod(s) in different namespaces"),
    ],
)
def test_who_is_in_the_way(others: list[tuple[str, str]], message: str) -> None:
    users = [{"metadata": {"namespace": namespace, "name": name}} for namespace, name in others]
    assert attaching.multi_attach({"metadata": {"namespace": "d", "name": "me"}}, users) == message


def test_a_driver_may_say_that_there_is_nothing_to_attach() -> None:
    assert attaching.needs_attaching(None)
    assert attaching.needs_attaching({"spec": {"attachRequired": True}})
    assert not attaching.needs_attaching({"spec": {"attachRequired": False}})
