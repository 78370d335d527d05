"""Certificate signing requests: who asks, who approves and who signs are different people."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from picluster.apiserver.server import ApiServer
from picluster.pki.bundle import Bundle

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def pem_request() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ann")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


PEM = pem_request()


def csr(name: str = "ann", request: bytes = PEM, **spec: Any) -> dict[str, Any]:
    wanted = {
        "request": base64.b64encode(request).decode(),
        "signerName": "example.com/tests",
        "usages": ["client auth"],
        **spec,
    }
    return {"metadata": {"name": name, "labels": {"test": "csr"}}, "spec": wanted}


@pytest.fixture
def certificate(pki: Bundle) -> str:
    return base64.b64encode(pki.certificate("admin").read_bytes()).decode()


def approved(kind: str = "Approved") -> dict[str, Any]:
    return {"type": kind, "status": "True", "reason": "Tested", "message": "said the test"}


async def test_the_life_of_a_request(admin: Any, certificate: str) -> None:
    watch = await admin.watch(f"{REQUESTS}?labelSelector=test=csr")
    created = await admin.create(REQUESTS, csr(expirationSeconds=3600))
    assert created.code == 201, created.body
    assert created.body["spec"]["username"] == "kubernetes-admin"
    assert "system:authenticated" in created.body["spec"]["groups"]
    assert (await watch.next())["type"] == "ADDED"
    listed = await admin.get(f"{REQUESTS}?fieldSelector=spec.signerName=example.com/tests")
    assert [item["metadata"]["name"] for item in listed.body["items"]] == ["ann"]

    approval = await admin.get(f"{REQUESTS}/ann/approval")
    assert approval.body == created.body
    approval.body["status"] = {"conditions": [approved()], "certificate": certificate}
    approval.body["metadata"]["annotations"] = {"approved": "true"}
    answer = await admin.put(f"{REQUESTS}/ann/approval", approval.body)
    assert answer.code == 200, answer.body
    assert "certificate" not in answer.body["status"]
    condition = answer.body["status"]["conditions"][0]
    assert condition["lastUpdateTime"] == condition["lastTransitionTime"]
    assert answer.body["metadata"]["annotations"] == {"approved": "true"}

    again = await admin.patch(f"{REQUESTS}/ann/approval", {"status": {"conditions": [condition, approved("Other")]}})
    assert [c["type"] for c in again.body["status"]["conditions"]] == ["Approved", "Other"]
    signed = await admin.patch(f"{REQUESTS}/ann/status", {"status": {"certificate": certificate}})
    assert signed.code == 200, signed.body
    assert signed.body["status"]["certificate"] == certificate
    assert signed.body["status"]["conditions"] == again.body["status"]["conditions"]
    assert (await admin.delete(f"{REQUESTS}?labelSelector=test=csr")).code == 200
    assert (await admin.get(f"{REQUESTS}/ann")).code == 404


async def test_neither_request_nor_requester_changes(
    server: ApiServer, admin: Any, caller: Callable[..., Awaitable[Any]]
) -> None:
    node = await caller(server, "node-pi-1")
    made = csr(username="somebody", groups=["system:masters"], uid="1", extra={"a": ["b"]})
    created = await node.create(REQUESTS, made)
    assert created.code == 201, created.body
    spec = created.body["spec"]
    assert (spec["username"], spec["groups"]) == ("system:node:pi-1", ["system:authenticated", "system:nodes"])
    assert "uid" not in spec and "a" not in spec.get("extra", {})
    changes = {"metadata": {"labels": {"new": "label"}}, "spec": {"username": "x"}, "status": {"certificate": "eA=="}}
    changed = await admin.patch(f"{REQUESTS}/ann", changes)
    assert changed.code == 200, changed.body
    assert changed.body["spec"] == spec and changed.body["status"] == {}
    assert changed.body["metadata"]["labels"]["new"] == "label"


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (csr(request=b"nonsense"), "PEM block type must be CERTIFICATE REQUEST"),
        (csr(request=PEM.replace(b"M", b"N", 1)), "spec.request: Invalid value"),
        (csr(usages=[]), "spec.usages: Required value"),
        (csr(usages=["client auth", "client auth"]), 'spec.usages[1]: Duplicate value: "client auth"'),
        (csr(usages=["world peace"]), 'spec.usages[0]: Unsupported value: "world peace"'),
        (csr(signerName="x"), "must be a fully qualified domain and path of the form 'example.com/signer-name'"),
        (csr(signerName="local/x"), "should be a domain with at least two segments separated by dots"),
        (csr(signerName="kubernetes.io/legacy-unknown"), "the legacy signerName is not allowed via this API version"),
        (csr(expirationSeconds=599), "may not specify a duration less than 600 seconds (10 minutes)"),
    ],
)
async def test_requests_that_are_refused(admin: Any, made: Any, message: str) -> None:
    answer = await admin.create(REQUESTS, made)
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert message in answer.body["message"]


@pytest.mark.parametrize(
    ("subresource", "first", "second", "message"),
    [
        ("approval", [approved()], [], 'updates may not remove a condition of type \\"Approved\\"'),
        ("approval", [], [approved(), approved("Denied")], "Approved and Denied conditions are mutually exclusive"),
        ("approval", [], [{**approved(), "status": "False"}], 'Unsupported value: "False": supported values: "True"'),
        ("status", [], [approved()], 'updates may not add a condition of type "Approved"'),
        ("status", [approved()], [approved(), approved()], 'Duplicate value: "Approved"'),
    ],
)
async def test_conditions_that_are_refused(admin: Any, subresource: str, first: Any, second: Any, message: str) -> None:
    await admin.create(REQUESTS, csr())
    assert (await admin.patch(f"{REQUESTS}/ann/approval", {"status": {"conditions": first}})).code == 200
    answer = await admin.patch(f"{REQUESTS}/ann/{subresource}", {"status": {"conditions": second}})
    assert (answer.code, answer.body["reason"]) == (422, "Invalid"), answer.body
    assert message.replace('\\"', '"') in answer.body["message"]


async def test_an_approval_is_restored_by_whoever_signs(admin: Any) -> None:
    await admin.create(REQUESTS, csr())
    before = (await admin.patch(f"{REQUESTS}/ann/approval", {"status": {"conditions": [approved()]}})).body["status"]
    changed = [{**before["conditions"][0], "reason": "Other"}]
    answer = await admin.patch(f"{REQUESTS}/ann/status", {"status": {"conditions": changed}})
    assert answer.body["status"] == before


async def test_a_certificate_is_issued_once(admin: Any, certificate: str) -> None:
    await admin.create(REQUESTS, csr())
    bad = await admin.patch(f"{REQUESTS}/ann/status", {"status": {"certificate": "eA=="}})
    assert "must contain at least one CERTIFICATE PEM block" in bad.body["message"]
    assert (await admin.patch(f"{REQUESTS}/ann/status", {"status": {"certificate": certificate}})).code == 200
    twice = base64.b64encode(base64.b64decode(certificate) * 2).decode()
    again = await admin.patch(f"{REQUESTS}/ann/status", {"status": {"certificate": twice}})
    assert "updates may not modify existing certificate content" in again.body["message"]
