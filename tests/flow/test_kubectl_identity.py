"""The oldest and the newest kubectl at hand on tokens, certificates and Secrets of service accounts."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from kubectls import kubectls

from picluster.pki.authority import new_key

pytestmark = pytest.mark.kubectl
TIMEOUT_S = 30
WITHIN_S = 15.0

Run = Callable[..., str]


@pytest.fixture(params=kubectls() or [None], ids=lambda path: path.name if path else "none")
def program(request: pytest.FixtureRequest) -> Path:
    if request.param is None:
        pytest.skip("no kubectl on the path")
    return Path(request.param)


@pytest.fixture
def kubectl(program: Path, hollow_server: Any, tmp_path: Path) -> Run:
    def run(*words: str, stdin: str = "", code: int = 0, kubeconfig: Path | None = None) -> str:
        chosen = kubeconfig or hollow_server.kubeconfig
        argv = [str(program), "--kubeconfig", str(chosen), "--cache-dir", str(tmp_path / "cache"), *words]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        assert done.returncode == code, f"kubectl {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout + (done.stderr if code else "")

    return run


@pytest.fixture
def place(kubectl: Run, program: Path, request: pytest.FixtureRequest) -> str:
    name = f"{request.node.originalname}-{program.name}".replace("_", "-").replace(".", "-").removeprefix("test-")
    kubectl("create", "namespace", name)
    return name


def until(probe: Callable[[], str]) -> str:
    end_s = time.monotonic() + WITHIN_S
    while not (said := probe()):
        assert time.monotonic() < end_s, "it never said anything"
        time.sleep(0.05)
    return said


def with_token(hollow_server: Any, token: str, path: Path) -> Path:
    document = yaml.safe_load(hollow_server.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": token}
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_token(kubectl: Run, place: str, hollow_server: Any, tmp_path: Path) -> None:
    there = ("-n", place)
    kubectl("create", "serviceaccount", "robot", *there)
    kubectl("create", "rolebinding", "robot", "--clusterrole=view", f"--serviceaccount={place}:robot", *there)
    token = kubectl("create", "token", "robot", *there, "--duration", "20m", "--audience", "vault").strip()
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["aud"] == ["vault"] and claims["exp"] - claims["iat"] == 1200
    for_vault = with_token(hollow_server, token, tmp_path / "vault")
    kubectl("get", "pods", *there, code=1, kubeconfig=for_vault)
    robot = with_token(hollow_server, kubectl("create", "token", "robot", *there).strip(), tmp_path / "robot")
    assert "kube-root-ca.crt" in kubectl("get", "configmaps", *there, kubeconfig=robot)
    refused = kubectl("get", "secrets", *there, code=1, kubeconfig=robot)
    assert f'User "system:serviceaccount:{place}:robot" cannot list resource "secrets"' in refused
    short = kubectl("create", "token", "robot", *there, "--duration", "1m", code=1)
    assert "may not specify a duration less than 10 minutes" in short


def test_a_bound_token(kubectl: Run, place: str) -> None:
    there = ("-n", place)
    kubectl("create", "serviceaccount", "robot", *there)
    kubectl("create", "secret", "generic", "anchor", *there)
    bound = ("--bound-object-kind", "Secret", "--bound-object-name", "anchor")
    token = kubectl("create", "token", "robot", *there, *bound).strip()
    private = jwt.decode(token, options={"verify_signature": False})["kubernetes.io"]
    assert private["secret"]["name"] == "anchor" and private["serviceaccount"]["name"] == "robot"
    assert "not found" in kubectl("create", "token", "robot", *there, *bound[:3], "gone", code=1)


def test_a_token_secret(kubectl: Run, place: str) -> None:
    there = ("-n", place)
    kubectl("create", "serviceaccount", "robot", *there)
    annotations = {"kubernetes.io/service-account.name": "robot"}
    metadata = {"name": "robot-token", "annotations": annotations}
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token", "metadata": metadata}
    kubectl("apply", "-f", "-", *there, stdin=yaml.safe_dump(secret))
    until(lambda: kubectl("get", "secret", "robot-token", *there, "-o", "jsonpath={.data.token}"))
    assert "namespace:" in kubectl("describe", "secret", "robot-token", *there)


def request_for(name: str) -> str:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    signed = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(new_key(), hashes.SHA256())
    encoded = base64.b64encode(signed.public_bytes(Encoding.PEM)).decode()
    spec = {"request": encoded, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}
    kind = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
    return yaml.safe_dump({**kind, "metadata": {"name": name}, "spec": spec})


def test_a_certificate_request(kubectl: Run, program: Path) -> None:
    """[sig-auth] Certificates API [Privileged:ClusterAdmin] should support CSR API operations."""
    alice, mallory = (f"{who}-{program.name.replace('.', '-')}" for who in ("alice", "mallory"))
    kubectl("create", "-f", "-", stdin=request_for(alice))
    kubectl("create", "-f", "-", stdin=request_for(mallory))
    assert "Pending" in kubectl("get", "csr", alice)
    assert f"{alice} approved" in kubectl("certificate", "approve", alice)
    assert f"{mallory} denied" in kubectl("certificate", "deny", mallory)
    pem = base64.b64decode(until(lambda: kubectl("get", "csr", alice, "-o", "jsonpath={.status.certificate}")))
    assert x509.load_pem_x509_certificate(pem).subject.rfc4514_string() == f"CN={alice}"
    shown = kubectl("get", "csr").splitlines()
    assert [word for line in shown if line.startswith(alice) for word in line.split()][-1] == "Approved,Issued"
    assert [word for line in shown if line.startswith(mallory) for word in line.split()][-1] == "Denied"
    assert "KubectlApprove" in kubectl("describe", "csr", alice) + kubectl("get", "csr", alice, "-o", "yaml")
    kubectl("delete", "csr", alice, mallory)
