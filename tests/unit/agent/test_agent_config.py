"""``agent.yaml``: read, defaulted, refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

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
