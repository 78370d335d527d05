"""What a webhook is asked, and how its answer is read. PURE.

Sources: ``webhook/request`` (``VerifyAdmissionResponse``) and ``webhook/errors`` (``ToStatusErr``).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from picluster.api import errors
from picluster.api.types import Object
from picluster.apiserver.admission.figures import Rejection

GROUP = "admission.k8s.io"
VERSIONS = ("v1", "v1beta1")
JSON_PATCH = "JSONPatch"
CODE_MAX = 999
"""HTTP has no longer ones."""


class InvalidResponse(Exception):
    """An answer that is no AdmissionReview for the question; the message says what is wrong."""


@dataclass(slots=True)
class Response:
    """``patch`` is a decoded JSON patch, empty for none; ``status`` explains a refusal."""

    allowed: bool
    status: Object | None = None
    patch: list[Any] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)


def version_of(accepted: Sequence[str]) -> str:
    """The first version of AdmissionReview that the webhook accepts and we speak; raises ``InvalidResponse``."""
    for version in accepted:
        if version in VERSIONS:
            return version
    raise InvalidResponse("webhook does not accept known AdmissionReview versions (v1, v1beta1)")


def review(version: str, request: Object) -> Object:
    return {"kind": "AdmissionReview", "apiVersion": f"{GROUP}/{version}", "request": request}


def read(version: str, uid: str, answer: Any, *, mutating: bool) -> Response:
    """The response in an answer to a review of ``version``; raises ``InvalidResponse``."""
    response = answer.get("response") if isinstance(answer, dict) else None
    if not isinstance(response, dict):
        raise InvalidResponse("webhook response was absent")
    if version == "v1":
        _check_identity(uid, answer, response)
    kind, encoded = response.get("patchType"), response.get("patch") or ""
    if version == "v1":
        _check_patch(kind, encoded, mutating)
    result = response.get("status")
    return Response(
        allowed=response.get("allowed") is True,
        status=result if isinstance(result, dict) else None,
        patch=_patch(kind or JSON_PATCH, encoded) if mutating else [],
        warnings=[str(warning) for warning in response.get("warnings") or ()],
        annotations={str(key): str(value) for key, value in (response.get("auditAnnotations") or {}).items()},
    )


def rejection(webhook: str, result: Object | None) -> errors.ApiError:
    """The refusal that a webhook's ``status`` asks for: its code, reason and details, and who refused."""
    status = dict(result or {})
    code = status.get("code")
    if not isinstance(code, int) or not 400 <= code <= CODE_MAX:
        status["code"] = 400
    denied = f'admission webhook "{webhook}" denied the request'
    why = status.get("message") or status.get("reason")
    status["message"] = f"{denied}: {why}" if why else f"{denied} without explanation"
    return Rejection.from_status(status, 400)


def _check_identity(uid: str, answer: Object, response: Object) -> None:
    if response.get("uid") != uid:
        raise InvalidResponse(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    if (answer.get("apiVersion"), answer.get("kind")) != (f"{GROUP}/v1", "AdmissionReview"):
        got = f"{answer.get('apiVersion') or '/'}, Kind={answer.get('kind', '')}"
        raise InvalidResponse(f"expected webhook response of {GROUP}/v1, Kind=AdmissionReview, got {got}")


def _check_patch(kind: Any, encoded: Any, mutating: bool) -> None:
    if not mutating:
        if encoded:
            raise InvalidResponse("validating webhook may not return response.patch")
        if kind is not None:
            raise InvalidResponse("validating webhook may not return response.patchType")
        return
    if encoded and kind is None:
        raise InvalidResponse("webhook returned response.patch but not response.patchType")
    if not encoded and kind is not None:
        raise InvalidResponse("webhook returned response.patchType but not response.patch")
    if encoded and not kind:
        raise InvalidResponse('webhook returned invalid response.patchType of ""')


def _patch(kind: Any, encoded: Any) -> list[Any]:
    if not encoded:
        return []
    if kind != JSON_PATCH:
        raise InvalidResponse(f'unsupported patch type "{kind}"')
    try:
        patch = orjson.loads(base64.b64decode(encoded, validate=True))
    except (binascii.Error, TypeError, ValueError) as error:
        raise errors.internal(f"the patch cannot be decoded: {error}") from None
    if not isinstance(patch, list):
        raise errors.internal("the patch is not a list of operations")
    return patch
