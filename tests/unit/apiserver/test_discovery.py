"""Discovery documents, against what Kubernetes' clients rely on."""

from __future__ import annotations

from picluster.api.resources import RESOURCES
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
