"""``picluster pki`` as the playbooks call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from picluster.cli import main
from picluster.pki.authority import new_key


def run(*words: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["pki", *words], input=stdin)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("etc") / "pki"
    assert run("init", "--dir", str(directory), "--san", "10.77.0.10").exit_code == 0
    return directory


def csr() -> bytes:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(new_key(), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def test_init_tells_whether_it_changed(tmp_path: Path) -> None:
    words = ["init", "--dir", str(tmp_path / "pki"), "--san", "10.77.0.10", "-o", "json"]
    first = json.loads(run(*words).stdout)
    assert first["changed"] is True
    assert str(tmp_path / "admin.kubeconfig") in first["written"]
    assert json.loads(run(*words).stdout) == {"changed": False, "written": []}
    assert "nothing changed" in run(*words[:-2]).stdout
    assert "https://10.77.0.10:6443" in (tmp_path / "admin.kubeconfig").read_text()


def test_sign_prints_a_certificate(made: Path, tmp_path: Path) -> None:
    request = tmp_path / "pi-1.csr"
    request.write_bytes(csr())
    words = ["sign", "--dir", str(made), "--profile", "node", "--name", "pi-1", "--ip", "10.77.0.11"]
    for result in (run(*words, str(request)), run(*words, "-", stdin=csr())):
        assert result.exit_code == 0
        certificate = x509.load_pem_x509_certificate(result.stdout.encode())
        assert certificate.subject.rfc4514_string() == "CN=system:node:pi-1,O=system:nodes"


def test_issue_is_idempotent(made: Path, tmp_path: Path) -> None:
    words = ["issue", "--dir", str(made), "--profile", "admin", "--name", "alice", "--out", str(tmp_path), "-o", "json"]
    assert json.loads(run(*words).stdout)["changed"] is True
    assert json.loads(run(*words).stdout)["changed"] is False
    assert (tmp_path / "alice.key").stat().st_mode & 0o777 == 0o600


def test_show_tells_how_long(made: Path) -> None:
    rows = {row["name"]: row for row in json.loads(run("show", "--dir", str(made), "-o", "json").stdout)}
    assert rows["apiserver"]["days_left"] in (364, 365)
    assert "10.43.0.1" in rows["apiserver"]["sans"]
    assert run("show", "--dir", str(made), "--days", "30").exit_code == 0
    assert run("show", "--dir", str(made), "--days", "400").exit_code == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "--dir", "/nonexistent"], "has no certificates"),
        (["sign", "--dir", "/nonexistent", "--profile", "admin", "-"], "no certificate authority"),
        (["init", "--dir", "/proc/nowhere/pki"], "cannot be used"),
    ],
)
def test_trouble_is_one_sentence(words: list[str], message: str) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
