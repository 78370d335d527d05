"""Discovery documents, against what Kubernetes' clients rely on."""

from __future__ import annotations

from picluster.api.resources import RESOURCES, Resource
from picluster.apiserver import discovery


def test_the_core_group_has_one_version() -> None:
    assert discovery.versions("10.77.0.10:6443")["versions"] == ["v1"]


def test_resource_list_has_subresources_with_their_own_kinds() -> None:
    apps = discovery.resource_list(RESOURCES, "apps", "v1")
    assert apps is not None
    by_name = {entry["name"]: entry for entry in apps["resources"]}
    assert by_name["deployments"]["shortNames"] == ["deploy"]
    assert by_name["deployments/scale"] == {
        "name": "deployments/scale",
        "singularName": "",
        "namespaced": True,
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
        "verbs": ["get", "patch", "update"],
    }
    assert by_name["deployments/status"]["kind"] == "Deployment"
    assert discovery.resource_list(RESOURCES, "apps", "v2") is None


def test_the_hash_of_the_version_that_is_stored() -> None:
    """The values that every cluster of Kubernetes shows."""
    hashes = {}
    for group, version in (("", "v1"), ("events.k8s.io", "v1"), ("autoscaling", "v1"), ("authorization.k8s.io", "v1")):
        listed = discovery.resource_list(RESOURCES, group, version) or {}
        hashes |= {f"{group}/{each['name']}": each.get("storageVersionHash") for each in listed["resources"]}
    assert hashes["/pods"] == "xPOwRZ+Yhw8="
    assert hashes["/events"] == hashes["events.k8s.io/events"] == "r2yiGXH7wu8="
    assert hashes["autoscaling/horizontalpodautoscalers"] == "qwQve8ut294=", "that of v2"
    assert hashes["/pods/status"] is hashes["authorization.k8s.io/subjectaccessreviews"] is None
    custom = Resource("example.com", "v2", "Widget", "widgets", "", storage_version="v1")
    older = Resource("example.com", "v1", "Widget", "widgets", "")
    assert discovery.storage_version_hash(custom) == discovery.storage_version_hash(older)


def test_both_forms_say_the_same() -> None:
    for core in (True, False):
        for entry in discovery.aggregated(RESOURCES, core=core)["items"]:
            group = entry["metadata"].get("name", "")
            for version in entry["versions"]:
                legacy = discovery.resource_list(RESOURCES, group, version["version"])
                assert legacy is not None
                flat = {resource["resource"]: resource["verbs"] for resource in version["resources"]}
                for resource in version["resources"]:
                    for sub in resource.get("subresources", []):
                        flat[f"{resource['resource']}/{sub['subresource']}"] = sub["verbs"]
                assert flat == {resource["name"]: resource["verbs"] for resource in legacy["resources"]}
