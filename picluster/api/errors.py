"""API failures as values: ``ApiError`` carries a ``Status`` body, ``FieldError`` one line of an Invalid one.

Reasons, codes and wording follow the API conventions ("Response Status Kind") and apimachinery's ``api/errors`` and
``util/validation/field``, because clients match on them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any

from picluster.api.types import Object


class ApiError(Exception):
    """A refusal with everything a ``Status`` needs; the API server renders it, the client raises it again.

    ``warnings`` are what the client is told beside it.
    """

    warnings: Sequence[str] = ()

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> Object:
        """The ``v1.Status`` body of this error."""
        status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            **({"reason": self.reason} if self.reason else {}),
            "code": self.code,
        }
        if self.details:
            status["details"] = self.details
        return status

    @classmethod
    def from_status(cls, status: Object, code: int) -> ApiError:
        """The error that ``status`` describes; ``code`` is the HTTP status, for bodies that carry none."""
        return cls(
            int(status.get("code") or code),
            str(status.get("reason") or ""),
            str(status.get("message") or f"the server answered {code}"),
            status.get("details"),
        )


@dataclass(frozen=True, slots=True)
class FieldError:
    """One invalid field: ``reason`` is a CauseType (``FieldValueInvalid``), ``field`` a path (``spec.ports[0]``)."""

    reason: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def _quoted(value: Any) -> str:
    if isinstance(value, bool | int | float | str):
        return json.dumps(value, ensure_ascii=False)
    if value is None:
        return '"null"'  # quoted, as ``field.Error`` has it
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def invalid_value(field: str, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueInvalid", field, f"Invalid value: {_quoted(value)}: {detail}")


def required(field: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", field, f"Required value: {detail}" if detail else "Required value")


def duplicate(field: str, value: Any) -> FieldError:
    return FieldError("FieldValueDuplicate", field, f"Duplicate value: {_quoted(value)}")


def not_supported(field: str, value: Any, supported: Iterable[str]) -> FieldError:
    """``supported`` is listed in its own order; a set is sorted."""
    choices = ", ".join(map(_quoted, sorted(supported) if isinstance(supported, Set) else supported))
    return FieldError(
        "FieldValueNotSupported", field, f"Unsupported value: {_quoted(value)}: supported values: {choices}"
    )


def not_found_value(field: str, value: Any) -> FieldError:
    return FieldError("FieldValueNotFound", field, f"Not found: {_quoted(value)}")


def forbidden_field(field: str, detail: str) -> FieldError:
    return FieldError("FieldValueForbidden", field, f"Forbidden: {detail}")


def too_long(field: str, max_bytes: int) -> FieldError:
    return FieldError("FieldValueTooLong", field, f"Too long: may not be more than {max_bytes} bytes")


def too_many(field: str, actual: int, max_items: int) -> FieldError:
    return FieldError("FieldValueTooMany", field, f"Too many: {actual}: must have at most {max_items} items")


def type_invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueTypeInvalid", field, f"Invalid value: {_quoted(value)}: {detail}")


def _qualified(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def _details(group: str, kind: str, name: str = "") -> Object:
    details: Object = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    details["kind"] = kind
    return details


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(group: str, plural: str, name: str, why: str) -> ApiError:
    target = f'{_qualified(plural, group)} "{name}"' if name else _qualified(plural, group)
    return ApiError(403, "Forbidden", f"{target} is forbidden: {why}", _details(group, plural, name))


def not_found(group: str, plural: str, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{_qualified(plural, group)} "{name}" not found', _details(group, plural, name))


def path_not_found() -> ApiError:
    """What a path outside every API answers."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_supported(group: str, plural: str, verb: str) -> ApiError:
    return ApiError(
        405,
        "MethodNotAllowed",
        f'{verb} is not supported on resources of kind "{_qualified(plural, group)}"',
        _details(group, plural),
    )


def not_acceptable(accepted: Sequence[str]) -> ApiError:
    return ApiError(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(accepted)}")


def already_exists(group: str, plural: str, name: str) -> ApiError:
    return ApiError(
        409, "AlreadyExists", f'{_qualified(plural, group)} "{name}" already exists', _details(group, plural, name)
    )


OPTIMISTIC_LOCK = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(group: str, plural: str, name: str, why: str = OPTIMISTIC_LOCK) -> ApiError:
    return ApiError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {_qualified(plural, group)} "{name}": {why}',
        _details(group, plural, name),
    )


def expired(message: str) -> ApiError:
    """410: the resourceVersion or continue token is older than the history; the client lists again."""
    return ApiError(410, "Expired", message)


def request_too_large(limit_bytes: int) -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit_bytes}")


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    return ApiError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted),
    )


def invalid(group: str, kind: str, name: str, failures: Sequence[FieldError]) -> ApiError:
    """422 with one cause per failing field; ``kind`` is the object's kind, as apimachinery has it."""
    listed = [str(failure) for failure in failures]
    summary = listed[0] if len(listed) == 1 else "[" + ", ".join(listed) + "]"
    details = _details(group, kind, name)
    details["causes"] = [
        {"reason": failure.reason, "message": failure.message, "field": failure.field} for failure in failures
    ]
    kind_name = f"{kind}.{group}" if group else kind
    return ApiError(422, "Invalid", f'{kind_name} "{name}" is invalid: {summary}', details)


def too_many_requests(message: str, retry_after_s: int) -> ApiError:
    return ApiError(429, "TooManyRequests", message, {"retryAfterSeconds": retry_after_s})


def internal(message: str) -> ApiError:
    return ApiError(500, "InternalError", f"Internal error occurred: {message}")


def unavailable(message: str, retry_after_s: int = 1) -> ApiError:
    return ApiError(503, "ServiceUnavailable", message, {"retryAfterSeconds": retry_after_s})


def timeout(message: str, retry_after_s: int = 0) -> ApiError:
    return ApiError(
        504, "Timeout", f"Timeout: {message}", {"retryAfterSeconds": retry_after_s} if retry_after_s else None
    )
