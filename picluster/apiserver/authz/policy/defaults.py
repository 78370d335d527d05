"""The default roles and bindings as objects.

Beside Kubernetes' own there are two of this project's: its controllers are one identity, which gets what each
controller's service account has there, and its agents do the work of kube-proxy with the identity of their node. What
lets boards join with a token, and nodes renew their certificates, is bound as kubeadm binds it.
"""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, Resource
from picluster.api.types import Object
from picluster.apiserver.authz.policy import notation
from picluster.apiserver.authz.policy.clusterroles import AGGREGATED, LABELLED, NODE
from picluster.apiserver.authz.policy.clusterroles import ROLES as CLUSTER
from picluster.apiserver.authz.policy.controllerroles import CONTROLLERS
from picluster.apiserver.authz.policy.namespaced import PUBLIC, SYSTEM

GROUP = "rbac.authorization.k8s.io"
AUTO_UPDATE = "rbac.authorization.kubernetes.io/autoupdate"
BOOTSTRAPPING = "kubernetes.io/bootstrapping"
CONTROLLER_PREFIX = "system:controller:"
OWN_CONTROLLERS = "picluster:controllers"
OWN_AGENTS = "picluster:agents"
MANAGER, SCHEDULER, PROXY = "system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy"
ANONYMOUS = "system:anonymous"
AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"

CLUSTER_INFO = "kubeadm:bootstrap-signer-clusterinfo"
BOOTSTRAPPERS = "system:bootstrappers:kubeadm:default-node-token"
_REQUESTS = "system:certificates.k8s.io:certificatesigningrequests"
JOINING = (
    ("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", BOOTSTRAPPERS),
    ("kubeadm:node-autoapprove-bootstrap", f"{_REQUESTS}:nodeclient", BOOTSTRAPPERS),
    ("kubeadm:node-autoapprove-certificate-rotation", f"{_REQUESTS}:selfnodeclient", "system:nodes"),
)

Default = tuple[Resource, Object]


def objects() -> Iterator[Default]:
    """Every default, roles before what binds them."""
    yield from _cluster_roles()
    yield from _cluster_bindings()
    yield from _namespaced()


def node_rules() -> list[Object]:
    """What the node authorizer allows without a look at the node's pods."""
    return notation.read(NODE)["system:node"]


def _cluster_roles() -> Iterator[Default]:
    for name, (gathers, carries) in AGGREGATED.items():
        role = _named("ClusterRole", name, labels=_label(carries))
        role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": _label(gathers)}]}
        role["rules"] = []
        yield CLUSTER_ROLES, role
    for name, rules in (notation.read(CLUSTER) | notation.read(NODE)).items():
        yield CLUSTER_ROLES, {**_named("ClusterRole", name, labels=_label(LABELLED.get(name, ""))), "rules": rules}
    union: dict[str, Object] = {}
    for name, rules in notation.read(CONTROLLERS).items():
        yield CLUSTER_ROLES, {**_named("ClusterRole", CONTROLLER_PREFIX + name), "rules": rules}
        union.update((repr(rule), rule) for rule in rules)
    for rule in [*notation.read(SYSTEM)["system:controller:token-cleaner"], *_signing(), *_local_volumes()]:
        union[repr(rule)] = rule
    yield CLUSTER_ROLES, {**_named("ClusterRole", OWN_CONTROLLERS), "rules": list(union.values())}


def _signing() -> list[Object]:
    """What the controllers do in ``kube-public``."""
    return notation.read(PUBLIC)["system:controller:bootstrap-signer"]


def _local_volumes() -> list[Object]:
    """Directories on nodes are made and removed by the nodes' agents, which the controllers ask."""
    return notation.read("picluster:local-volumes\n    delete update | core | nodes/proxy")["picluster:local-volumes"]


