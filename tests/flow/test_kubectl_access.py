"""The oldest and the newest kubectl at hand on roles, bindings, reviews and impersonation."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kubectls import kubectls

pytestmark = pytest.mark.kubectl
TIMEOUT_S = 30
GATHERED_WITHIN_S = 20
WHOAMI_SINCE = 28

RECONCILED = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: counter, labels: {rbac.authorization.k8s.io/aggregate-to-view: "true"}}
rules: [{verbs: [get, list], apiGroups: [example.com], resources: [counters]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: counters}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: counter}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: counters}]
"""

SIGNING_REQUEST = """
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {{name: {name}}}
spec:
  request: {request}
  signerName: kubernetes.io/kube-apiserver-client
  usages: [client auth]
"""

Run = Callable[..., str]


@pytest.fixture(params=kubectls() or [None], ids=lambda path: path.name if path else "none")
def program(request: pytest.FixtureRequest) -> Path:
    if request.param is None:
        pytest.skip("no kubectl on the path")
    return Path(request.param)


@pytest.fixture
def kubectl(program: Path, hollow_server: Any, tmp_path: Path) -> Run:
    argv = [str(program), "--kubeconfig", str(hollow_server.kubeconfig), "--cache-dir", str(tmp_path / "cache")]

    def run(*words: str, stdin: str = "", code: int = 0) -> str:
        done = subprocess.run(
            [*argv, *words], input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert done.returncode == code, f"kubectl {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout + (done.stderr if code else "")

    return run


def test_a_user_is_let_in_step_by_step(kubectl: Run, program: Path) -> None:
    place = "access-" + program.name.replace(".", "-")
    kubectl("create", "namespace", place)
    there = ("-n", place)
    assert "no" in kubectl("auth", "can-i", "list", "pods", *there, "--as", "bob", code=1)
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods", "--resource=pods/log", *there)
    kubectl("create", "rolebinding", "readers", "--role=reader", "--user=bob", *there)
    assert kubectl("auth", "can-i", "list", "pods", *there, "--as", "bob") == "yes\n"
    assert kubectl("auth", "can-i", "get", "pods", "--subresource=log", *there, "--as", "bob") == "yes\n"
    assert kubectl("get", "pods", *there, "--as", "bob") == ""
    refused = kubectl("get", "secrets", *there, "--as", "bob", code=1)
    assert f'User "bob" cannot list resource "secrets" in API group "" in the namespace "{place}"' in refused
    listed = kubectl("auth", "can-i", "--list", *there, "--as", "bob", "--as-group", "dev")
    assert "pods/log" in listed and "[/version]" in listed and "selfsubjectaccessreviews" in listed
    assert "Warning: the list may be incomplete" not in listed
    described = kubectl("describe", "rolebinding", "readers", *there)
    assert "reader" in described and "bob" in described


def test_the_administrator_may_everything(kubectl: Run) -> None:
    assert kubectl("auth", "can-i", "*", "*", "--all-namespaces") == "yes\n"
    assert "*.*" in kubectl("auth", "can-i", "--list")
    assert kubectl("auth", "can-i", "get", "/metrics") == "yes\n"
    assert "cluster-admin" in kubectl("get", "clusterrolebinding", "cluster-admin", "-o", "wide")


def test_who_am_i(kubectl: Run, program: Path) -> None:
    if int(program.name.rpartition(".")[2]) < WHOAMI_SINCE:
        pytest.skip("this kubectl has no whoami")
    assert "kubernetes-admin" in kubectl("auth", "whoami")
    said = kubectl("auth", "whoami", "--as", "system:serviceaccount:default:bot")
    assert "system:serviceaccounts:default" in said


def test_roles_are_reconciled_and_gathered(kubectl: Run, program: Path) -> None:
    role = "counter-" + program.name.rpartition(".")[2]
    mine = RECONCILED.replace("counter", role)
    assert "reconciled" in kubectl("auth", "reconcile", "-f", "-", stdin=mine)
    gauge = role.replace("counter", "gauge")
    more = mine.replace(f"[{role}s]", f"[{gauge}]").replace("[get, list]", "[get]")
    kubectl("auth", "reconcile", "-f", "-", stdin=more)
    found = kubectl("get", "clusterrole", role, "-o", "jsonpath={.rules[*].resources[*]}")
    assert set(found.split()) == {f"{role}s", gauge}
    for gathering in ("view", "edit", "admin"):  # edit gathers view, and admin gathers edit
        end_s = time.monotonic() + GATHERED_WITHIN_S
        while gauge not in kubectl("get", "clusterrole", gathering, "-o", "jsonpath={.rules[*].resources[*]}").split():
            assert time.monotonic() < end_s, gathering


def test_an_account_edits_its_namespace(kubectl: Run, program: Path) -> None:
    place = "edit-" + program.name.replace(".", "-")
    kubectl("create", "namespace", place)
    kubectl("create", "serviceaccount", "bot", "-n", place)
    kubectl("create", "rolebinding", "bots", "--clusterrole=edit", f"--serviceaccount={place}:bot", "-n", place)
    bot = ("-n", place, "--as", f"system:serviceaccount:{place}:bot")
    kubectl("create", "configmap", "c", "--from-literal=a=b", *bot)
    assert "c" in kubectl("get", "configmaps", *bot, "-o", "name")
    escalating = ("create", "rolebinding", "more", "--clusterrole=cluster-admin", "--user=eve", *bot)
    assert "cannot create resource" in kubectl(*escalating, code=1)
    kubectl("create", "rolebinding", "admins", "--clusterrole=admin", f"--serviceaccount={place}:bot", "-n", place)
    assert "is attempting to grant RBAC permissions not currently held" in kubectl(*escalating, code=1)


def test_a_person_gets_a_certificate_and_a_namespace(
    kubectl: Run, program: Path, hollow_server: Any, tmp_path: Path
) -> None:
    """What docs/access.md tells people to do, with the usages it tells."""
    name = "person-" + program.name.replace(".", "-")
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "dev"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    subject = x509.Name(names)
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()
    kubectl("apply", "-f", "-", stdin=SIGNING_REQUEST.format(name=name, request=pem))
    kubectl("certificate", "approve", name)
    end_s = time.monotonic() + GATHERED_WITHIN_S
    while not (signed := kubectl("get", "csr", name, "-o", "jsonpath={.status.certificate}")):
        assert time.monotonic() < end_s
    certificate, private = tmp_path / "person.crt", tmp_path / "person.key"
    certificate.write_bytes(base64.b64decode(signed))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    place = f"shop-{name}"
    kubectl("create", "namespace", place)
    kubectl("create", "rolebinding", "person", "--clusterrole=edit", f"--user={name}", "-n", place)
    own = tmp_path / "person.kubeconfig"
    own.write_text(Path(hollow_server.kubeconfig).read_text())
    person = ("--kubeconfig", str(own))
    kubectl(
        "config", "set-credentials", name, f"--client-certificate={certificate}", f"--client-key={private}", *person
    )
    kubectl("config", "set-context", "--current", f"--user={name}", f"--namespace={place}", *person)
    kubectl("create", "configmap", "c", "--from-literal=a=b", *person)
    assert f'User "{name}" cannot list resource "nodes"' in kubectl("get", "nodes", *person, code=1)
