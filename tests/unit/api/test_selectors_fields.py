"""Field selectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.api import selectors
from picluster.api.errors import ApiError
from picluster.api.resources import CONFIGMAPS, CORE_EVENTS, NODES, PODS, REPLICASETS, RESOURCES

POD = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"nodeName": "pi-1", "restartPolicy": "Always"},
    "status": {"phase": "Running", "podIP": "10.42.1.2"},
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("metadata.name=web", True),
        ("metadata.name==web,spec.nodeName=pi-1", True),
        ("spec.nodeName!=pi-1", False),
        ("status.phase!=Failed,status.phase!=Succeeded", True),
        ("spec.hostNetwork=false", True),
        ("status.nominatedNodeName=", True),
        ("spec.schedulerName=x", False),
    ],
)
def test_matches_pods(text: str, matches: bool) -> None:
    selector = selectors.parse_fields(PODS, text)
    assert selector.matches_object(POD) is matches
    assert selector.matches(selectors.field_values(PODS, POD)) is matches


def test_says_which_value_is_asked_for() -> None:
    selector = selectors.parse_fields(PODS, "spec.nodeName=pi-1,status.phase!=Failed")
    assert selector.exact("spec.nodeName") == "pi-1"
    assert selector.exact("status.phase") is None
    assert not selector.empty
    assert selectors.parse_fields(PODS, "").empty


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spec.foo=1", "field label not supported: spec.foo"),
        ("spec.nodeName", "invalid selector: 'spec.nodeName'; can't understand 'spec.nodeName'"),
        ("a=b=c", "invalid selector: 'a=b=c'; can't understand 'b=c'"),
        ("a=b\\c", "invalid field selector: invalid escape sequence: \\c"),
    ],
)
def test_bad_selectors(text: str, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        selectors.parse_fields(PODS, text)
    assert (caught.value.code, caught.value.message) == (400, message)


def test_kinds_without_fields_of_their_own_say_so() -> None:
    with pytest.raises(ApiError) as caught:
        selectors.parse_fields(CONFIGMAPS, "data=x")
    assert caught.value.message == '"data" is not a known field selector: only "metadata.name", "metadata.namespace"'


def test_absent_fields_have_the_value_of_their_type() -> None:
    assert selectors.field_values(NODES, {"metadata": {"name": "pi-1"}}) == {
        "metadata.name": "pi-1",
        "spec.unschedulable": "false",
    }
    assert selectors.field_values(REPLICASETS, {"metadata": {}})["status.replicas"] == "0"
    assert selectors.parse_fields(NODES, "spec.unschedulable=true").matches_object(
        {"metadata": {}, "spec": {"unschedulable": True}}
    )


def test_the_source_of_an_event() -> None:
    by_source = selectors.parse_fields(CORE_EVENTS, "source=kubelet")
    assert by_source.matches_object({"metadata": {}, "source": {"component": "kubelet"}})
    assert by_source.matches_object({"metadata": {}, "reportingComponent": "kubelet"})
    assert not by_source.matches_object({"metadata": {}})


@given(st.text(alphabet="ab,=\\", max_size=12))
def test_escaped_values_survive(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
    selector = selectors.parse_fields(PODS, f"metadata.name={escaped},spec.nodeName=x")
    assert selector.exact("metadata.name") == value
    assert selectors.parse_fields(PODS, str(selector)).requirements == selector.requirements


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.id)
def test_every_field_of_every_kind_can_be_selected(resource: object) -> None:
    text = ",".join(f"{path}!=x" for path in resource.fields)  # type: ignore[attr-defined]
    assert selectors.parse_fields(resource, text).matches_object({"metadata": {"name": "a"}})  # type: ignore[arg-type]