def _cluster_bindings() -> Iterator[Default]:
    bound: dict[str, list[Object]] = {
        "cluster-admin": [_group("system:masters")],
        "system:monitoring": [_group("system:monitoring")],
        "system:discovery": [_group(AUTHENTICATED)],
        "system:basic-user": [_group(AUTHENTICATED)],
        "system:public-info-viewer": [_group(AUTHENTICATED), _group(UNAUTHENTICATED)],
        "system:node-proxier": [_user(PROXY)],
        "system:kube-controller-manager": [_user(MANAGER)],
        "system:kube-dns": [_account("kube-dns")],
        "system:kube-scheduler": [_user(SCHEDULER)],
        "system:volume-scheduler": [_user(SCHEDULER)],
        "system:node": [],
        "system:service-account-issuer-discovery": [_group("system:serviceaccounts")],
        OWN_CONTROLLERS: [_user(MANAGER)],
    }
    for name in notation.read(CONTROLLERS):
        bound[CONTROLLER_PREFIX + name] = [_account(name)]
    for name, subjects in bound.items():
        yield CLUSTER_ROLE_BINDINGS, _binding("ClusterRoleBinding", name, "ClusterRole", name, subjects)
    for name, role, group in JOINING:
        yield CLUSTER_ROLE_BINDINGS, _binding("ClusterRoleBinding", name, "ClusterRole", role, [_group(group)])
    agents = [_group("system:nodes")]
    yield (
        CLUSTER_ROLE_BINDINGS,
        _binding("ClusterRoleBinding", OWN_AGENTS, "ClusterRole", "system:node-proxier", agents),
    )


def _namespaced() -> Iterator[Default]:
    for namespace, text in (("kube-system", SYSTEM), ("kube-public", PUBLIC)):
        for name, rules in notation.read(text).items():
            yield ROLES, {**_named("Role", name, namespace), "rules": rules}
    reader = "extension-apiserver-authentication-reader"
    system: list[tuple[str, str, list[Object]]] = [
        (f"system::{reader}", reader, [_user(MANAGER), _user(SCHEDULER)]),
        *(_leader("kube-controller-manager", MANAGER), _leader("kube-scheduler", SCHEDULER)),
        *((f"{CONTROLLER_PREFIX}{name}",) * 2 + ([_account(name)],) for name in _namespaced_controllers()),
    ]
    for name, role, subjects in system:
        yield ROLE_BINDINGS, _binding("RoleBinding", name, "Role", role, subjects, "kube-system")
    yield (
        ROLE_BINDINGS,
        _binding("RoleBinding", *(CLUSTER_INFO, "Role", CLUSTER_INFO), [_user(ANONYMOUS)], "kube-public"),
    )
    name, subjects = "system:controller:bootstrap-signer", [_account("bootstrap-signer")]
    yield ROLE_BINDINGS, _binding("RoleBinding", name, "Role", name, subjects, "kube-public")


def _namespaced_controllers() -> list[str]:
    return [
        name.removeprefix(CONTROLLER_PREFIX) for name in notation.read(SYSTEM) if name.startswith(CONTROLLER_PREFIX)
    ]


def _leader(component: str, user: str) -> tuple[str, str, list[Object]]:
    name = f"system::leader-locking-{component}"
    return name, name, [_user(user), _account(component)]


def _label(word: str) -> dict[str, str]:
    return {f"rbac.authorization.k8s.io/{word}": "true"} if word else {}


def _named(kind: str, name: str, namespace: str = "", labels: dict[str, str] | None = None) -> Object:
    metadata: Object = {"name": name, "labels": {BOOTSTRAPPING: "rbac-defaults", **(labels or {})}}
    metadata["annotations"] = {AUTO_UPDATE: "true"}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata}


def _binding(kind: str, name: str, role_kind: str, role: str, subjects: list[Object], namespace: str = "") -> Object:
    binding = _named(kind, name, namespace)
    binding["roleRef"] = {"apiGroup": GROUP, "kind": role_kind, "name": role}
    if subjects:
        binding["subjects"] = subjects
    return binding


def _group(name: str) -> Object:
    return {"apiGroup": GROUP, "kind": "Group", "name": name}


def _user(name: str) -> Object:
    return {"apiGroup": GROUP, "kind": "User", "name": name}


def _account(name: str) -> Object:
    return {"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}
