"""What each level forbids, in Kubernetes' words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from picluster.api.podsecurity import Policy, is_version, violations

GOOD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "a",
            "image": "x",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
}


def said(policy: Policy, spec: dict[str, Any], metadata: dict[str, Any] | None = None) -> list[str]:
    return [str(violation) for violation in violations(policy, metadata or {}, spec)]


def container(**more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "a", "image": "x", **more}]}


def test_nothing_is_said_of_a_good_pod() -> None:
    assert said(Policy("restricted"), copy.deepcopy(GOOD)) == []


def test_an_ordinary_pod_against_restricted() -> None:
    assert said(Policy("restricted"), {"containers": [{"name": "a"}, {"name": "b"}]}) == [
        'allowPrivilegeEscalation != false (containers "a", "b" must set '
        "securityContext.allowPrivilegeEscalation=false)",
        'unrestricted capabilities (containers "a", "b" must set securityContext.capabilities.drop=["ALL"])',
        'runAsNonRoot != true (pod or containers "a", "b" must set securityContext.runAsNonRoot=true)',
        'seccompProfile (pod or containers "a", "b" must set securityContext.seccompProfile.type to '
        '"RuntimeDefault" or "Localhost")',
    ]


@pytest.mark.parametrize(("spec", "expected"), [
    (container(), []),
    ({**container(), "hostNetwork": True, "hostPID": True}, ["host namespaces (hostNetwork=true, hostPID=true)"]),
    (
        {**container(), "volumes": [{"name": "v", "hostPath": {"path": "/"}}, {"name": "e", "emptyDir": {}}]},
        ['hostPath volumes (volume "v")'],
    ),
    (container(ports=[{"hostPort": 80}, {"containerPort": 1}]), ['hostPort (container "a" uses hostPort 80)']),
    (
        container(securityContext={"privileged": True}),
        ['privileged (container "a" must not set securityContext.privileged=true)'],
    ),
    (
        container(securityContext={"capabilities": {"add": ["NET_ADMIN", "CHOWN", "NET_RAW"]}}),
        [
            'non-default capabilities (container "a" must not include "NET_ADMIN", "NET_RAW" in '
            "securityContext.capabilities.add)"
        ],
    ),
    (
        container(securityContext={"procMount": "Unmasked"}),
        ['procMount (container "a" must not set securityContext.procMount to "Unmasked")'],
    ),
    (
        {**container(), "securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
        ["forbidden sysctls (kernel.msgmax)"],
    ),
    (
        {**container(), "securityContext": {"seccompProfile": {"type": "Unconfined"}}},
        ['seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")'],
    ),
    (
        container(securityContext={"seLinuxOptions": {"type": "spc_t"}}),
        ['seLinuxOptions (container "a" set forbidden securityContext.seLinuxOptions: type "spc_t")'],
    ),
    (
        container(securityContext={"windowsOptions": {"hostProcess": True}}),
        ['hostProcess (container "a" must not set securityContext.windowsOptions.hostProcess=true)'],
    ),
    (
        container(livenessProbe={"httpGet": {"host": "10.0.0.1", "port": 1}}),
        ['probe or lifecycle host (container "a" uses probe or lifecycle host "10.0.0.1")'],
    ),
])  # fmt: skip
def test_baseline(spec: dict[str, Any], expected: list[str]) -> None:
    assert said(Policy("baseline"), spec) == expected


@pytest.mark.parametrize(("change", "expected"), [
    (
        {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
        ['restricted volume types (volume "v" uses restricted volume type "hostPath")'],
    ),
    ({"volumes": [{"name": "v", "configMap": {"name": "c"}}]}, []),
    (
        {"securityContext": {**GOOD["securityContext"], "runAsUser": 0}},
        ["runAsUser=0 (pod must not set runAsUser=0)"],
    ),
    (
        {"securityContext": {**GOOD["securityContext"], "runAsNonRoot": False}},
        ["runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)"],
    ),
    ({"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": True}}, []),
])  # fmt: skip
def test_restricted(change: dict[str, Any], expected: list[str]) -> None:
    assert said(Policy("restricted"), {**copy.deepcopy(GOOD), **change}) == expected


def test_old_versions_lack_newer_checks() -> None:
    assert said(Policy("restricted", "v1.7"), container()) == [
        'runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true)'
    ]
    probe = container(livenessProbe={"tcpSocket": {"host": "10.0.0.1", "port": 1}})
    assert said(Policy("baseline", "v1.33"), probe) == []
    sysctl = {**container(), "securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}}
    assert said(Policy("baseline", "v1.31"), sysctl) == ["forbidden sysctls (net.ipv4.tcp_rmem)"]
    assert said(Policy("baseline", "v1.32"), sysctl) == []


def test_privileged_forbids_nothing() -> None:
    assert said(Policy("privileged"), {**container(securityContext={"privileged": True}), "hostPID": True}) == []


@pytest.mark.parametrize(("text", "good"), [("latest", True), ("v1.25", True), ("v1.025", False), ("1.25", False)])
def test_versions(text: str, good: bool) -> None:
    assert is_version(text) is good
