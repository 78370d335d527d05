"""Roles, bindings, reviews and impersonation, over the wire; conformance: RBAC and SubjectReview API operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from picluster.apiserver.server import ApiServer
from picluster.storage.memory import MemoryBackend

RBAC = "/apis/rbac.authorization.k8s.io/v1"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
ROLES, BINDINGS = f"{RBAC}/namespaces/default/roles", f"{RBAC}/namespaces/default/rolebindings"
CLUSTER_ROLES, CLUSTER_BINDINGS = f"{RBAC}/clusterroles", f"{RBAC}/clusterrolebindings"
PODS = "/api/v1/namespaces/default/pods"
READ_PODS = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}
ANN = {"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"}


def named(name: str, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, **fields}


def binding(name: str, role: str, *subjects: dict[str, str], kind: str = "Role") -> dict[str, Any]:
    return named(name, roleRef={"kind": kind, "name": role}, subjects=list(subjects))


@pytest.fixture
def as_ann(admin: Any) -> Callable[..., Any]:
    """``await as_ann(method, path, body)``: the administrator, acting as ann."""

    async def call(method: str, path: str, body: Any = None, **headers: str) -> Any:
        return await admin(method, path, body, Impersonate_User="ann", **headers)

    return call


async def grant(admin: Any, *rules: dict[str, Any]) -> None:
    assert (await admin.create(CLUSTER_ROLES, named("anns", rules=list(rules)))).code == 201
    bound = await admin.create(CLUSTER_BINDINGS, binding("anns", "anns", ANN, kind="ClusterRole"))
    assert bound.code == 201, bound.body


async def test_a_role_bound_is_a_permission_and_unbound_it_is_none(admin: Any, as_ann: Any) -> None:
    refused = await as_ann("GET", PODS)
    assert (refused.code, refused.body["message"]) == (
        403,
        'pods is forbidden: User "ann" cannot list resource "pods" in API group "" in the namespace "default"',
    )
    assert (await admin.create(ROLES, named("reader", rules=[READ_PODS]))).code == 201
    made = await admin.create(BINDINGS, binding("readers", "reader", ANN))
    assert made.body["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    assert (await as_ann("GET", PODS)).code == 200
    assert (await as_ann("GET", "/api/v1/pods")).code == 403
    assert (await as_ann("DELETE", f"{PODS}/p")).code == 403
    assert (await admin.delete(f"{BINDINGS}/readers")).code == 200
    assert (await as_ann("GET", PODS)).code == 403


async def test_a_binding_to_a_role_that_is_not_there_says_so(admin: Any, as_ann: Any) -> None:
    await admin.create(BINDINGS, binding("readers", "reader", ANN))
    refused = await as_ann("GET", PODS)
    assert refused.body["message"].endswith('"default": RBAC: role.rbac.authorization.k8s.io "reader" not found')


async def test_what_is_not_served_is_not_told_to_strangers(
    admin: Any, as_ann: Any, server: ApiServer, caller: Any
) -> None:
    assert (await admin.get("/apis/example.com/v1/widgets")).code == 404
    refused = await as_ann("GET", "/apis/example.com/v1/widgets")
    assert (refused.code, refused.body["message"]) == (
        403,
        'widgets.example.com is forbidden: User "ann" cannot list resource "widgets" in API group "example.com" at the'
        " cluster scope",
    )
    assert (await (await caller(server, None)).get("/apis/example.com/v1/widgets")).code == 401


async def test_rbac_kinds_are_written_and_read_like_any(admin: Any) -> None:
    for path, obj in (
        (ROLES, named("r", rules=[READ_PODS])),
        (CLUSTER_ROLES, named("system:mine:r", rules=[READ_PODS])),
    ):
        assert (await admin.create(path, obj)).code == 201
        one = f"{path}/{obj['metadata']['name']}"
        patched = await admin.patch(one, {"metadata": {"annotations": {"a": "b"}}})
        assert patched.body["metadata"]["annotations"] == {"a": "b"}
        put = await admin.put(one, {**patched.body, "rules": []})
        assert put.code == 200
        assert (await admin.get(one)).body.get("rules") == []
        assert (await admin.delete(one)).code == 200
    by_put = await admin.put(f"{ROLES}/made", named("made", rules=[READ_PODS]))
    assert by_put.code == 201
    both = await admin.create(BINDINGS, binding("b", "made", ANN))
    changed = await admin.put(f"{BINDINGS}/b", {**both.body, "roleRef": {**both.body["roleRef"], "name": "other"}})
    assert changed.code == 422 and "cannot change roleRef" in changed.body["message"]
    bad = await admin.create(ROLES, named("bad", rules=[{"verbs": ["get"], "nonResourceURLs": ["/x"]}]))
    assert "namespaced rules cannot apply to non-resource URLs" in bad.body["message"]


async def test_nobody_grants_what_he_does_not_hold(admin: Any, as_ann: Any) -> None:
    write_roles = {"verbs": ["create", "update", "get"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"]}
    await grant(admin, write_roles, READ_PODS)
    assert (await as_ann("POST", ROLES, named("reader", rules=[READ_PODS]))).code == 201
    greedy = named("greedy", rules=[{**READ_PODS, "verbs": ["get", "delete"]}])
    refused = await as_ann("POST", ROLES, greedy)
    assert (refused.code, refused.body["message"]) == (
        403,
        'roles.rbac.authorization.k8s.io "greedy" is forbidden: user "ann" (groups=["system:authenticated"]) is'
        ' attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["pods"],'
        ' Verbs:["delete"]}',
    )
    widened = {**(await admin.get(f"{ROLES}/reader")).body, "rules": greedy["rules"]}
    assert (await as_ann("PUT", f"{ROLES}/reader", widened)).code == 403
    assert (await as_ann("POST", BINDINGS, binding("b", "reader", ANN))).code == 201
    taken = await as_ann("POST", BINDINGS, binding("c", "cluster-admin", ANN, kind="ClusterRole"))
    assert taken.code == 403 and 'Resources:["*"]' in taken.body["message"]
    lost = await as_ann("POST", BINDINGS, binding("d", "nowhere", ANN))
    assert (lost.code, lost.body["message"]) == (404, 'role.rbac.authorization.k8s.io "nowhere" not found')
    odd = await as_ann("POST", BINDINGS, binding("d", "x", ANN, kind="Pod"))
    assert odd.code == 422 and "roleRef.kind" in odd.body["message"]
    gathering = named("all", aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]})
    unfit = await as_ann("POST", CLUSTER_ROLES, gathering)
    assert unfit.body["message"].endswith("must have cluster-admin privileges to use the aggregationRule")


async def test_escalate_and_bind_are_permissions_to_do_so(admin: Any, as_ann: Any) -> None:
    roles = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"]}
    bind = {
        "verbs": ["bind"],
        "apiGroups": roles["apiGroups"],
        "resources": ["clusterroles"],
        "resourceNames": ["view"],
    }
    await grant(admin, {**roles, "verbs": ["create", "escalate"]}, bind)
    assert (await as_ann("POST", ROLES, named("greedy", rules=[{**READ_PODS, "verbs": ["*"]}]))).code == 201
    assert (await as_ann("POST", BINDINGS, binding("v", "view", ANN, kind="ClusterRole"))).code == 201
    assert (await as_ann("POST", BINDINGS, binding("e", "cluster-admin", ANN, kind="ClusterRole"))).code == 403


async def test_subject_access_reviews_answer_about_anybody(admin: Any) -> None:
    await grant(admin, READ_PODS)
    pods = {"verb": "get", "resource": "pods", "namespace": "default"}
    asked = await admin.create(
        f"{AUTHORIZATION}/subjectaccessreviews", {"spec": {"user": "ann", "resourceAttributes": pods}}
    )
    assert asked.code == 201
    assert asked.body["status"] == {
        "allowed": True,
        "reason": 'RBAC: allowed by ClusterRoleBinding "anns" of ClusterRole "anns" to User "ann"',
    }
    spec = {"user": "bob", "groups": ["system:masters"], "resourceAttributes": {**pods, "verb": "delete"}}
    assert (await admin.create(f"{AUTHORIZATION}/subjectaccessreviews", {"spec": spec})).body["status"]["allowed"]
    path = {"user": "bob", "nonResourceAttributes": {"path": "/metrics", "verb": "get"}}
    answer = await admin.create(f"{AUTHORIZATION}/subjectaccessreviews", {"spec": path})
    assert answer.body["status"] == {"allowed": False}
    local = f"{AUTHORIZATION}/namespaces/default/localsubjectaccessreviews"
    near = await admin.create(local, {"spec": {"user": "ann", "resourceAttributes": pods}})
    assert near.code == 201 and near.body["status"]["allowed"]
    far = await admin.create(local, {"spec": {"user": "ann", "resourceAttributes": {**pods, "namespace": "other"}}})
    assert far.code == 422 and "must match metadata.namespace" in far.body["message"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"user": "ann"}, "exactly one of nonResourceAttributes or resourceAttributes must be specified"),
        ({"resourceAttributes": {}}, "spec.user: Invalid value: \"\": at least one of user or group must be specified"),
        ({"user": "a", "resourceAttributes": {}, "nonResourceAttributes": {}},
         "cannot be specified in combination with resourceAttributes"),
        ({"user": "a", "resourceAttributes": {"fieldSelector": {}}},
         "spec.resourceAttributes.fieldSelector.requirements: Required value: when"
         " spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required"),
    ],
)  # fmt: skip
async def test_a_review_has_to_be_a_question(admin: Any, spec: dict[str, Any], message: str) -> None:
    answer = await admin.create(f"{AUTHORIZATION}/subjectaccessreviews", {"spec": spec})
    assert answer.code == 422
    assert answer.body["message"].startswith('.authorization.k8s.io "" is invalid: ')
    assert message in answer.body["message"]


async def test_selectors_count_for_nodes_and_what_is_not_understood_is_said(admin: Any) -> None:
    node = {"user": "system:node:pi-1", "groups": ["system:nodes"]}
    pods = {"verb": "list", "resource": "pods"}
    where = {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["pi-1"]}]}
    for selector, allowed in (
        (where, True),
        ({"rawSelector": "spec.nodeName=pi-1"}, True),
        ({"rawSelector": "a=b"}, False),
    ):
        spec = {**node, "resourceAttributes": {**pods, "fieldSelector": selector}}
        answer = await admin.create(f"{AUTHORIZATION}/subjectaccessreviews", {"spec": spec})
        assert answer.body["status"]["allowed"] is allowed
    odd = {"requirements": [{"key": "a", "operator": "Exists"}]}
    answer = await admin.create(
        f"{AUTHORIZATION}/subjectaccessreviews",
        {"spec": {**node, "resourceAttributes": {**pods, "fieldSelector": odd}}},
    )
    said = "spec.resourceAttributes.fieldSelector ignored due to parse error"
    assert answer.body["status"]["evaluationError"] == said


async def test_reviews_about_oneself(admin: Any, as_ann: Any) -> None:
    await grant(admin, READ_PODS)
    spec = {"resourceAttributes": {"verb": "get", "resource": "pods"}}
    mine = await as_ann("POST", f"{AUTHORIZATION}/selfsubjectaccessreviews", {"spec": spec})
    assert mine.body["status"]["allowed"]
    rules = await as_ann("POST", f"{AUTHORIZATION}/selfsubjectrulesreviews", {"spec": {"namespace": "default"}})
    assert {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]} in rules.body["status"]["resourceRules"]
    assert not rules.body["status"]["incomplete"]
    assert any("/version" in rule["nonResourceURLs"] for rule in rules.body["status"]["nonResourceRules"])
    nowhere = await as_ann("POST", f"{AUTHORIZATION}/selfsubjectrulesreviews", {"spec": {}})
    assert (nowhere.code, nowhere.body["message"]) == (400, "no namespace on request")
    who = await as_ann(
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        {},
        Impersonate_Uid="7",
        Impersonate_Extra_Scope="x",
    )
    assert who.body["status"]["userInfo"] == {
        "username": "ann", "uid": "7", "groups": ["system:authenticated"], "extra": {"scope": ["x"]},
    }  # fmt: skip


async def test_each_part_of_somebody_else_needs_leave(admin: Any, server: ApiServer, caller: Any) -> None:
    scheduler = await caller(server, "scheduler")
    refused = await scheduler.get("/apis", Impersonate_User="bob")
    assert (refused.code, refused.body["message"]) == (
        403,
        'users "bob" is forbidden: User "system:kube-scheduler" cannot impersonate resource "users" in API group "" at'
        " the cluster scope",
    )
    impersonate = {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"]}
    await admin.create(CLUSTER_ROLES, named("actor", rules=[impersonate]))
    subject = {"kind": "User", "name": "system:kube-scheduler"}
    await admin.create(CLUSTER_BINDINGS, binding("actor", "actor", subject, kind="ClusterRole"))
    assert (await scheduler.get("/apis", Impersonate_User="bob")).code == 200
    assert (await scheduler.get("/apis", Impersonate_User="eve")).code == 403
    group = await scheduler.get("/apis", Impersonate_User="bob", Impersonate_Group="ops")
    assert 'groups "ops" is forbidden' in group.body["message"]
    extra = await scheduler.get("/apis", Impersonate_User="bob", Impersonate_Extra_Scope="x")
    assert (
        'cannot impersonate resource "userextras/scope" in API group "authentication.k8s.io"' in extra.body["message"]
    )
    nobody = await admin.get("/apis", Impersonate_Group="ops")
    assert nobody.code == 500
    assert nobody.body["message"] == (
        'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"ops"}, Extra:map[string][]string(nil)} without'
        " impersonating a user name"
    )


async def test_a_service_account_comes_with_its_groups(admin: Any) -> None:
    who = await admin.create(
        "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, Impersonate_User="system:serviceaccount:default:bot"
    )
    assert who.body["status"]["userInfo"]["groups"] == [
        "system:authenticated", "system:serviceaccounts", "system:serviceaccounts:default",
    ]  # fmt: skip
    anonymous = await admin.get(PODS, Impersonate_User="system:anonymous")
    assert anonymous.code == 403


async def test_defaults_are_given_back_at_the_next_start(start: Any, caller: Any) -> None:
    backend = MemoryBackend()
    server = await start(backend)
    admin = await caller(server)
    dns, proxier = f"{CLUSTER_ROLES}/system:kube-dns", f"{CLUSTER_BINDINGS}/system:node-proxier"
    assert (await admin.patch(dns, {"rules": []})).code == 200
    assert (await admin.delete(f"{CLUSTER_ROLES}/system:discovery")).code == 200
    free = {"metadata": {"annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"}}, "subjects": []}
    assert (await admin.patch(proxier, free)).code == 200
    await server.stop()
    admin = await caller(await start(backend))
    assert len((await admin.get(dns)).body["rules"]) == 6
    assert (await admin.get(f"{CLUSTER_ROLES}/system:discovery")).code == 200
    assert (await admin.get(proxier)).body.get("subjects") == []


async def test_metrics_are_for_who_monitors(admin: Any) -> None:
    assert (await admin.get("/metrics", Impersonate_User="m", Impersonate_Group="system:monitoring")).code == 200
    assert (await admin.get("/metrics", Impersonate_User="m")).code == 403


async def test_somebody_may_be_impersonated_for_one_thing(admin: Any, server: ApiServer, caller: Any) -> None:
    """Constrained impersonation (KEP-5284)."""
    scheduler = await caller(server, "scheduler")
    group = "authentication.k8s.io"
    identity = {
        "verbs": ["impersonate:user-info"],
        "apiGroups": [group],
        "resources": ["users"],
        "resourceNames": ["ann"],
    }
    action = {"verbs": ["impersonate-on:user-info:list"], "apiGroups": [""], "resources": ["pods"]}
    await grant(admin, READ_PODS)
    await admin.create(CLUSTER_ROLES, named("actor", rules=[identity, action]))
    subject = {"kind": "User", "name": "system:kube-scheduler"}
    await admin.create(CLUSTER_BINDINGS, binding("actor", "actor", subject, kind="ClusterRole"))
    assert (await scheduler.get(PODS, Impersonate_User="ann")).code == 200
    other = await scheduler.get(f"{PODS}/p", Impersonate_User="ann")
    assert other.code == 403 and "cannot impersonate" in other.body["message"]
    assert (await scheduler.get(PODS, Impersonate_User="eve")).code == 403
    assert (await scheduler.get(PODS, Impersonate_User="ann", Impersonate_Group="ops")).code == 403


async def test_a_node_comes_with_its_group(admin: Any, pod_of: Any) -> None:
    await admin.create(PODS, pod_of("p", "pi-1"))
    assert (await admin.get(f"{PODS}/p", Impersonate_User="system:node:pi-1")).code == 200
    assert (await admin.get(f"{PODS}/p", Impersonate_User="system:node:pi-2")).code == 403
