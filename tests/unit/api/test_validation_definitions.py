"""What a CustomResourceDefinition may say, and what Kubernetes says when it may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from definitions import definition, version

from picluster.api import defaults, strategy, validation
from picluster.api.resources import CUSTOM_RESOURCE_DEFINITIONS as DEFINITIONS

NOW = "2026-01-01T00:00:00Z"
STRING = {"type": "string"}


def prepared(**changes: Any) -> dict[str, Any]:
    crd = definition(**changes)
    defaults.apply(DEFINITIONS, crd)
    return strategy.prepare_create(DEFINITIONS, crd, NOW)


def spec_of(change: Callable[[Any], Any]) -> list[str]:
    crd = prepared()
    change(crd["spec"])
    return [str(failure).partition(": Invalid value: [")[0] for failure in validation.create(DEFINITIONS, crd)]


def test_a_definition_gets_its_defaults() -> None:
    crd = prepared()
    assert crd["spec"]["names"] == {
        "plural": "widgets",
        "singular": "widget",
        "kind": "Widget",
        "listKind": "WidgetList",
    }
    assert crd["spec"]["conversion"] == {"strategy": "None"}
    assert (crd["status"]["storedVersions"], crd["metadata"]["generation"]) == (["v1"], 1)
    assert validation.create(DEFINITIONS, crd) == []


def conversion(**webhook: Any) -> dict[str, Any]:
    return {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], **webhook}}


URL = {"clientConfig": {"url": "https://example.com/convert"}}


@pytest.mark.parametrize(
    ("change", "failures"),
    [
        (lambda spec: spec.update(group="nodots"), [
            'metadata.name: Invalid value: "widgets.example.com": must be spec.names.plural+"."+spec.group',
            'spec.group: Invalid value: "nodots": should be a domain with at least one dot']),
        (lambda spec: spec.update(scope="World"),
         ['spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced"']),
        (lambda spec: spec["versions"][0].update(storage=False), ["spec.versions"]),
        (lambda spec: spec["versions"][0].pop("schema"),
         ["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"]),
        (lambda spec: spec["names"].update(listKind="Widget"),
         ['spec.names.listKind: Invalid value: "Widget": kind and listKind may not be the same']),
        (lambda spec: spec["names"].update(shortNames=["A"]), ['spec.names.shortNames[0]: Invalid value: "A": ']),
        (lambda spec: spec.update(preserveUnknownFields=True), [
            "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set"]),
        (lambda spec: spec["versions"][0].update(deprecationWarning="old"), [
            'spec.versions[0].deprecationWarning: Invalid value: "old": can only be set for deprecated versions']),
        (lambda spec: spec["versions"][0].update(subresources={"scale": {"specReplicasPath": "spec.n"}}), [
            'spec.versions[0].subresources.scale.specReplicasPath: Invalid value: "spec.n": must be a simple json',
            "spec.versions[0].subresources.scale.statusReplicasPath: Required value"]),
        (lambda spec: spec["versions"][0].update(additionalPrinterColumns=[{"name": "a", "type": "text"}]), [
            'spec.versions[0].additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,',
            "spec.versions[0].additionalPrinterColumns[0].JSONPath: Required value"]),
        (lambda spec: spec["versions"][0].update(selectableFields=[{"jsonPath": ".spec.x"}]), [
            'spec.versions[0].selectableFields[0].jsonPath: Invalid value: ".spec.x": is an invalid path: does not']),
        (lambda spec: spec.update(conversion=conversion()), [
            "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook"]),
        (lambda spec: spec.update(conversion=conversion(**URL)), []),
        (lambda spec: spec.update(conversion=conversion(**URL, conversionReviewVersions=["v9"])), [
            "spec.conversion.conversionReviewVersions"]),
        (lambda spec: spec.update(conversion=conversion(clientConfig={"url": "http://example.com"})), [
            "spec.conversion.webhookClientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL"]),
        (lambda spec: spec.update(conversion=conversion(clientConfig={})), [
            "spec.conversion.webhookClientConfig: Required value: exactly one of url or service is required"]),
        (lambda spec: spec.update(conversion={"strategy": "None", "webhook": URL}), [
            "spec.conversion.webhookClientConfig: Forbidden: should not be set when strategy is not set to Webhook"]),
        (lambda spec: spec["versions"].append(version("v1", storage=False)), ["spec.versions"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(change: Callable[[Any], Any], failures: list[str]) -> None:
    found = spec_of(change)
    assert len(found) == len(failures), found
    for got, expected in zip(found, failures, strict=True):
        assert got.startswith(expected)


def test_only_some_things_stand_at_the_root_beside_a_status() -> None:
    crd = prepared()
    crd["spec"]["versions"] = [version(schema={"a": STRING}, subresources={"status": {}})]
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert validation.create(DEFINITIONS, crd) == []
    schema["minProperties"] = 1
    [failure] = validation.create(DEFINITIONS, crd)
    assert "fields are allowed at the root of the schema if the status subresource is enabled" in str(failure)


def test_what_objects_are_stored_by_cannot_change() -> None:
    old = prepared()
    new = prepared(kind="Gadget", scope="Cluster")
    new["metadata"] = old["metadata"]
    free = {failure.field for failure in validation.update(DEFINITIONS, new, old)}
    assert "spec.scope" not in free
    assert "spec.names.plural" in free
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    fixed = {failure.field for failure in validation.update(DEFINITIONS, new, old)}
    assert fixed - free == {"spec.scope", "spec.names.kind"}


def test_storage_versions_are_remembered() -> None:
    old, new = prepared(), prepared()
    new["metadata"] = dict(old["metadata"])
    new["spec"]["versions"] = [version("v2"), version("v1", storage=False)]
    strategy.prepare_update(DEFINITIONS, new, old)
    assert (old["status"]["storedVersions"], new["status"]["storedVersions"]) == (["v1"], ["v1", "v2"])
    assert new["metadata"]["generation"] == 2
    assert validation.update(DEFINITIONS, new, old) == []


def test_the_first_deletion_marks() -> None:
    crd = prepared()
    strategy.begin_deletion(DEFINITIONS, crd, NOW)
    assert crd["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert crd["status"]["conditions"][0]["reason"] == "InstanceDeletionPending"


@pytest.mark.parametrize(
    ("annotations", "reasons"),
    [
        ({}, ["FieldValueRequired"]),
        ({"api-approved.kubernetes.io": "nonsense"}, ["FieldValueInvalid"]),
        ({"api-approved.kubernetes.io": "unapproved, a test"}, []),
        ({"api-approved.kubernetes.io": "https://github.com/kubernetes/enhancements/pull/1111"}, []),
    ],
)
def test_groups_of_the_community_need_leave(annotations: dict[str, str], reasons: list[str]) -> None:
    crd = prepared(group="sigs.k8s.io")
    crd["metadata"]["annotations"] = annotations
    assert [failure.reason for failure in validation.create(DEFINITIONS, crd)] == reasons
