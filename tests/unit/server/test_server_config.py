"""``server.yaml``: what it says, and the sentence for each way to get it wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from picluster.server import config as configs
from picluster.server.config import ServerConfig, ServerError

RACK = """
data_dir: /var/lib/picluster
pki_dir: /etc/picluster/pki
bind: 0.0.0.0
port: 6443
advertise: 10.77.0.10
service_cidr: 10.43.0.0/16
cluster_cidr: 10.42.0.0/16
profile: rack
outlets: /etc/picluster/outlets.yaml
kubeconfigs: {scheduler: /etc/picluster/scheduler.kubeconfig, controllers: /etc/picluster/controllers.kubeconfig}
"""


def write(directory: Path, text: str) -> Path:
    path = directory / "server.yaml"
    path.write_text(text)
    return path


def test_the_documented_file_is_read(tmp_path: Path) -> None:
    config = configs.load(write(tmp_path, RACK))
    assert config == ServerConfig(
        data_dir=Path("/var/lib/picluster"),
        pki_dir=Path("/etc/picluster/pki"),
        bind="0.0.0.0",
        port=6443,
        advertise="10.77.0.10",
        service_cidr="10.43.0.0/16",
        cluster_cidr="10.42.0.0/16",
        profile="rack",
        outlets=Path("/etc/picluster/outlets.yaml"),
        kubeconfigs={
            "scheduler": Path("/etc/picluster/scheduler.kubeconfig"),
            "controllers": Path("/etc/picluster/controllers.kubeconfig"),
        },
    )


def test_the_file_in_the_architecture_is_read(tmp_path: Path) -> None:
    document = (Path(__file__).parents[3] / "docs" / "ARCHITECTURE.md").read_text()
    example = document.partition("`/etc/picluster/server.yaml`:\n\n```yaml\n")[2].partition("```")[0]
    assert configs.load(write(tmp_path, example)).advertise == "10.77.0.10"


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert configs.load(write(tmp_path, "")) == ServerConfig()


@pytest.mark.parametrize(("text", "message"), [
    ("prot: 6443", "unknown key 'prot': did you mean 'port'?"),
    ("colour: red", "unknown key 'colour': known are data_dir, "),
    ("1: red", "unknown key 1: known are"),
    ("port: http", "port is 'http', but must be a port number up to 65535"),
    ("port: 65536", "port is 65536, but must be a port number"),
    ("port: true", "port is True, but must be a port number"),
    ("bind: localhost", "bind is 'localhost', but must be an IP address"),
    ("advertise: 127.0.0.1", "advertise is '127.0.0.1', but must be an address that other boards reach"),
    ("advertise: 0.0.0.0", "advertise is '0.0.0.0', but must be an address that other boards reach"),
    ("bind: 1", "bind is 1, but must be an IP address"),
    ("data_dir: relative", "data_dir is 'relative', but must be an absolute path"),
    ("pki_dir:", "pki_dir is None, but must be an absolute path"),
    ("service_cidr: 10.43.0.1/16", "service_cidr is '10.43.0.1/16', but must be a network without host bits"),
    ("max_requests_inflight: 0", "max_requests_inflight is 0, but must be a whole number above 0"),
    ("cluster_cidr: 7", "cluster_cidr is 7, but must be a network"),
    ("profile: fast", "profile is 'fast', but must be one of rack, kubernetes"),
    ("kubeconfigs: {scheduler: /a}", "must be a mapping with the keys scheduler and controllers"),
    ("kubeconfigs: {scheduler: /a, controllers: b}", "must be an absolute path"),
    ("- port", "must be a mapping of keys"),
    ("port: [", "is no YAML: correct line 1"),
])  # fmt: skip
def test_bad_content_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ServerError) as error:
        configs.load(write(tmp_path, text))
    assert message in str(error.value)
    assert str(tmp_path / "server.yaml") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="cannot be read: No such file"):
        configs.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(("text", "advertised"), [
    ("bind: 10.77.0.10", "10.77.0.10"),
    ("bind: 10.77.0.10\nadvertise: 10.77.0.99", "10.77.0.99"),
    ("bind: 127.0.0.1", configs.own_address()),
    ("bind: 0.0.0.0", configs.own_address()),
])  # fmt: skip
def test_what_is_advertised_is_never_loopback(tmp_path: Path, text: str, advertised: str) -> None:
    config = configs.load(write(tmp_path, text))
    assert config.advertise == advertised
    assert not config.advertise.startswith("127.")


@pytest.mark.parametrize(("bind", "url"), [
    ("127.0.0.1", "https://127.0.0.1:6443"),
    ("0.0.0.0", "https://127.0.0.1:6443"),
    ("10.77.0.10", "https://10.77.0.10:6443"),
    ("::", "https://[::1]:6443"),
    ("fd00::1", "https://[fd00::1]:6443"),
])  # fmt: skip
def test_where_clients_here_reach_it(bind: str, url: str) -> None:
    assert ServerConfig(bind=bind).url == url
