"""How the API server answers a patch that it cannot apply."""

from __future__ import annotations

from typing import Any

from picluster.api.errors import ApiError

GO_MAP = "map[string]interface {}"
_MESSAGE = "the server rejected our request due to an error in our request"


class Mismatch(ApiError):
    """A ``test`` operation whose value is another: the patch was not meant for this document."""

    def __init__(self, why: str) -> None:
        refusal = rejected(why)
        super().__init__(refusal.code, refusal.reason, refusal.message, refusal.details)


def of_wrong_type(patch: Any, wanted: str) -> str:
    """How Go's reader says that a patch is no such thing."""
    found = {dict: "object", list: "array", str: "string", bool: "bool"}.get(type(patch), "number")
    return f"json: cannot unmarshal {found} into Go value of type {wanted}"


def rejected(why: str) -> ApiError:
    """422: a well-formed patch does not fit the document; the cause says why, which is what ``kubectl`` shows."""
    causes = [{"reason": "UnexpectedServerResponse", "message": why}]
    return ApiError(422, "Invalid", _MESSAGE, {"causes": causes})
