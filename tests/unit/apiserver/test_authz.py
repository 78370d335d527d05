from __future__ import annotations

import pytest

from picluster.api.errors import ApiError
from picluster.apiserver.authn import ANONYMOUS, User, user_of
from picluster.apiserver.authz import ALLOWED, NO_OPINION, BootstrapRoles, Decision, Masters, PublicInfo, authorize
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.requestinfo import RequestInfo, request_info

CATALOG = Catalog()


def certificate(name: str, *groups: str) -> dict[str, object]:
    subject = [(("organizationName", group),) for group in groups]
    return {"subject": (*subject, (("commonName", name),))}


def test_the_subject_of_a_certificate_is_the_user() -> None:
    user = user_of(certificate("kubernetes-admin", "system:masters", "ops"))
    assert user == User("kubernetes-admin", frozenset({"system:masters", "ops", "system:authenticated"}))
    assert not user.anonymous


@pytest.mark.parametrize("nobody", [None, {}, {"subject": ((("organizationName", "system:masters"),),)}])
def test_without_a_name_there_is_nobody(nobody: dict[str, object] | None) -> None:
    assert user_of(nobody) is ANONYMOUS


@pytest.mark.parametrize(
    ("name", "groups", "node"),
    [
        ("system:node:pi-1", ["system:nodes"], "pi-1"),
        ("system:node:pi-1", [], ""),
        ("pi-1", ["system:nodes"], ""),
    ],
)
def test_a_node_needs_its_name_and_its_group(name: str, groups: list[str], node: str) -> None:
    assert user_of(certificate(name, *groups)).node == node


@pytest.mark.parametrize(
    ("user", "method", "path", "allowed"),
    [
        ("system:kube-scheduler", "GET", "/api/v1/pods?watch=1", True),
        ("system:kube-scheduler", "POST", "/api/v1/namespaces/a/pods/p/binding", True),
        ("system:kube-scheduler", "PATCH", "/api/v1/namespaces/a/pods/p/status", True),
        ("system:kube-scheduler", "DELETE", "/api/v1/namespaces/a/pods/p", True),
        ("system:kube-scheduler", "PUT", "/api/v1/namespaces/a/pods/p", False),
        ("system:kube-scheduler", "GET", "/api/v1/secrets", False),
        ("system:kube-scheduler", "PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/l", True),
        ("system:kube-controller-manager", "PATCH", "/apis/apps/v1/namespaces/a/deployments/d/status", True),
        ("system:kube-controller-manager", "PUT", "/api/v1/namespaces/a/finalize", True),
        ("system:kube-controller-manager", "POST", "/apis/apps/v1/namespaces/a/replicasets", True),
        ("system:kube-controller-manager", "POST", "/apis/apps/v1/namespaces/a/deployments", False),
        ("system:kube-controller-manager", "POST", "/api/v1/nodes", False),
        ("somebody", "GET", "/api/v1/pods", False),
    ],
)
def test_bootstrap_roles(user: str, method: str, path: str, allowed: bool) -> None:
    decision = BootstrapRoles().decide(user_of(certificate(user)), request_info(method, path, CATALOG))
    assert decision.allowed is allowed


class Says:
    def __init__(self, decision: Decision) -> None:
        self._decision = decision

    def decide(self, user: User, request: RequestInfo) -> Decision:
        return self._decision


def test_the_first_that_allows_wins() -> None:
    user, info = user_of(certificate("u")), request_info("GET", "/api/v1/pods", CATALOG)
    authorize([Says(NO_OPINION), Says(ALLOWED)], user, info)
    with pytest.raises(ApiError, match="at the cluster scope: because"):
        authorize([Says(NO_OPINION), Says(Decision(False, "because"))], user, info)
    with pytest.raises(ApiError):
        authorize([], user, info)


def test_masters_may_everything_and_nobody_may_look_at_health() -> None:
    authorize(
        [Masters()], user_of(certificate("a", "system:masters")), request_info("DELETE", "/api/v1/nodes/n", CATALOG)
    )
    authorize([PublicInfo()], ANONYMOUS, request_info("GET", "/readyz/store", CATALOG))
    for path in ("/api", "/metrics"):
        with pytest.raises(ApiError):
            authorize([PublicInfo()], ANONYMOUS, request_info("GET", path, CATALOG))
