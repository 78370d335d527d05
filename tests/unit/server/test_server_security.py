"""``service_accounts``, ``encryption`` and ``audit`` of ``server.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from picluster.apiserver.authn import tokenkeys
from picluster.server import security
from picluster.server.config import ServerError, parse


def test_what_is_not_said_is_kubernetes_default(tmp_path: Path) -> None:
    config = parse({"pki_dir": str(tmp_path)}, "x")
    assert config.service_accounts.issuers == (tokenkeys.DEFAULT_ISSUER,)
    assert config.signing_key == tmp_path / "sa.key"
    assert config.audit == security.AuditSettings()
    assert config.encryption_file is None
    (tmp_path / "encryption.yaml").write_text("")
    assert config.encryption_file == tmp_path / "encryption.yaml"


def test_all_of_it_is_read() -> None:
    accounts = {
        "issuers": ["https://new.example.com", "https://old.example.com"],
        "audiences": ["api"],
        "signing_key": "/keys/sa.key",
        "keys": ["/keys/new.pub", "/keys/old.pub"],
        "jwks_uri": "https://new.example.com/keys",
        "token_lifetime_max_s": 7200,
    }
    audit = {"policy": "/etc/policy.yaml", "log": "/var/log/audit.log", "max_size_mib": 5, "backups": 0}
    config = parse({"service_accounts": accounts, "audit": audit, "encryption": "/keys/encryption.yaml"}, "x")
    assert config.signing_key == Path("/keys/sa.key")
    assert config.service_accounts.keys == (Path("/keys/new.pub"), Path("/keys/old.pub"))
    assert config.service_accounts.token_lifetime_max_s == 7200
    assert config.audit == security.AuditSettings(Path("/etc/policy.yaml"), Path("/var/log/audit.log"), 5, 0)
    assert config.encryption_file == Path("/keys/encryption.yaml")
    assert parse({"audit": False}, "x").audit.off


def test_a_front_proxy_of_one_s_own() -> None:
    files = {"client_ca": "/pki/proxies.crt", "cert": "/pki/mine.crt", "key": "/pki/mine.key"}
    given = parse({"front_proxy": files}, "x").front_proxy
    assert given is not None
    assert (given.client_ca, given.allowed_names) == (Path("/pki/proxies.crt"), ("front-proxy-client",))
    given = parse({"front_proxy": {**files, "allowed_names": ["a", "b"]}}, "x").front_proxy
    assert given is not None
    assert given.allowed_names == ("a", "b")
    assert parse({}, "x").front_proxy is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"service_accounts": []}, "must be a mapping"),
        ({"service_accounts": {"issuer": "x"}}, "must be without issuer: known are issuers"),
        ({"service_accounts": {"issuers": ["http://x"]}}, "with issuers as a list of https:// addresses"),
        ({"service_accounts": {"keys": ["sa.pub"]}}, "with files named by absolute paths"),
        ({"service_accounts": {"token_lifetime_max_s": 60}}, "of at least 3600 seconds"),
        ({"audit": True}, "must be false, or a mapping"),
        ({"audit": {"size": 1}}, "must be without size: known are policy, log"),
        ({"audit": {"backups": -1}}, "with backups a number from 0 to 100"),
        ({"encryption": "encryption.yaml"}, "an absolute path"),
        ({"front_proxy": {"client_ca": "/ca.crt"}}, "must be a mapping with client_ca, cert and key"),
        ({"front_proxy": {"client_ca": "/a", "cert": "/b", "key": "/c", "x": 1}}, "must be a mapping with client_ca"),
        ({"front_proxy": {"client_ca": "ca.crt", "cert": "/b", "key": "/c"}}, "with files named by absolute paths"),
    ],
)
def test_what_cannot_be_is_one_sentence(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ServerError) as refused:
        parse(content, "server.yaml")
    assert message in str(refused.value)
