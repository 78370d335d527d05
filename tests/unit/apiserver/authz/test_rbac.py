"""RBAC on a watch cache that changes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from picluster.api import serialize
from picluster.api.resources import BY_KIND, Resource
from picluster.apiserver.authn import ANONYMOUS, User
from picluster.apiserver.authz.attributes import Attributes
from picluster.apiserver.authz.chain import Chain, Decision, Held, Masters
from picluster.apiserver.authz.policy.defaults import objects
from picluster.apiserver.authz.rbac import GRANTS_MAX, Rbac
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.storage.backend import Event

GROUP = "rbac.authorization.k8s.io"
ANN = User("ann", frozenset({"system:authenticated", "dev"}))
GET_PODS = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}


class World:
    """A cache that is written to as a store would, and RBAC beside it."""

    def __init__(self) -> None:
        self.cache = WatchCache()
        self.rbac = Rbac(self.cache)
        self.rbac.load()

    def put(self, obj: dict[str, Any]) -> None:
        self._apply(obj, serialize.encode(obj))

    def delete(self, obj: dict[str, Any]) -> None:
        self._apply(obj, None)

    def _apply(self, obj: dict[str, Any], value: bytes | None) -> None:
        resource = resource_of(obj)
        key = f"{resource.id}/{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
        self.cache.apply([Event(self.cache.revision + 1, key, value)])

    def ask(
        self, user: User, verb: str, resource: str, namespace: str = "", name: str = "", group: str = ""
    ) -> Decision:
        return self.rbac.decide(Attributes(user, verb, namespace, group, "v1", resource, "", name))


def resource_of(obj: dict[str, Any]) -> Resource:
    return BY_KIND[f"{GROUP}/v1", obj["kind"]]


def role(name: str, *rules: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    kind = "Role" if namespace else "ClusterRole"
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"kind": kind, "apiVersion": f"{GROUP}/v1", "metadata": metadata, "rules": list(rules)}


def binding(
    name: str, role_name: str, *subjects: dict[str, str], namespace: str = "", kind: str = "ClusterRole"
) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "apiVersion": f"{GROUP}/v1",
        "metadata": metadata,
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role_name},
        "subjects": list(subjects),
    }


def user(name: str) -> dict[str, str]:
    return {"kind": "User", "name": name, "apiGroup": GROUP}


@pytest.fixture
def world() -> World:
    return World()


def test_nothing_is_allowed_before_there_are_roles(world: World) -> None:
    assert world.ask(ANN, "get", "pods", "default") == Decision(False)


def test_a_cluster_binding_holds_everywhere_and_says_so(world: World) -> None:
    world.put(role("reader", GET_PODS))
    world.put(binding("readers", "reader", user("ann")))
    expected = Decision(True, 'RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" to User "ann"')
    assert world.ask(ANN, "get", "pods", "default") == expected
    assert world.ask(ANN, "get", "pods", "") == expected
    assert not world.ask(ANN, "list", "pods", "default").allowed
    assert not world.ask(ANONYMOUS, "get", "pods", "default").allowed


def test_a_binding_holds_in_its_namespace_whatever_kind_of_role_it_names(world: World) -> None:
    world.put(role("reader", GET_PODS))
    world.put(role("reader", {**GET_PODS, "verbs": ["list"]}, namespace="a"))
    world.put(binding("one", "reader", {"kind": "Group", "name": "dev"}, namespace="a"))
    world.put(binding("two", "reader", user("ann"), namespace="a", kind="Role"))
    said = 'RBAC: allowed by RoleBinding "one/a" of ClusterRole "reader" to Group "dev"'
    assert world.ask(ANN, "get", "pods", "a") == Decision(True, said)
    assert world.ask(ANN, "list", "pods", "a").reason.endswith('RoleBinding "two/a" of Role "reader" to User "ann"')
    assert not world.ask(ANN, "get", "pods", "b").allowed
    assert not world.ask(ANN, "get", "pods").allowed


def test_a_service_account_is_of_the_bindings_namespace_unless_it_says(world: World) -> None:
    world.put(role("reader", GET_PODS))
    world.put(binding("near", "reader", {"kind": "ServiceAccount", "name": "bot"}, namespace="a"))
    world.put(binding("far", "reader", {"kind": "ServiceAccount", "name": "bot", "namespace": "b"}, namespace="a"))
    for namespace in ("a", "b"):
        bot = User(f"system:serviceaccount:{namespace}:bot", frozenset())
        assert world.ask(bot, "get", "pods", "a").allowed
    assert not world.ask(User("system:serviceaccount:c:bot", frozenset()), "get", "pods", "a").allowed


def test_names_limit_a_rule(world: World) -> None:
    world.put(role("some", {**GET_PODS, "resourceNames": ["x", "y"]}))
    world.put(binding("some", "some", user("ann")))
    assert [world.ask(ANN, "get", "pods", "a", name).allowed for name in ("x", "y", "z", "")] == [
        True,
        True,
        False,
        False,
    ]


def test_every_change_counts_at_once(world: World) -> None:
    reader, readers = role("reader", GET_PODS), binding("readers", "reader", user("ann"))
    world.put(readers)
    lost = 'RBAC: clusterrole.rbac.authorization.k8s.io "reader" not found'
    assert world.ask(ANN, "get", "pods") == Decision(False, lost)
    world.put(reader)
    assert world.ask(ANN, "get", "pods").allowed
    world.put({**reader, "rules": []})
    assert world.ask(ANN, "get", "pods") == Decision(False)
    world.put(reader)
    world.put({**readers, "subjects": [user("bob")]})
    assert not world.ask(ANN, "get", "pods").allowed
    assert world.ask(User("bob", frozenset()), "get", "pods").allowed
    world.delete({**readers, "subjects": [user("bob")]})
    assert not world.ask(User("bob", frozenset()), "get", "pods").allowed


def test_what_was_stored_before_counts_too() -> None:
    world = World()
    world.put(role("reader", GET_PODS))
    world.put(binding("readers", "reader", user("ann")))
    later = Rbac(world.cache)
    later.load()
    assert later.decide(Attributes(ANN, "get", "a", "", "v1", "pods")).allowed


def test_answers_are_kept_within_bounds(world: World) -> None:
    world.put(role("reader", GET_PODS))
    world.put(binding("readers", "reader", user("ann")))
    for number in range(GRANTS_MAX + 10):
        assert world.ask(ANN, "get", "pods", f"n{number}").allowed
    assert len(world.rbac._grants) <= GRANTS_MAX


def test_permissions_are_listed_with_what_is_missing(world: World) -> None:
    world.put(role("reader", GET_PODS))
    world.put(binding("readers", "reader", user("ann")))
    world.put(binding("gone", "nowhere", user("ann"), namespace="a", kind="Role"))
    held = world.rbac.held(ANN, "a")
    assert [(rule.verbs, rule.resources) for rule in held.rules] == [(("get",), ("pods",))]
    assert held.error == 'role.rbac.authorization.k8s.io "nowhere" not found'


def test_the_default_roles_let_everybody_do_their_work(world: World) -> None:
    for _, obj in objects():
        world.put(orjson.loads(orjson.dumps(obj)))
    scheduler = User("system:kube-scheduler", frozenset({"system:authenticated"}))
    manager = User("system:kube-controller-manager", frozenset({"system:authenticated"}))
    somebody = User("somebody", frozenset({"system:authenticated"}))
    allowed = [
        (scheduler, "watch", "pods", ""), (scheduler, "create", "bindings", ""), (scheduler, "delete", "pods", ""),
        (manager, "create", "replicasets", "apps"), (manager, "patch", "deployments", "apps"),
        (manager, "deletecollection", "widgets", "example.com"), (manager, "escalate", "clusterroles", GROUP),
        (somebody, "create", "selfsubjectaccessreviews", "authorization.k8s.io"),
    ]  # fmt: skip
    refused = [
        (scheduler, "update", "pods", ""), (scheduler, "get", "secrets", ""),
        (manager, "create", "deployments", "apps"), (manager, "create", "nodes", ""), (somebody, "get", "pods", ""),
    ]  # fmt: skip
    for who, verb, resource, group in allowed:
        assert world.ask(who, verb, resource, "default", group=group).allowed, (who.name, verb, resource)
    for who, verb, resource, group in refused:
        assert not world.ask(who, verb, resource, "default", group=group).allowed, (who.name, verb, resource)
    monitor = User("m", frozenset({"system:monitoring"}))
    paths = [(monitor, "/metrics", True), (somebody, "/metrics", False), (somebody, "/apis/apps/v1", True)]
    paths += [(ANONYMOUS, "/version", True), (ANONYMOUS, "/apis", False)]
    for who, path, expected in paths:
        assert world.rbac.decide(Attributes(who, "get", path=path, is_resource=False)).allowed is expected, path


class Says:
    def __init__(self, decision: Decision) -> None:
        self._decision = decision

    def decide(self, attributes: Attributes) -> Decision:
        return self._decision

    def held(self, user: User, namespace: str) -> Held:
        return Held([], "unknown")


def test_the_first_that_decides_wins_and_reasons_add_up() -> None:
    asked = Attributes(ANN, "list", "y", "", "v1", "pods")
    assert Chain([Says(Decision(False, "a")), Says(Decision(True, "b"))]).decide(asked) == Decision(True, "b")
    denied = Decision(False, "no", denied=True)
    assert Chain([Says(denied), Says(Decision(True))]).decide(asked) == denied
    assert Chain([Says(Decision(False, "a")), Says(Decision(False, "b"))]).decide(asked).reason == "a\nb"
    assert Chain([Says(denied), Says(denied)]).held(ANN, "a").error == "unknown"
    masters = User("root", frozenset({"system:masters"}))
    assert Chain([Masters()]).decide(asked._replace(user=masters)).allowed
