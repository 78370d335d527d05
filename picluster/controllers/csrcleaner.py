"""Old CertificateSigningRequests go: an hour after they were answered, a day after nobody did.

Source: ``pkg/controller/certificates/cleaner`` of Kubernetes. A certificate lives on without its request.
"""

from __future__ import annotations

import re
from base64 import b64decode

from picluster.api.errors import ApiError
from picluster.api.meta import parse_time
from picluster.api.resources import CERTIFICATE_SIGNING_REQUESTS
from picluster.api.types import Object
from picluster.controllers.shared.csr import conditions
from picluster.runtime import Controller, Manager

ANSWERED_S = 3600.0
PENDING_S = 24 * 3600.0
CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class CsrCleanerController(Controller):
    name = "certificatesigningrequest-cleaner-controller"
    workers = 1

    def setup(self, manager: Manager) -> None:
        self._requests = manager.informer(CERTIFICATE_SIGNING_REQUESTS)
        self._requests.add_handler(self.enqueue)

    async def reconcile(self, key: str) -> float | None:
        request = self._requests.get(key)
        if request is None:
            return None
        left_s = ends_s(request) - self.clock.now()
        if left_s > 0:
            return left_s
        try:
            await self.client.delete(CERTIFICATE_SIGNING_REQUESTS, key, uid=request["metadata"]["uid"])
        except ApiError as error:
            if error.code != 404:
                raise
        return None


def ends_s(request: Object) -> float:
    """When a request is to go, in seconds since the epoch."""
    metadata, status = request["metadata"], request.get("status") or {}
    created_s = parse_time(metadata["creationTimestamp"])
    answered = [each for each in status.get("conditions") or () if each.get("type") in ("Approved", "Denied", "Failed")]
    times_s = [parse_time(each["lastUpdateTime"]) for each in answered if each.get("lastUpdateTime")]
    waits = not (status.get("certificate") or {"Denied", "Failed"} & conditions(request))
    if waits or not times_s:
        return created_s + PENDING_S
    return min(min(times_s) + ANSWERED_S, _expires_s(status))


def _expires_s(status: Object) -> float:
    """When the certificate in ``status`` expires; never, where there is none."""
    match = CERTIFICATE.search(b64decode(status.get("certificate") or ""))
    if match is None:
        return float("inf")
    from cryptography import x509

    return x509.load_pem_x509_certificate(match.group(0)).not_valid_after_utc.timestamp()
