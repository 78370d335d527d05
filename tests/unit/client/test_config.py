"""Kubeconfigs: what is read, from where, and what is refused with which words."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from picluster.client import ClientConfig, ConfigError


def write(path: Path, cluster: dict[str, Any], user: dict[str, Any] | None = None, **context: Any) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://pi-0:6443", **cluster}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", **context}}],
        "current-context": "x",
    }
    file = path / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    return file


def encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()


def test_inline_data_wins_over_files(tmp_path: Path) -> None:
    cluster = {"certificate-authority-data": encoded(b"CA"), "certificate-authority": "missing.crt"}
    user = {"client-certificate-data": encoded(b"CERT"), "client-key-data": encoded(b"KEY")}
    config = ClientConfig.from_kubeconfig(write(tmp_path, cluster, user, namespace="lab"))
    assert (config.ca, config.certificate, config.key) == (b"CA", b"CERT", b"KEY")
    assert (config.server, config.namespace) == ("https://pi-0:6443", "lab")


def test_files_are_relative_to_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    for name in ("ca", "me"):
        (tmp_path / "pki" / f"{name}.crt").write_bytes(name.encode())
    (tmp_path / "pki" / "me.key").write_bytes(b"key")
    (tmp_path / "token").write_text("secret\n")
    user = {"client-certificate": "pki/me.crt", "client-key": "pki/me.key", "tokenFile": "token"}
    config = ClientConfig.from_kubeconfig(write(tmp_path, {"certificate-authority": "pki/ca.crt"}, user))
    assert (config.ca, config.certificate, config.key, config.token) == (b"ca", b"me", b"key", "secret")


def test_secrets_are_not_printed(tmp_path: Path) -> None:
    user = {"client-certificate-data": encoded(b"CERT"), "client-key-data": encoded(b"PRIVATE"), "token": "t0ken"}
    shown = repr(ClientConfig.from_kubeconfig(write(tmp_path, {}, user)))
    assert "PRIVATE" not in shown
    assert "t0ken" not in shown


def test_the_name_in_the_certificate_may_differ(tmp_path: Path) -> None:
    config = ClientConfig.from_kubeconfig(write(tmp_path, {"tls-server-name": "kubernetes"}))
    assert config.tls_server_name == "kubernetes"


def test_skipping_verification_must_be_meant(tmp_path: Path) -> None:
    path = write(tmp_path, {"insecure-skip-tls-verify": True})
    with pytest.raises(ConfigError, match="insecure-skip-tls-verify"):
        ClientConfig.from_kubeconfig(path)
    context = ClientConfig.from_kubeconfig(path, allow_insecure=True).ssl_context()
    assert context is not None
    assert context.verify_mode is ssl.CERT_NONE


def test_another_context_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, {})
    assert ClientConfig.from_kubeconfig(path, "x").server == "https://pi-0:6443"
    with pytest.raises(ConfigError, match='no context "y"; it has: x'):
        ClientConfig.from_kubeconfig(path, "y")


@pytest.mark.parametrize(
    ("cluster", "user", "said"),
    [
        ({"server": "pi-0:6443"}, {}, "no usable server"),
        ({"proxy-url": "socks5://a"}, {}, '"proxy-url"'),
        ({}, {"exec": {"command": "aws"}}, '"exec"'),
        ({}, {"username": "u", "password": "p"}, '"username"'),
        ({"certificate-authority-data": "%%%"}, {}, "not base64"),
        ({"certificate-authority": "none.crt"}, {}, "cannot be read: No such file"),
        ({}, {"client-certificate-data": "Q0VSVA=="}, "without its key"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        ClientConfig.from_kubeconfig(write(tmp_path, cluster, user))


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "empty or not a kubeconfig"), ("a: [", "not YAML"), ("kind: Config", "no current-context")],
)
def test_files_that_are_no_kubeconfig(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(ConfigError, match=said):
        ClientConfig.from_kubeconfig(tmp_path / "kubeconfig")


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        ClientConfig.from_kubeconfig(tmp_path / "nothing")


def test_broken_pem_says_so() -> None:
    with pytest.raises(ConfigError, match="not a PEM certificate"):
        ClientConfig("https://a", ca=b"nonsense").ssl_context()
    with pytest.raises(ConfigError, match="do not fit together"):
        ClientConfig("https://a", certificate=b"nonsense", key=b"nonsense").ssl_context()
