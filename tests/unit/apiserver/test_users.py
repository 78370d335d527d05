"""Who a certificate is."""

from __future__ import annotations

import pytest

from picluster.apiserver.authn import ANONYMOUS, User, user_of


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
