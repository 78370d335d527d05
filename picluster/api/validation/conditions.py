"""``metav1.Condition`` lists. Source: ``k8s.io/apimachinery/pkg/apis/meta/v1/validation``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from picluster.api import names
from picluster.api.errors import FieldError, duplicate, invalid_value, not_supported, required, too_long
from picluster.api.types import Object
from picluster.api.validation.common import named

Failures = list[FieldError]

STATUSES = ("False", "True", "Unknown")
REASON_MAX_BYTES = 1024
MESSAGE_MAX_BYTES = 32 * 1024
_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_REASON_RE = re.compile(_REASON)
_REASON_ERROR = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric"
    " characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or"
    f" 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '{_REASON}')"
)


def conditions(found: Iterable[Object], path: str, failures: Failures) -> None:
    seen: set[str] = set()
    for index, condition in enumerate(found):
        kind = condition.get("type") or ""
        if kind in seen:
            failures.append(duplicate(f"{path}[{index}].type", kind))
        seen.add(kind)
        _condition(condition, f"{path}[{index}]", failures)


def _condition(condition: Object, path: str, failures: Failures) -> None:
    kind, status = condition.get("type") or "", condition.get("status") or ""
    reason, message = condition.get("reason") or "", condition.get("message") or ""
    if not kind:
        failures.append(required(f"{path}.type", "must be set"))
    else:
        named(names.qualified_name(kind), f"{path}.type", kind, failures)
    if status not in STATUSES:
        failures.append(not_supported(f"{path}.status", status, STATUSES))
    generation = condition.get("observedGeneration") or 0
    if generation < 0:
        detail = "must be greater than or equal to zero"
        failures.append(invalid_value(f"{path}.observedGeneration", generation, detail))
    if not condition.get("lastTransitionTime"):
        failures.append(required(f"{path}.lastTransitionTime", "must be set"))
    if not reason:
        failures.append(required(f"{path}.reason", "must be set"))
    elif not _REASON_RE.fullmatch(reason):
        failures.append(invalid_value(f"{path}.reason", reason, _REASON_ERROR))
    if len(reason.encode()) > REASON_MAX_BYTES:
        failures.append(too_long(f"{path}.reason", REASON_MAX_BYTES))
    if len(message.encode()) > MESSAGE_MAX_BYTES:
        failures.append(too_long(f"{path}.message", MESSAGE_MAX_BYTES))
