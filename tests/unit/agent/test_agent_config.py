"""``agent.yaml``: read, defaulted, refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from picluster_agent import amounts, reservations
from picluster_agent.__main__ import main
from picluster_agent.config import ConfigError, load

GOOD: dict[str, Any] = {
    "node_name": "pi-1",
    "node_ip": "10.77.0.11",
    "kubeconfig": "/etc/picluster/agent.kubeconfig",
    "data_dir": "/var/lib/picluster",
    "podman_socket": "/run/podman/podman.sock",
    "cluster_cidr": "10.42.0.0/16",
    "service_cidr": "10.43.0.0/16",
    "profile": "rack",
    "serving": {"cert": "/c", "key": "/k", "client_ca": "/ca", "port": 10250},
    "labels": {"a": "b"},
    "taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}],
}


def written(path: Path, text: str) -> Path:
    file = path / "agent.yaml"
    file.write_text(text)
    return file


def test_the_documented_file(tmp_path: Path) -> None:
    config = load(written(tmp_path, yaml.safe_dump(GOOD)))
    assert config.serving.client_ca == Path("/ca")
    assert config.taints == ({"key": "k", "value": "v", "effect": "NoSchedule"},)
    assert config.run_dir == Path("/run/picluster")


def test_what_need_not_be_said(tmp_path: Path) -> None:
    needed = {key: GOOD[key] for key in ("node_name", "node_ip", "kubeconfig", "serving")}
    config = load(written(tmp_path, yaml.safe_dump(needed)))
    assert (config.profile, config.serving.port, dict(config.labels)) == ("rack", 10250, {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"node_name": None}, "node_name is missing"),
        ({"node_name": "Pi_1"}, "node_name must be a host name in lower case"),
        ({"node_ip": "pi-1"}, "node_ip must be an IP address, not 'pi-1'"),
        ({"kubeconfig": "here"}, "kubeconfig must be an absolute path, not 'here'"),
        ({"cluster_cidr": "10.42.0.0/99"}, "cluster_cidr must be a network"),
        ({"profile": "fast"}, "profile must be one of rack, kubernetes, not 'fast'"),
        ({"labels": {"a": True}}, "labels must map texts to texts"),
        ({"taints": [{"key": "k", "effect": "No"}]}, "taints[0].effect must be one of"),
        ({"taints": {}}, "taints must be a list of taints"),
        ({"serving": None}, "serving is missing"),
        ({"cgroup_root": "/kubepods"}, "cgroup_root must be a control group below the top (kubepods), not '/kubepods'"),
        ({"max_pods": 0}, "max_pods must be a number from 1 to 10000, not 0"),
        ({"pod_pids_limit": True}, "pod_pids_limit must be a number from -1 to 4194304, not True"),
        ({"system_reserved": {"gpu": "1"}}, "system_reserved may have cpu, memory, ephemeral-storage, pid, not 'gpu'"),
        ({"kube_reserved": {"cpu": "much"}}, "kube_reserved cpu must be a quantity (100m, 128Mi), not 'much'"),
        ({"kube_reserved": {"cpu": "-1"}}, "kube_reserved cpu must not be negative, but is '-1'"),
        ({"eviction_hard": ["memory"]}, "eviction_hard must map eviction signals to amounts, not ['memory']"),
        ({"eviction_hard": {"memory": "1Mi"}}, "eviction_hard may have memory.available, nodefs.available, "),
        (
            {"eviction_soft": {"nodefs.available": "120%"}},
            "must be a quantity or a percentage from 0% to 100%, not '120%'",
        ),
        (
            {"eviction_soft": {"pid.available": "5%"}},
            "eviction_soft has pid.available, but eviction_soft_grace_period does",
        ),
        ({"eviction_pressure_transition_period": "5"}, "must be a duration (30s, 5m, 1h30m), not '5'"),
        (
            {"image_gc_low_threshold": 90},
            "image_gc_low_threshold must not be above image_gc_high_threshold (85), but is 90",
        ),
        ({"allowed_unsafe_sysctls": "net.*"}, "allowed_unsafe_sysctls must be a list of names or patterns"),
        ({"serving": {"cert": "/c", "key": "/k"}}, "serving.client_ca is missing"),
        ({"serving": {**GOOD["serving"], "port": "x"}}, "serving.port must be a number from 0 to 65535, not 'x'"),
        ({"serving": {**GOOD["serving"], "tls": 1}}, "unknown key serving.tls"),
        ({"node_nam": "x"}, "unknown key node_nam; known are"),
    ],
)
def test_bad_values(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, yaml.safe_dump({**GOOD, **change})))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "must be a mapping"), ("[1]", "must be a mapping"), ("a: [", "is not YAML"), (None, "cannot read")],
)
def test_the_program_says_one_sentence_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, message: str
) -> None:
    path = tmp_path / "none.yaml" if text is None else written(tmp_path, text)
    assert main(["--config", str(path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("picluster-agent: ") and message in said
    assert len(said.splitlines()) == 1


def test_what_is_kept_from_pods(tmp_path: Path) -> None:
    settings = {
        "kube_reserved": {"cpu": "150m", "ephemeral-storage": "1Gi"},
        "eviction_hard": {"memory.available": "10%", "nodefs.available": "1Gi"},
        "max_pods": 30,
    }
    config = load(written(tmp_path, yaml.safe_dump({**GOOD, **settings})))
    machine = {"cpu": "4", "memory": "1000Mi", "ephemeral-storage": "10Gi", "hugepages-2Mi": "100Mi"}
    whole = reservations.capacity(machine, config)
    assert whole == {**machine, "pods": "30"}
    assert reservations.allocatable(whole, config) == {
        "cpu": "3750m",
        "memory": f"{(1000 - 128 - 100 - 100) * 1024}Ki",
        "ephemeral-storage": str(8 * 1024**3),
        "hugepages-2Mi": "100Mi",
        "pods": "30",
    }
    assert reservations.pods_memory_bytes(whole, config) == (1000 - 128) * 1024**2
    small = reservations.allocatable({"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "1Mi"}, config)
    assert (small["cpu"], small["memory"], small["ephemeral-storage"]) == ("0m", "0Ki", "0")


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0.0), ("90s", 90.0), ("1h30m", 5400.0), ("1.5s", 1.5), ("50ms", 0.05)]
)
def test_durations(text: str, seconds: float) -> None:
    assert amounts.duration_s(text) == pytest.approx(seconds)
