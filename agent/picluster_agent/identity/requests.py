"""Asking the API server for a certificate, and waiting for it."""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from collections.abc import Sequence

from picluster.api.errors import ApiError
from picluster.api.resources import CERTIFICATE_SIGNING_REQUESTS
from picluster.api.types import Object
from picluster.client import Client, TransportError
from picluster.util.backoff import Backoff
from picluster.util.clock import Clock

log = logging.getLogger(__name__)

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER = "kubernetes.io/kubelet-serving"
CLIENT_USAGES = ("digital signature", "client auth")
SERVING_USAGES = ("digital signature", "server auth")
WAIT_MIN_S, WAIT_MAX_S = 0.5, 15.0


class RefusedError(Exception):
    """The request was denied, has failed or is gone; the message says which."""


async def certificate(
    client: Client, clock: Clock, request: bytes, signer: str, usages: Sequence[str], timeout_s: float
) -> bytes:
    """The certificate (PEM) for a request (PEM).

    Raises ``RefusedError`` for a no, ``TimeoutError`` when nobody answered in time, ``ApiError`` when it may not be
    asked for.
    """
    body: Object = {
        "apiVersion": CERTIFICATE_SIGNING_REQUESTS.api_version,
        "kind": CERTIFICATE_SIGNING_REQUESTS.kind,
        "metadata": {"generateName": "csr-"},
        "spec": {"request": b64encode(request).decode(), "signerName": signer, "usages": list(usages)},
    }
    made = await client.create(CERTIFICATE_SIGNING_REQUESTS, body)
    name, end_s = made["metadata"]["name"], clock.monotonic() + timeout_s
    log.info("certificate request %s waits for approval and signature", name)
    pause = Backoff(WAIT_MIN_S, WAIT_MAX_S)
    while clock.monotonic() < end_s:
        if (found := await _answer(client, name)) is not None:
            return found
        await clock.sleep(min(pause.next_s(), max(0.0, end_s - clock.monotonic())))
    raise TimeoutError(f"certificate request {name} was not answered within {timeout_s:.0f} s")


async def _answer(client: Client, name: str) -> bytes | None:
    """The certificate, ``None`` while there is none; what fails on the way is tried again."""
    try:
        request = await client.get(CERTIFICATE_SIGNING_REQUESTS, name)
    except TransportError as error:
        log.warning("certificate request %s: %s", name, error)
        return None
    except ApiError as error:
        if error.code == 404:
            raise RefusedError(f"certificate request {name} is gone") from None
        raise
    status = request.get("status") or {}
    if status.get("certificate"):
        return b64decode(status["certificate"])
    for condition in status.get("conditions") or ():
        if condition["type"] in ("Denied", "Failed"):
            raise RefusedError(
                f"certificate request {name} {condition['type'].lower()}: {condition.get('message', '')}"
            )
    return None
