"""Who containers run as and what they may do: the pure parts, as tables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from picluster_agent.podman import capabilities, confinement, layers, sysctls
from picluster_agent.podman.capabilities import DEFAULT
from picluster_agent.podman.env import ConfigError
from picluster_agent.podman.identity import Accounts, Identity, identity

PASSWD = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1001::/:/bin/sh\nbroken\n7:x:70:71::/:\n"
GROUP = "root:x:0:\nwheel:x:10:root,bob\nextra:x:50000:bob,alice\nalice:x:1001:\n"
ACCOUNTS = Accounts(PASSWD, GROUP)


def who(image_user: str, own: dict[str, Any] | None = None, **of_pod: Any) -> Identity | None:
    pod = {"metadata": {}, "spec": {"securityContext": of_pod}}
    return identity(pod, {"name": "web", "securityContext": own or {}}, image_user, ACCOUNTS)


@pytest.mark.parametrize(
    ("image_user", "own", "of_pod", "expected"),
    [
        ("", {}, {}, Identity(0, 0, (10,))),
        ("alice", {}, {}, Identity(1000, 1001, (50000,))),
        ("alice:wheel", {}, {}, Identity(1000, 10, (50000,))),
        ("1000:5", {}, {}, Identity(1000, 5, (50000,))),
        ("4242", {}, {}, Identity(4242, 0)),
        ("7", {}, {}, Identity(70, 71)),
        ("nobody", {}, {}, None),
        ("alice:nogroup", {}, {}, None),
        ("alice:wheel", {"runAsUser": 4242}, {}, Identity(4242, 0)),
        ("alice:wheel", {"runAsGroup": 6}, {}, Identity(1000, 6, (50000,))),
        ("", {"runAsGroup": 6}, {}, Identity(0, 6, (10,))),
        ("alice", {"runAsUser": 1000}, {"runAsUser": 3, "runAsGroup": 3}, Identity(1000, 3, (50000,))),
        (
            "",
            {"runAsUser": 1000},
            {"runAsGroup": 3000, "supplementalGroups": [4000], "fsGroup": 6000},
            Identity(1000, 3000, (4000, 6000, 50000)),
        ),
        (
            "alice",
            {},
            {"supplementalGroups": [4000], "supplementalGroupsPolicy": "Strict"},
            Identity(1000, 1001, (4000,)),
        ),
        ("", {"runAsUser": None}, {"runAsUser": 9}, Identity(9, 0)),
    ],
)
def test_who_a_container_is(
    image_user: str, own: dict[str, Any], of_pod: dict[str, Any], expected: Identity | None
) -> None:
    assert who(image_user, own, **of_pod) == expected


def test_an_image_without_accounts_runs_as_root_or_as_a_number() -> None:
    pod = {"metadata": {}, "spec": {}}
    assert identity(pod, {"name": "web"}, "", Accounts()) == Identity(0, 0)
    assert identity(pod, {"name": "web"}, "root", Accounts()) == Identity(0, 0)
    assert identity(pod, {"name": "web"}, "5:6", Accounts()) == Identity(5, 6)


@pytest.mark.parametrize(
    ("add", "drop", "root", "expected"),
    [
        ([], [], True, {"cap_drop": ["ALL"], "cap_add": sorted(DEFAULT)}),
        ([], ["ALL"], True, {"cap_drop": ["ALL"]}),
        (["sys_time"], ["all"], True, {"cap_drop": ["ALL"], "cap_add": ["CAP_SYS_TIME"]}),
        (["SYS_TIME"], ["SYS_TIME", "ALL"], True, {"cap_drop": ["ALL"]}),
        ([], ["CAP_CHOWN"], True, {"cap_drop": ["ALL"], "cap_add": sorted(DEFAULT - {"CAP_CHOWN"})}),
        (["ALL"], [], True, {"cap_add": ["ALL"]}),
        (["ALL"], ["KILL"], True, {"cap_add": ["ALL"], "cap_drop": ["CAP_KILL"]}),
        (["ALL"], ["ALL"], True, {"cap_drop": ["ALL"]}),
        ([], [], False, {}),
        ([], ["KILL"], False, {"cap_drop": ["CAP_KILL"]}),
        (["NET_BIND_SERVICE"], ["ALL"], False, {"cap_drop": ["ALL"], "cap_add": ["CAP_NET_BIND_SERVICE"]}),
        (["KILL", "SYS_TIME"], [], False, {"cap_add": ["CAP_SYS_TIME"]}),
    ],
)
def test_capabilities(add: list[str], drop: list[str], root: bool, expected: dict[str, Any]) -> None:
    assert capabilities.capabilities({"capabilities": {"add": add, "drop": drop}}, root=root) == expected


@pytest.mark.parametrize(
    ("context", "by_default", "expected"),
    [
        ({}, False, "unconfined"),
        ({}, True, None),
        ({"seccompProfile": {"type": "RuntimeDefault"}}, False, None),
        ({"seccompProfile": {"type": "Unconfined"}}, True, "unconfined"),
        ({"seccompProfile": {"type": "Localhost", "localhostProfile": "a/b.json"}}, False, "/d/a/b.json"),
        ({"seccompProfile": {"type": "RuntimeDefault"}, "privileged": True}, True, "unconfined"),
    ],
)
def test_seccomp(context: dict[str, Any], by_default: bool, expected: str | None) -> None:
    body = confinement.seccomp(context, Path("/d"), by_default=by_default)
    assert body.get("seccomp_profile_path") == expected


@pytest.mark.parametrize(
    ("own", "annotation", "needed", "body"),
    [
        ({}, "", False, {}),
        ({"appArmorProfile": {"type": "Unconfined"}}, "", False, {"apparmor_profile": "unconfined"}),
        ({"appArmorProfile": {"type": "RuntimeDefault"}}, "unconfined", True, {}),
        ({"appArmorProfile": {"type": "Localhost", "localhostProfile": "p"}}, "", True, {"apparmor_profile": "p"}),
        ({}, "runtime/default", True, {}),
        ({}, "localhost/p", True, {"apparmor_profile": "p"}),
        ({}, "unconfined", False, {"apparmor_profile": "unconfined"}),
    ],
)
def test_apparmor(own: dict[str, Any], annotation: str, needed: bool, body: dict[str, Any]) -> None:
    container = {"name": "web", "securityContext": own}
    annotations = {f"{confinement.APPARMOR_ANNOTATION}web": annotation} if annotation else {}
    pod = {"metadata": {"annotations": annotations}, "spec": {"containers": [container]}}
    assert confinement.needs_apparmor(pod) is needed
    assert confinement.apparmor(pod, container, enabled=True) == body
    assert confinement.apparmor(pod, container, enabled=False) == {}


def test_selinux_options_are_labels() -> None:
    assert confinement.selinux({}) == {}
    options = {"type": "t", "level": "s0:c1,c2", "user": ""}
    assert confinement.selinux({"seLinuxOptions": options}) == {"selinux_opts": ["type:t", "level:s0:c1,c2"]}


def test_sysctls_of_the_pods_own_namespaces() -> None:
    own = {"securityContext": {"sysctls": [{"name": "kernel/shm_rmid_forced", "value": "1"}]}}
    assert sysctls.sandbox_sysctls(own) == {**sysctls.OF_NETWORK, "kernel.shm_rmid_forced": "1"}
    assert sysctls.dotted("net/ipv4/conf/eth0.1/forwarding") == "net.ipv4.conf.eth0/1.forwarding"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("net.core.somaxconn", {"hostNetwork": True}),
        ("kernel.shmmax", {"hostIPC": True}),
        ("vm.swappiness", {}),
        ("kernel.pid_max", {}),
    ],
)
def test_sysctls_of_the_node_are_never_set(name: str, fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="not in a namespace"):
        sysctls.sandbox_sysctls({"securityContext": {"sysctls": [{"name": name, "value": "1"}]}, **fields})


def test_a_file_of_an_image_is_that_of_its_uppermost_layer(tmp_path: Path) -> None:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    for layer in (upper, lower):
        (layer / "etc").mkdir(parents=True)
    (lower / "etc" / "passwd").write_text("lower")
    assert layers.read((upper, lower), "etc/passwd") == "lower"
    (upper / "etc" / "passwd").write_text("upper")
    assert layers.read((upper, lower), "etc/passwd") == "upper"
    assert layers.read((tmp_path / "none",), "etc/passwd") == layers.read((), "etc/passwd") == ""


@pytest.mark.parametrize("inside", ["etc", "etc/passwd"])
def test_an_image_cannot_lead_to_files_of_the_node(tmp_path: Path, inside: str) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "passwd").write_text("hush")
    layer = tmp_path / "layer"
    (layer / inside).parent.mkdir(parents=True, exist_ok=True)
    (layer / inside).symlink_to(secret if inside == "etc" else secret / "passwd")
    assert layers.read((layer,), "etc/passwd") == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="left out: makes a device, which only root may")
def test_a_file_that_a_layer_deletes_is_not_there(tmp_path: Path) -> None:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    for layer in (upper, lower):
        (layer / "etc").mkdir(parents=True)
    (lower / "etc" / "passwd").write_text("lower")
    os.mknod(upper / "etc" / "passwd", 0o020000, os.makedev(0, 0))
    assert layers.read((upper, lower), "etc/passwd") == ""
