"""From a container to what Podman creates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from picluster_agent.podman import capabilities
from picluster_agent.podman.env import ConfigError, NodeFacts
from picluster_agent.podman.identity import Accounts
from picluster_agent.podman.launch import Image, Launch, Mount
from picluster_agent.podman.limits import oom_score_adjustment
from picluster_agent.podman.translate import create_body

GIB = 1024**3


def body_of(container: dict[str, Any] | None = None, image: Image | None = None, **spec: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"may_lower_oom": True, **spec.pop("node", {})}
    accounts = spec.pop("accounts", Accounts())
    one = {"name": "web", "image": "app:1", **(container or {})}
    pod = {
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "u1"},
        "spec": {"containers": [one], "terminationGracePeriodSeconds": 30, **spec},
    }
    launch = Launch(
        pod=pod,
        container=one,
        attempt=3,
        sandbox="s1",
        namespaces={kind: Path("/run/p") / kind for kind in ("net", "ipc", "uts")},
        env={"A": "1"},
        image=image or Image("sha256:abc"),
        mounts=[Mount(Path("/data/v"), "/v", read_only=True)],
        log_path=Path("/data/logs/web/3.log"),
        node=NodeFacts("pi-1", "10.0.0.1", memory_bytes=4 * GIB, **facts),
        accounts=accounts,
    )
    return create_body(launch)


def test_the_whole_body_of_a_plain_container() -> None:
    assert body_of() == {
        "name": "k8s_web_web-1_shop_u1_3",
        "image": "sha256:abc",
        "labels": {
            "io.kubernetes.pod.uid": "u1",
            "io.kubernetes.pod.name": "web-1",
            "io.kubernetes.pod.namespace": "shop",
            "io.kubernetes.container.name": "web",
            "io.kubernetes.container.restartCount": "3",
            "io.kubernetes.container.hash": body_of()["labels"]["io.kubernetes.container.hash"],
            "picluster.io/sandbox": "s1",
            "picluster.io/grace-period-s": "30",
            "picluster.io/stop-signal": "SIGTERM",
        },
        "env": {"HOSTNAME": "web-1", "A": "1"},
        "restart_policy": "no",
        "systemd": "false",
        "use_image_hosts": True,
        "use_image_resolve_conf": True,
        "image_volume_mode": "anonymous",
        "unsetenv": ["container", "TERM"],
        "user": "0:0",
        "manage_password": False,
        "cap_drop": ["ALL"],
        "cap_add": sorted(capabilities.DEFAULT),
        "mask": ["/proc/asound", "/sys/devices/virtual/powercap"],
        "seccomp_profile_path": "unconfined",
        "sysctl": {"net.ipv4.ping_group_range": "0 2147483647"},
        "healthconfig": {"Test": ["NONE"]},
        "log_configuration": {"driver": "k8s-file", "path": "/data/logs/web/3.log", "size": 1 << 30},
        "mounts": [{"type": "bind", "source": "/data/v", "destination": "/v", "options": ["rbind", "ro", "rprivate"]}],
        "netns": {"nsmode": "path", "value": "/run/p/net"},
        "ipcns": {"nsmode": "path", "value": "/run/p/ipc"},
        "utsns": {"nsmode": "path", "value": "/run/p/uts"},
        "pidns": {"nsmode": "private"},
        "resource_limits": {"cpu": {"shares": 2}},
        "oom_score_adj": 1000,
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"command": ["a", "$(A)"]}, {"entrypoint": ["a", "1"]}),
        ({"args": ["$(A)", "$(B)"]}, {"command": ["1", "$(B)"]}),
        ({"workingDir": "/w"}, {"work_dir": "/w", "create_working_dir": True}),
        ({"stdin": True, "tty": True}, {"stdin": True, "terminal": True}),
        ({"securityContext": {"privileged": True}}, {"privileged": True}),
        ({"securityContext": {"readOnlyRootFilesystem": True}}, {"read_only_filesystem": True}),
        ({"securityContext": {"allowPrivilegeEscalation": False}}, {"no_new_privileges": True}),
        ({"securityContext": {"runAsUser": 5}}, {"user": "5:0"}),
        ({"securityContext": {"runAsUser": 5, "runAsGroup": 6}}, {"user": "5:6"}),
        ({"securityContext": {"runAsGroup": 6}}, {"user": "0:6"}),
        (
            {"securityContext": {"capabilities": {"add": ["NET_ADMIN"], "drop": ["all", "CAP_KILL"]}}},
            {"cap_add": ["CAP_NET_ADMIN"], "cap_drop": ["ALL"]},
        ),
        (
            {"resources": {"limits": {"cpu": "500m", "memory": "64Mi"}}},
            {
                "resource_limits": {
                    "cpu": {"shares": 512, "quota": 50_000, "period": 100_000},
                    "memory": {"limit": 64 * 1024**2},
                }
            },
        ),
        (
            {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1m"}}},
            {"resource_limits": {"cpu": {"shares": 2048, "quota": 1000, "period": 100_000}}},
        ),
    ],
)
def test_one_field(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    body = body_of(fields)
    assert {key: body.get(key) for key in expected} == expected


def test_on_version_2_memory_ends_for_all_of_a_container_and_never_goes_to_swap() -> None:
    """Podman passes on what is in ``resource_limits``; a ``unified`` of the body itself does not reach the runtime."""
    limited = {"resources": {"limits": {"memory": "64Mi"}}}
    body = body_of(limited, node={"cgroup_version": 2, "may_limit_swap": True})
    assert body["resource_limits"]["unified"] == {"memory.oom.group": "1", "memory.swap.max": "0"}
    assert body["resource_limits"]["memory"] == {"limit": 64 * 1024**2, "swap": 64 * 1024**2}
    assert "unified" not in body
    without_swap = body_of(limited, node={"cgroup_version": 2})
    assert without_swap["resource_limits"]["unified"] == {"memory.oom.group": "1"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"hostNetwork": True}, {"netns": {"nsmode": "host"}, "utsns": {"nsmode": "host"}}),
        ({"hostPID": True}, {"pidns": {"nsmode": "host"}}),
        ({"hostIPC": True}, {"ipcns": {"nsmode": "host"}}),
        (
            {"securityContext": {"runAsUser": 7, "fsGroup": 8, "supplementalGroups": [9]}},
            {"user": "7:0", "groups": ["9", "8"]},
        ),
        ({"hostname": "db"}, {"env": {"HOSTNAME": "db", "A": "1"}}),
    ],
)
def test_what_the_pod_says(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    body = body_of(**spec)
    assert {key: body.get(key) for key in expected} == expected


def test_the_container_overrules_the_pod() -> None:
    body = body_of({"securityContext": {"runAsUser": 1}}, securityContext={"runAsUser": 2, "runAsGroup": 3})
    assert body["user"] == "1:3"


@pytest.mark.parametrize(
    ("user", "image_user", "message"),
    [
        (0, "", "container's runAsUser breaks non-root policy"),
        (None, "", "container has runAsNonRoot and image will run as root"),
        (None, "root", r"container has runAsNonRoot and image has non-numeric user \(root\)"),
        (None, "0:5", "container has runAsNonRoot and image will run as root"),
        (None, "app", "container has runAsNonRoot and image has non-numeric user"),
        (None, "1000:1000", None),
        (1000, "", None),
    ],
)
def test_run_as_non_root(user: int | None, image_user: str, message: str | None) -> None:
    context = {"runAsNonRoot": True, **({"runAsUser": user} if user is not None else {})}
    container, image = {"securityContext": context}, Image("sha256:abc", image_user)
    if message is None:
        body_of(container, image)
        return
    with pytest.raises(ConfigError, match=message):
        body_of(container, image)


@pytest.mark.parametrize(
    ("image_user", "context", "expected"),
    [
        ("", {}, {"user": "0"}),
        ("app:web", {}, {"user": "app:web"}),
        ("app:web", {"runAsGroup": 5}, {"user": "app:5"}),
        ("app", {"runAsUser": 7}, {"user": "7", "groups": ["8"]}),
    ],
)
def test_where_an_image_cannot_be_read_podman_looks_its_users_up(
    image_user: str, context: dict[str, Any], expected: dict[str, Any]
) -> None:
    body = body_of({"securityContext": context}, Image("i", image_user), accounts=None, securityContext={"fsGroup": 8})
    assert {key: body[key] for key in expected} == expected
    assert body["groups"] == ["8"]


def test_the_images_stop_signal_is_kept_on_the_container() -> None:
    assert body_of(image=Image("i", stop_signal="SIGQUIT"))["labels"]["picluster.io/stop-signal"] == "SIGQUIT"


@pytest.mark.parametrize(
    ("resources", "adjustment"),
    [
        ({}, 1000),
        ({"requests": {"memory": "1Gi"}}, 750),
        ({"requests": {"memory": "1Mi"}}, 999),
        ({"requests": {"memory": "8Gi"}}, 3),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}, -997),
    ],
)
def test_who_is_killed_first_when_memory_ends(resources: dict[str, Any], adjustment: int) -> None:
    container = {"name": "web", "resources": resources}
    assert oom_score_adjustment({"spec": {"containers": [container]}}, container, 4 * GIB) == adjustment


def test_an_agent_without_the_right_does_not_ask_for_what_the_kernel_refuses() -> None:
    limits = {"cpu": "1", "memory": "1Gi"}
    container = {"resources": {"limits": limits, "requests": limits}}
    assert body_of(container)["oom_score_adj"] == -997
    assert "oom_score_adj" not in body_of(container, node={"may_lower_oom": False})
