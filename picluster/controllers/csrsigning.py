"""Approved requests get their certificate, signed by the cluster's authority.

Source: ``pkg/controller/certificates/signer`` of Kubernetes: four signers, each with its own rules of what it signs.
What breaks them fails for good, with a condition that says why.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from picluster.api.resources import CERTIFICATE_SIGNING_REQUESTS
from picluster.api.types import Object
from picluster.controllers.shared.csr import conditions, key_of_pending
from picluster.runtime import Controller, Manager

if TYPE_CHECKING:
    from picluster.pki.authority import Authority

LIFETIME_S = 365 * 24 * 3600.0
LIFETIME_MIN_S = 600.0
SIGNERS = frozenset({
    "kubernetes.io/kube-apiserver-client",
    "kubernetes.io/kube-apiserver-client-kubelet",
    "kubernetes.io/kubelet-serving",
    "kubernetes.io/legacy-unknown",
})  # fmt: skip


class CsrSigningController(Controller):
    """``pki_dir`` holds the authority; its key is read when the first request is approved."""

    name = "certificatesigningrequest-signing-controller"
    workers = 1

    def __init__(self, pki_dir: Path) -> None:
        self._pki_dir = pki_dir
        self._authority: Authority | None = None

    def setup(self, manager: Manager) -> None:
        self._requests = manager.informer(CERTIFICATE_SIGNING_REQUESTS)
        self._requests.add_handler(self._on_request)

    def _on_request(self, old: Object | None, new: Object | None) -> None:
        if (key := key_of_pending(new)) is not None and new is not None and new["spec"].get("signerName") in SIGNERS:
            self.queue.add(key)

    async def reconcile(self, key: str) -> float | None:
        request = self._requests.get(key)
        if request is None or key_of_pending(request) is None:
            return None
        stands = conditions(request)
        if "Approved" not in stands or {"Denied", "Failed"} & stands:
            return None
        status = signed_status(request, self._loaded, self.clock.now())
        await self.client.update(CERTIFICATE_SIGNING_REQUESTS, {**request, "status": status}, subresource="status")
        return None

    def _loaded(self) -> Authority:
        if self._authority is None:
            from picluster.pki.bundle import load_authority

            self._authority = load_authority(self._pki_dir)
        return self._authority


def signed_status(request: Object, authority: Callable[[], Authority], now_s: float) -> Object:
    """The status of an approved request: with its certificate, or with the reason why there is none."""
    from picluster.pki import requests
    from picluster.pki.authority import certificate_pem
    from picluster.pki.files import PkiError

    spec, status = request["spec"], request.get("status") or {}
    usages = spec.get("usages") or ()
    try:
        asked = requests.parse(b64decode(spec["request"]))
        refusal = requests.refusal(spec["signerName"], requests.wish_of(asked), usages)
        if not refusal:
            seconds = spec.get("expirationSeconds")
            lifetime_s = LIFETIME_S if seconds is None else min(max(float(seconds), LIFETIME_MIN_S), LIFETIME_S)
            certificate = authority().sign_wish(asked, usages, now_s, lifetime_s)
            return {**status, "certificate": b64encode(certificate_pem(certificate)).decode()}
    except PkiError as error:
        refusal = str(error)
    failed = {"type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": refusal}
    return {**status, "conditions": [*(status.get("conditions") or ()), failed]}
