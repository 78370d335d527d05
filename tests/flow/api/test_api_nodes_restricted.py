"""What a node may write into what it reaches, and who may approve and sign certificates."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from picluster.apiserver.server import ApiServer

PODS = "/api/v1/namespaces/default/pods"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"


def signing_request(name: str, common_name: str, organization: str, signer: str) -> dict[str, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(key, hashes.SHA256())
    pem = base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()
    usages = ["digital signature", "client auth"]
    return {"metadata": {"name": name}, "spec": {"request": pem, "signerName": signer, "usages": usages}}


@pytest.fixture
async def node(server: ApiServer, caller: Any) -> Any:
    return await caller(server, "node-pi-1")


async def test_a_mirror_pod_is_its_nodes_and_refers_to_nothing(admin: Any, node: Any, pod_of: Any) -> None:
    made = (await node.create("/api/v1/nodes", {"metadata": {"name": "pi-1"}})).body
    owner = {"apiVersion": "v1", "kind": "Node", "name": "pi-1", "uid": made["metadata"]["uid"], "controller": True}
    annotations = {"kubernetes.io/config.mirror": "x"}

    def mirror(name: str, *owners: dict[str, Any]) -> dict[str, Any]:
        pod: dict[str, Any] = pod_of(name, "pi-1", annotations=annotations, ownerReferences=list(owners))
        return pod

    refused = await node.create(PODS, mirror("a"))
    assert 'node "pi-1" can only create pods with an owner reference set to itself' in refused.body["message"]
    foreign = await node.create(PODS, mirror("a", {**owner, "uid": "other"}))
    assert "node pi-1 UID mismatch: expected other got" in foreign.body["message"]
    secret = mirror("a", owner)
    secret["spec"]["volumes"] = [{"name": "v", "secret": {"secretName": "s"}}]
    assert 'node "pi-1" can not create pods that reference secrets' in (await node.create(PODS, secret)).body["message"]
    assert (await node.create(PODS, mirror("a", owner))).code == 201


async def test_a_node_reports_status_and_nothing_beside(admin: Any, node: Any, pod_of: Any) -> None:
    await admin.create(PODS, pod_of("p", "pi-1"))
    labels = {"metadata": {"labels": {"a": "b"}}}
    refused = await node.patch(f"{PODS}/p/status", labels)
    assert refused.code == 403 and 'node "pi-1" cannot update labels through pod status' in refused.body["message"]
    claims = {"status": {"resourceClaimStatuses": [{"name": "c", "resourceClaimName": "x"}]}}
    assert "cannot update resource claim statuses" in (await node.patch(f"{PODS}/p/status", claims)).body["message"]
    assert (await node.patch(f"{PODS}/p/status", {"status": {"phase": "Running"}})).code == 200


async def test_a_nodes_own_objects_have_its_name(node: Any) -> None:
    slices = "/apis/resource.k8s.io/v1/resourceslices"
    csi = await node.create("/apis/storage.k8s.io/v1/csinodes", {"metadata": {"name": "pi-2"}, "spec": {"drivers": []}})
    assert "can only access CSINode with the same name as the requesting node" in csi.body["message"]
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": "d.example.com", "nodeName": "pi-2", "pool": pool}
    made = await node.create(slices, {"metadata": {"name": "s"}, "spec": spec})
    assert "can only create ResourceSlice with the same NodeName as the requesting node" in made.body["message"]


async def test_a_node_asks_for_certificates_in_its_own_name(node: Any) -> None:
    mine = signing_request("mine", "system:node:pi-1", "system:nodes", KUBELET_CLIENT)
    assert (await node.create(REQUESTS, mine)).code == 201
    other = signing_request("other", "system:node:pi-2", "system:nodes", KUBELET_CLIENT)
    refused = await node.create(REQUESTS, other)
    assert "can only create a node CSR with CN=system:node:pi-1" in refused.body["message"]


async def test_approval_is_a_permission_on_the_signer(admin: Any) -> None:
    made = await admin.create(REQUESTS, signing_request("r", "ann", "dev", "example.com/signer"))
    assert made.code == 201, made.body
    update = {"verbs": ["update", "patch"], "apiGroups": ["certificates.k8s.io"]}
    resources = ["certificatesigningrequests/approval", "certificatesigningrequests/status"]
    role = {"metadata": {"name": "approver"}, "rules": [{**update, "resources": resources}]}
    await admin.create(f"{RBAC}/clusterroles", role)
    subject = {"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"}
    bound = {"roleRef": {"kind": "ClusterRole", "name": "approver"}, "subjects": [subject]}
    await admin.create(f"{RBAC}/clusterrolebindings", {"metadata": {"name": "approver"}, **bound})
    condition = {"type": "Approved", "status": "True", "reason": "r", "message": "m"}
    approved = {**made.body, "status": {"conditions": [condition]}}
    path = f"{REQUESTS}/r/approval"
    refused = await admin("PUT", path, approved, Impersonate_User="ann")
    assert (refused.code, refused.body["message"]) == (
        403,
        'certificatesigningrequests.certificates.k8s.io "r" is forbidden: user not permitted to approve requests with'
        ' signerName "example.com/signer"',
    )
    signer = {"verbs": ["approve"], "apiGroups": ["certificates.k8s.io"], "resources": ["signers"]}
    rules = [*role["rules"], {**signer, "resourceNames": ["example.com/*"]}]  # type: ignore[misc]
    assert (await admin.patch(f"{RBAC}/clusterroles/approver", {"rules": rules})).code == 200
    done = await admin("PUT", path, approved, Impersonate_User="ann")
    assert done.code == 200, done.body
    failed = {**condition, "type": "Failed"}
    signed = {**done.body, "status": {"conditions": [*done.body["status"]["conditions"], failed]}}
    unfit = await admin("PUT", f"{REQUESTS}/r/status", signed, Impersonate_User="ann")
    assert 'user not permitted to sign requests with signerName "example.com/signer"' in unfit.body["message"]


async def test_nobody_is_signed_into_the_masters(admin: Any) -> None:
    signer = "kubernetes.io/kube-apiserver-client"
    refused = await admin.create(REQUESTS, signing_request("r", "eve", "system:masters", signer))
    assert refused.code == 403
    assert refused.body["message"].endswith(f"use of {signer} signer with system:masters group is not allowed")
