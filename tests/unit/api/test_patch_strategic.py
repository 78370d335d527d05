"""Strategic merge patch, by the cases of apimachinery's ``strategicpatch`` that matter to our kinds."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.api.errors import ApiError
from picluster.api.patch import strategic
from picluster.api.resources import CONFIGMAPS, DEPLOYMENTS, NODES, PODS, SERVICES, Resource
from picluster.api.types import Object


def _apply(resource: Resource, document: Any, patch: Any) -> Any:
    before, given = deepcopy(document), deepcopy(patch)
    result = strategic.apply(resource.schema, document, patch)
    assert document == before
    assert patch == given
    return result


def _spec(**fields: Any) -> Object:
    return {"spec": fields}


ORDER = "$setElementOrder/"
A, B, C = ({"name": name, "image": f"{name}:1"} for name in "abc")


@pytest.mark.parametrize(
    ("resource", "document", "patch", "result"),
    [
        pytest.param(
            PODS, _spec(containers=[A, B]), _spec(containers=[{"name": "b", "image": "b:2"}]),
            _spec(containers=[A, {"name": "b", "image": "b:2"}]), id="an element merges by its key",
        ),
        pytest.param(
            PODS, _spec(containers=[A]), _spec(containers=[B]), _spec(containers=[B, A]),
            id="a new element of the patch comes first",
        ),
        pytest.param(
            PODS, _spec(containers=[A, B, C]), _spec(containers=[{"name": "b", "$patch": "delete"}]),
            _spec(containers=[A, C]), id="$patch delete in a list",
        ),
        pytest.param(
            PODS, _spec(containers=[A, B]), _spec(containers=[C, {"$patch": "replace"}]), _spec(containers=[C]),
            id="$patch replace in a list",
        ),
        pytest.param(
            PODS, _spec(containers=[A]), _spec(containers=[{"name": "a", "$patch": "merge", "tty": True}]),
            _spec(containers=[{**A, "tty": True}]), id="$patch merge in a list",
        ),
        pytest.param(
            PODS, _spec(containers=[A, B]),
            _spec(**{ORDER + "containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "b", "tty": True}]}),
            _spec(containers=[{**B, "tty": True}, A]), id="$setElementOrder sorts",
        ),
        pytest.param(
            PODS, _spec(containers=[A, B, C]), _spec(**{ORDER + "containers": [{"name": "c"}, {"name": "a"}]}),
            _spec(containers=[B, C, A]), id="what is not in the order keeps its place before what followed it",
        ),
        pytest.param(
            PODS, _spec(), {"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [A]}},
            _spec(containers=[A]), id="$setElementOrder with a new list",
        ),
        pytest.param(
            PODS, _spec(containers=[A]), {"spec": {"$setElementOrder/volumes": [{"name": "x"}]}}, _spec(containers=[A]),
            id="$setElementOrder of what is not there",
        ),
        pytest.param(
            PODS, {"metadata": {"finalizers": ["a", "b"]}}, {"metadata": {"finalizers": ["b", "c"]}},
            {"metadata": {"finalizers": ["a", "b", "c"]}}, id="scalars unite",
        ),
        pytest.param(
            PODS, {"metadata": {"finalizers": ["a", "b", "c"]}},
            {"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"], "$setElementOrder/finalizers": ["a", "c"]}},
            {"metadata": {"finalizers": ["a", "c"]}}, id="$deleteFromPrimitiveList",
        ),
        pytest.param(
            PODS, _spec(tolerations=[{"key": "a"}]), _spec(tolerations=[{"key": "b"}]),
            _spec(tolerations=[{"key": "b"}]),
            id="atomic lists are replaced",
        ),
        pytest.param(
            DEPLOYMENTS, _spec(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}),
            _spec(strategy={"$retainKeys": ["type"], "type": "Recreate"}), _spec(strategy={"type": "Recreate"}),
            id="$retainKeys drops the others",
        ),
        pytest.param(
            PODS, _spec(volumes=[{"name": "a", "emptyDir": {}}]),
            _spec(volumes=[{"name": "a", "$retainKeys": ["name", "nfs"], "nfs": {"path": "/x"}, "emptyDir": None}]),
            _spec(volumes=[{"name": "a", "nfs": {"path": "/x"}}]), id="$retainKeys in an element",
        ),
        pytest.param(
            PODS, _spec(securityContext={"runAsUser": 1, "fsGroup": 2}),
            _spec(securityContext={"$patch": "replace", "fsGroup": 3}),
            _spec(securityContext={"fsGroup": 3}), id="$patch replace of a map",
        ),
        pytest.param(
            PODS, _spec(securityContext={"runAsUser": 1}), _spec(securityContext={"$patch": "delete"}),
            _spec(securityContext={}), id="$patch delete of a map",
        ),
        pytest.param(
            PODS, _spec(securityContext={"runAsUser": 1}), _spec(securityContext={"$patch": "merge", "fsGroup": 3}),
            _spec(securityContext={"runAsUser": 1, "fsGroup": 3}), id="$patch merge of a map",
        ),
        pytest.param(
            SERVICES, _spec(ports=[{"port": 80, "protocol": "TCP"}, {"port": 443}]),
            _spec(ports=[{"port": 443, "name": "tls"}]),
            _spec(ports=[{"port": 80, "protocol": "TCP"}, {"port": 443, "name": "tls"}]),
            id="merge keys may be numbers",
        ),
        pytest.param(
            CONFIGMAPS, {"data": {"a": "1", "b": "2"}}, {"data": {"a": None, "c": "3"}},
            {"data": {"b": "2", "c": "3"}},
            id="null removes from a map",
        ),
        pytest.param(
            CONFIGMAPS, {}, {"data": {"a": None, "c": "3"}}, {"data": {"c": "3"}}, id="null in a new map is nothing",
        ),
        pytest.param(
            NODES, {"status": {"conditions": [{"type": "Ready", "status": "False"}]}},
            {
                "status": {
                    ORDER + "conditions": [{"type": "Ready"}],
                    "conditions": [{"type": "Ready", "status": "True"}],
                }
            },
            {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, id="conditions merge by type",
        ),
        pytest.param(
            PODS, _spec(containers=[{**A, "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}]),
            _spec(containers=[{"name": "a", "env": [{"name": "X", "$patch": "delete"}, {"name": "Z", "value": "3"}]}]),
            _spec(containers=[{**A, "env": [{"name": "Z", "value": "3"}, {"name": "Y", "value": "2"}]}]),
            id="lists in lists",
        ),
        pytest.param(PODS, _spec(hostNetwork=True), {"spec": None}, {}, id="null removes a field"),
        pytest.param(PODS, _spec(hostNetwork=True), {}, _spec(hostNetwork=True), id="nothing changes nothing"),
        pytest.param(PODS, {"spec": "odd"}, _spec(hostPID=True), _spec(hostPID=True), id="another type replaces"),
    ],
)  # fmt: skip
def test_applies(resource: Resource, document: Any, patch: Any, result: Any) -> None:
    assert _apply(resource, document, patch) == result


@pytest.mark.parametrize(
    ("document", "patch", "code", "why"),
    [
        ({}, [], 400, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (_spec(containers=[A]), _spec(containers=[{"image": "x"}]), 422, "does not contain declared merge key: name"),
        (_spec(containers=[A]), _spec(containers=[{"name": "a", "$patch": "burn"}]), 422, "unknown patch type: burn"),
        (_spec(securityContext={}), _spec(securityContext={"$patch": "burn"}), 422, "unknown patch type: burn"),
        (_spec(containers=[A]), _spec(containers=["a"]), 422, "list element types are not identical"),
        (_spec(), {"spec": {"$setElementOrder/containers": "a"}}, 400, "invalid patch format of setElementOrder list"),
        (
            _spec(containers=[A]),
            {"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [B]}},
            400,
            "invalid patch format of setElementOrder list",
        ),
        (
            _spec(),
            {"spec": {"$retainKeys": ["hostPID"], "hostNetwork": True}},
            400,
            "invalid patch format of retainKeys",
        ),
        (
            {"metadata": {"finalizers": ["a"]}},
            {"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}},
            400,
            "invalid patch format of primitive list",
        ),
    ],
)
def test_what_cannot_be_applied(document: Any, patch: Any, code: int, why: str) -> None:
    with pytest.raises(ApiError) as caught:
        _apply(PODS, document, patch)
    status = caught.value.status()
    said = status["message"] if code == 400 else status["details"]["causes"][0]["message"]
    assert status["code"] == code
    assert why in said


NAMES = st.lists(st.sampled_from("abcdef"), unique=True, max_size=5)


@given(NAMES, NAMES)
def test_both_orders_hold(live: list[str], wanted: list[str]) -> None:
    """With $setElementOrder the listed stand in its order, the others in the live order, and nobody is lost."""
    document = _spec(containers=[{"name": name} for name in live])
    order = [{"name": name} for name in wanted]
    patch = {"spec": {"$setElementOrder/containers": order, "containers": order}}
    names = [container["name"] for container in _apply(PODS, document, patch)["spec"]["containers"]]
    assert [name for name in names if name in wanted] == wanted
    assert [name for name in names if name not in wanted] == [name for name in live if name not in wanted]


@given(NAMES, NAMES, st.booleans())
def test_twice_is_once(live: list[str], wanted: list[str], image: bool) -> None:
    document = _spec(containers=[{"name": name, "image": "x"} for name in live])
    patch = _spec(containers=[{"name": name, **({"image": "y"} if image else {})} for name in wanted])
    once = _apply(PODS, document, patch)
    assert _apply(PODS, once, patch) == once


@given(NAMES)
def test_an_empty_patch_is_the_identity(live: list[str]) -> None:
    document = _spec(containers=[{"name": name} for name in live])
    assert _apply(PODS, document, {"spec": {}}) == document
