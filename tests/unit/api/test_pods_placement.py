"""Where pods may go: selectors that a pod's own labels complete, and what may change while gates hold it back."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from picluster.api import defaults, strategy, validation
from picluster.api.resources import PODS
from picluster.api.types import Object

NOW = "2026-01-31T12:00:00Z"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
IN, NOT_IN = {"key": "app", "operator": "In", "values": ["web"]}, {"key": "app", "operator": "NotIn", "values": ["web"]}
TERMS = f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms"


def made(pod: Object, **spec: Any) -> list[str]:
    """Complete ``pod`` like a create, and say what is wrong with it."""
    pod["metadata"]["labels"] = {"app": "web"}
    pod["spec"] |= spec
    defaults.apply(PODS, pod)
    strategy.prepare_create(PODS, pod, NOW)
    return [str(failure) for failure in validation.create(PODS, pod)]


def term(**fields: Any) -> Object:
    return {"topologyKey": "zone", "labelSelector": {}, **fields}


@pytest.mark.parametrize(
    ("fields", "expressions"),
    [
        ({"matchLabelKeys": ["app", "absent"]}, [IN]),
        ({"mismatchLabelKeys": ["app"]}, [NOT_IN]),
        ({}, None),
    ],
)
def test_affinity_takes_values_of_the_pods_labels(pod: Object, fields: Object, expressions: Any) -> None:
    hard, soft = term(**deepcopy(fields)), term(**deepcopy(fields))
    weighted = [{"weight": 1, "podAffinityTerm": soft}]
    rules = {
        "podAffinity": {REQUIRED: [hard]},
        "podAntiAffinity": {REQUIRED.replace("required", "preferred"): weighted},
    }
    assert made(pod, affinity=rules) == []
    strategy.prepare_create(PODS, pod, NOW)  # a generated name that is taken is tried again
    for found in (hard, soft):
        assert found["labelSelector"].get("matchExpressions") == expressions


def test_topology_spread_does_too(pod: Object) -> None:
    constraint = term(maxSkew=1, whenUnsatisfiable="DoNotSchedule", matchLabelKeys=["app"])
    assert made(pod, topologySpreadConstraints=[constraint]) == []
    assert constraint["labelSelector"]["matchExpressions"] == [IN]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"matchLabelKeys": ["app"], "labelSelector": None},
         ".matchLabelKeys: Forbidden: must not be specified when labelSelector is not set"),
        ({"matchLabelKeys": ["app"], "labelSelector": {"matchLabels": {"app": "other"}}},
         '[0]: Invalid value: "app": exists in both matchLabelKeys and labelSelector'),
        ({"matchLabelKeys": ["app"], "mismatchLabelKeys": ["app"], "labelSelector": {}},
         '.matchLabelKeys[0]: Invalid value: "app": exists in both matchLabelKeys and mismatchLabelKeys'),
        ({"mismatchLabelKeys": ["/"], "labelSelector": {}}, '.mismatchLabelKeys[0]: Invalid value: "/": '),
    ],
)  # fmt: skip
def test_keys_that_make_no_sense(pod: Object, fields: Object, expected: str) -> None:
    fields = {field: value for field, value in fields.items() if value is not None}
    failures = made(pod, affinity={"podAffinity": {REQUIRED: [{"topologyKey": "zone", **fields}]}})
    assert any(failure.startswith(f"spec.affinity.podAffinity.{REQUIRED}[0]{expected}") for failure in failures)


def nodes(*terms: list[str]) -> Object:
    found = [{"matchExpressions": [{"key": key, "operator": "Exists"} for key in keys]} for keys in terms]
    return {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": found}}}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"nodeSelector": {"a": "b"}}, {"nodeSelector": {"a": "c"}},
         'spec.nodeSelector: Invalid value: {"a":"c"}: only additions to spec.nodeSelector are allowed (no mutations or'
         " deletions)"),
        ({"affinity": nodes(["a"])}, {"affinity": nodes(["a"], ["b"])},
         f"{TERMS}: no additions/deletions to non-empty NodeSelectorTerms list are allowed"),
        ({"affinity": nodes(["a"])}, {"affinity": nodes(["b"])},
         f"{TERMS}[0]: only additions are allowed (no mutations or deletions)"),
        ({"affinity": nodes(["a"])}, {"affinity": nodes(["b", "a"])},
         f"{TERMS}[0]: only additions are allowed (no mutations or deletions)"),
        ({"affinity": nodes([])}, {"affinity": nodes(["a"])},
         f"{TERMS}[0]: only additions are allowed (no mutations or deletions)"),
        ({"affinity": nodes(["a"])}, {"affinity": nodes(["a", "b"])}, None),
    ],
)  # fmt: skip
def test_a_gated_pod_is_told_what_went_too_far(pod: Object, before: Object, after: Object, expected: Any) -> None:
    made(pod, schedulingGates=[{"name": "wait"}], **before)
    new = {**deepcopy(pod), "spec": {**deepcopy(pod["spec"]), **after}}
    failures = [str(failure) for failure in validation.update(PODS, new, pod)]
    if expected is None:
        assert failures == []
    else:
        (failure,) = failures
        field, _, detail = expected.partition(": ")
        assert failure.startswith(f"{field}: Invalid value: ") and failure.endswith(detail.rpartition("}: ")[2])
