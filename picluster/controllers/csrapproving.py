"""Requests of nodes for their own identity are approved by themselves, if whoever asks may ask for that.

Source: ``pkg/controller/certificates/approver`` of Kubernetes. A board that joins asks with a bootstrap token
(``nodeclient``), a node that renews asks as itself (``selfnodeclient``); a SubjectAccessReview decides. A node's
serving certificate is never approved here: an administrator knows its addresses, this controller does not.
"""

from __future__ import annotations

from base64 import b64decode

from picluster.api.resources import CERTIFICATE_SIGNING_REQUESTS, SUBJECT_ACCESS_REVIEWS
from picluster.api.types import Object
from picluster.controllers.shared.csr import conditions, key_of_pending
from picluster.runtime import Controller, Manager, Requeue

KUBELET_CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
MESSAGES = {
    "selfnodeclient": "Auto approving self kubelet client certificate after SubjectAccessReview.",
    "nodeclient": "Auto approving kubelet client certificate after SubjectAccessReview.",
}


class CsrApprovingController(Controller):
    name = "certificatesigningrequest-approving-controller"
    workers = 1

    def setup(self, manager: Manager) -> None:
        self._requests = manager.informer(CERTIFICATE_SIGNING_REQUESTS)
        self._requests.add_handler(self._on_request)

    def _on_request(self, old: Object | None, new: Object | None) -> None:
        if (key := key_of_pending(new)) is not None:
            self.queue.add(key)

    async def reconcile(self, key: str) -> float | None:
        request = self._requests.get(key)
        if request is None or key_of_pending(request) is None or {"Approved", "Denied"} & conditions(request):
            return None
        asked = recognized(request)
        for subresource in asked:
            if await self._may(request["spec"], subresource):
                await self._approve(request, MESSAGES[subresource])
                return None
        if asked:
            raise Requeue(f"recognized csr {key} as {asked} but subject access review was not approved")
        return None

    async def _may(self, spec: Object, subresource: str) -> bool:
        attributes = {
            "group": "certificates.k8s.io",
            "version": "*",
            "resource": "certificatesigningrequests",
            "subresource": subresource,
            "verb": "create",
        }
        who = {name: spec[of] for name, of in _WHO.items() if spec.get(of)}
        body: Object = {"metadata": {}, "spec": {**who, "resourceAttributes": attributes}}
        answer = await self.client.create(SUBJECT_ACCESS_REVIEWS, body)
        return bool((answer.get("status") or {}).get("allowed"))

    async def _approve(self, request: Object, message: str) -> None:
        approved = {"type": "Approved", "status": "True", "reason": "AutoApproved", "message": message}
        status = request.get("status") or {}
        status = {**status, "conditions": [*(status.get("conditions") or ()), approved]}
        await self.client.update(CERTIFICATE_SIGNING_REQUESTS, {**request, "status": status}, subresource="approval")


_WHO = {"user": "username", "uid": "uid", "groups": "groups", "extra": "extra"}


def recognized(request: Object) -> list[str]:
    """Which of the two kinds of request this is, the narrower first; none for everything else."""
    from picluster.pki import requests
    from picluster.pki.files import PkiError

    spec = request["spec"]
    if spec.get("signerName") != KUBELET_CLIENT_SIGNER:
        return []
    try:
        wish = requests.wish_of(requests.parse(b64decode(spec["request"])))
    except (PkiError, ValueError):
        return []
    if requests.kubelet_client_refusal(wish, spec.get("usages") or ()):
        return []
    return ["selfnodeclient", "nodeclient"] if spec.get("username") == wish.common_name else ["nodeclient"]
