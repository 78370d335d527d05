"""Which names a definition gets, and what its status says."""

from __future__ import annotations

from typing import Any

import pytest
from definitions import conditions, definition, version

from picluster.api.structural.approval import ANNOTATION
from picluster.apiserver.catalog import version_order
from picluster.apiserver.crd.conditions import status

NOW = "2026-01-01T00:00:00Z"


def settled(crd: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    return {**crd, "status": status(crd, others, NOW)}


def test_names_that_nobody_has_are_accepted() -> None:
    crd = settled(definition(names={"shortNames": ["wd"], "categories": ["all"]}))
    assert conditions(crd) == {
        "NamesAccepted": ("True", "NoConflicts"),
        "Established": ("True", "InitialNamesAccepted"),
    }
    assert crd["status"]["acceptedNames"] == crd["spec"]["names"]
    assert settled(crd) == crd


@pytest.mark.parametrize(
    ("taken", "reason"),
    [
        ({"plural": "widgets"}, "PluralConflict"),
        ({"singular": "widget"}, "SingularConflict"),
        ({"shortNames": ["wd"]}, "ShortNamesConflict"),
        ({"kind": "Widget"}, "KindConflict"),
        ({"listKind": "WidgetList"}, "ListKindConflict"),
    ],
)
def test_names_that_are_taken_are_not(taken: dict[str, Any], reason: str) -> None:
    names = {"singular": "widget", "listKind": "WidgetList", "shortNames": ["wd"]}
    crd = settled(definition(names=names), {"status": {"acceptedNames": taken}})
    assert conditions(crd) == {"NamesAccepted": ("False", reason), "Established": ("False", "NotAccepted")}
    [field] = taken
    assert field not in crd["status"]["acceptedNames"]
    message = crd["status"]["conditions"][0]["message"]
    assert message.endswith(" is already in use")


def test_what_is_established_stays_so() -> None:
    crd = settled(definition())
    crd["spec"]["names"]["shortNames"] = ["wd"]
    crd = settled(crd, {"status": {"acceptedNames": {"plural": "others", "shortNames": ["wd"]}}})
    assert conditions(crd)["NamesAccepted"] == ("False", "ShortNamesConflict")
    assert conditions(crd)["Established"][0] == "True"


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("https://github.com/kubernetes/kubernetes/pull/78458", ("True", "ApprovedAnnotation")),
        ("unapproved, an experiment", ("False", "UnapprovedAnnotation")),
        ("nonsense", ("False", "InvalidAnnotation")),
        ("", ("False", "MissingAnnotation")),
    ],
)
def test_community_groups_need_leave(annotation: str, expected: tuple[str, str]) -> None:
    crd = definition(group="sigs.k8s.io")
    crd["metadata"]["annotations"] = {ANNOTATION: annotation}
    assert conditions(settled(crd))["KubernetesAPIApprovalPolicyConformant"] == expected


def test_a_schema_that_is_not_structural_is_told_until_it_is() -> None:
    bad = definition(version(schema={"a": {}}))
    crd = settled(bad)
    assert conditions(crd)["NonStructuralSchema"] == ("True", "Violations")
    crd["spec"] = definition()["spec"]
    assert "NonStructuralSchema" not in conditions(settled(crd))


def test_versions_are_in_kubernetes_order() -> None:
    expected = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"]
    backwards = list(reversed(expected))
    assert sorted(backwards, key=version_order) == expected
