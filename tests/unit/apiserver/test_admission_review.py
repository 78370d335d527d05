"""How the answer of an admission webhook is read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from picluster.api.errors import ApiError
from picluster.apiserver.admission.webhooks import review
from picluster.apiserver.admission.webhooks.review import InvalidResponse

V1 = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}


def answer(**response: Any) -> dict[str, Any]:
    return {**V1, "response": {"uid": "1", "allowed": True, **response}}


def encoded(patch: Any) -> str:
    return base64.b64encode(json.dumps(patch).encode()).decode()


@pytest.mark.parametrize(
    ("said", "mutating", "why"),
    [
        (None, True, "webhook response was absent"),
        ([], True, "webhook response was absent"),
        (V1, True, "webhook response was absent"),
        (answer(uid="2"), True, 'expected response.uid="1", got "2"'),
        (
            {"response": {"uid": "1"}},
            True,
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind=",
        ),
        (answer(patch="W10="), True, "webhook returned response.patch but not response.patchType"),
        (answer(patchType="JSONPatch"), True, "webhook returned response.patchType but not response.patch"),
        (answer(patch="W10=", patchType=""), True, 'webhook returned invalid response.patchType of ""'),
        (answer(patch="W10=", patchType="Merge"), True, 'unsupported patch type "Merge"'),
        (answer(patch="W10="), False, "validating webhook may not return response.patch"),
        (answer(patchType="JSONPatch"), False, "validating webhook may not return response.patchType"),
    ],
)
def test_what_is_no_answer(said: Any, mutating: bool, why: str) -> None:
    with pytest.raises(InvalidResponse) as invalid:
        review.read("v1", "1", said, mutating=mutating)
    assert str(invalid.value) == why


def test_what_an_answer_says() -> None:
    patch = [{"op": "add", "path": "/x", "value": 1}]
    said = answer(patch=encoded(patch), patchType="JSONPatch", warnings=["a"], auditAnnotations={"k": "v"})
    read = review.read("v1", "1", said, mutating=True)
    assert (read.allowed, read.patch, read.warnings, read.annotations) == (True, patch, ["a"], {"k": "v"})
    assert review.read("v1", "1", answer(allowed="yes"), mutating=False).allowed is False


def test_the_old_review_is_read_leniently() -> None:
    read = review.read(
        "v1beta1", "1", {"response": {"allowed": True, "patch": encoded([{"op": "test"}])}}, mutating=True
    )
    assert read.patch == [{"op": "test"}]


@pytest.mark.parametrize("patch", ["!", base64.b64encode(b"{").decode(), encoded({}), 7])
def test_a_patch_that_is_none(patch: Any) -> None:
    with pytest.raises(ApiError) as refused:
        review.read("v1", "1", answer(patch=patch, patchType="JSONPatch"), mutating=True)
    assert refused.value.code == 500


def test_the_version_is_the_first_that_both_know() -> None:
    assert review.version_of(("v2", "v1beta1", "v1")) == "v1beta1"
    with pytest.raises(InvalidResponse, match="does not accept known AdmissionReview versions"):
        review.version_of(("v2",))


@pytest.mark.parametrize(
    ("status", "code", "reason", "message"),
    [
        (None, 400, "", 'admission webhook "w" denied the request without explanation'),
        ({"message": "m", "reason": "R"}, 400, "R", 'admission webhook "w" denied the request: m'),
        ({"reason": "R", "code": 409}, 409, "R", 'admission webhook "w" denied the request: R'),
        ({"code": 200}, 400, "", 'admission webhook "w" denied the request without explanation'),
        ({"code": "403"}, 400, "", 'admission webhook "w" denied the request without explanation'),
    ],
)
def test_a_refusal(status: Any, code: int, reason: str, message: str) -> None:
    error = review.rejection("w", status)
    assert (error.code, error.reason, error.message) == (code, reason, message)
