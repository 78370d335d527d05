"""The default roles: written down rightly, and given back when somebody took from them."""

from __future__ import annotations

from typing import Any

from picluster.api import validation
from picluster.api.resources import BY_PLURAL
from picluster.apiserver.authz.policy import notation
from picluster.apiserver.authz.policy.defaults import AUTO_UPDATE, objects
from picluster.apiserver.authz.policy.reconcile import completed


def named(kind: str, name: str) -> dict[str, Any]:
    found = [obj for _, obj in objects() if (obj["kind"], obj["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1
    return found[0]


def test_the_notation_is_sorted_rules() -> None:
    read = notation.read("a\n    list get | core apps | pods,\n        nodes | x\n    get | /b /a\n")
    assert read == {
        "a": [
            {
                "verbs": ["get", "list"],
                "apiGroups": ["", "apps"],
                "resources": ["nodes", "pods"],
                "resourceNames": ["x"],
            },
            {"verbs": ["get"], "nonResourceURLs": ["/a", "/b"]},
        ]
    }


def test_every_default_is_valid_and_marked() -> None:
    seen = set()
    for resource, obj in objects():
        assert validation.create(resource, obj) == [], obj
        assert obj["metadata"]["labels"]["kubernetes.io/bootstrapping"] == "rbac-defaults"
        assert obj["metadata"]["annotations"][AUTO_UPDATE] == "true"
        key = (resource.id, obj["metadata"].get("namespace"), obj["metadata"]["name"])
        assert key not in seen
        seen.add(key)


def test_every_binding_binds_a_role_that_is_there() -> None:
    roles = {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for _, o in objects() if "rules" in o}
    for _, obj in objects():
        if "roleRef" in obj:
            kind, name = obj["roleRef"]["kind"], obj["roleRef"]["name"]
            namespace = obj["metadata"].get("namespace") if kind == "Role" else None
            assert (kind, namespace, name) in roles, obj["metadata"]["name"]


def test_the_resources_of_users_roles_exist() -> None:
    """A slip of the pen in the data would be a permission that nobody has."""
    served = {(group, plural) for group, _, plural in BY_PLURAL}
    for name in ("system:aggregate-to-edit", "system:aggregate-to-view", "system:kube-scheduler", "system:node"):
        for rule in named("ClusterRole", name)["rules"]:
            for group in set(rule["apiGroups"]) - {"extensions"}:
                for resource in rule["resources"]:
                    plural, _, _ = resource.partition("/")
                    assert (group, plural) in served, (name, group, resource)


def test_view_edit_and_admin_gather() -> None:
    edit = named("ClusterRole", "edit")
    selectors = edit["aggregationRule"]["clusterRoleSelectors"]
    assert selectors == [{"matchLabels": {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}}]
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-admin"] == "true"


def test_what_was_taken_comes_back_and_what_was_added_stays() -> None:
    wanted = named("ClusterRole", "system:kube-dns")
    extra = {"verbs": ["get"], "apiGroups": [""], "resources": ["nodes"]}
    found = {**wanted, "rules": [extra], "metadata": {**wanted["metadata"], "labels": {"mine": "yes"}}}
    result = completed(found, wanted)
    assert result["rules"][0] == extra
    assert result["metadata"]["labels"] == {"mine": "yes", "kubernetes.io/bootstrapping": "rbac-defaults"}
    assert completed(result, wanted) == result


def test_subjects_and_selectors_come_back() -> None:
    wanted = named("ClusterRoleBinding", "system:public-info-viewer")
    lacking = {**wanted, "subjects": wanted["subjects"][:1]}
    assert completed(lacking, wanted)["subjects"] == wanted["subjects"]
    admin = named("ClusterRole", "admin")
    other = {"matchLabels": {"a": "b"}}
    found = {**admin, "aggregationRule": {"clusterRoleSelectors": [other]}, "rules": [{"verbs": ["get"]}]}
    result = completed(found, admin)
    assert result["aggregationRule"]["clusterRoleSelectors"] == [
        other,
        *admin["aggregationRule"]["clusterRoleSelectors"],
    ]
    assert result["rules"] == [{"verbs": ["get"]}]
