"""PriorityLevelConfigurations. Source: ``pkg/apis/flowcontrol/validation``."""

from __future__ import annotations

import math

from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import flowcontrol, metadata
from picluster.api.validation.common import in_range

Failures = list[FieldError]

TYPES = ("Exempt", "Limited")
LIMIT_RESPONSES = ("Queue", "Reject")
QUEUES_MAX = 10_000_000
ENTROPY_MAX_BITS = 60
"""How many bits of a hash choose a hand of queues (``shufflesharding.MaxHashBits``)."""
_NOT_NEGATIVE = "must be a non-negative integer"


def validate(level: Object) -> Failures:
    failures: Failures = []
    metadata.validate(level["metadata"], failures, namespaced=False, name=metadata.subdomain)
    _spec(level, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _spec(new, failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    flowcontrol.conditions((new.get("status") or {}).get("conditions") or (), failures)
    return failures


def _spec(level: Object, failures: Failures) -> None:
    spec, name = level.get("spec") or {}, level["metadata"].get("name") or ""
    kind, limited, exempt = spec.get("type") or "", spec.get("limited"), spec.get("exempt")
    if (name == "exempt") != (kind == "Exempt"):
        detail = "type must be 'Exempt' if and only if `name` is 'exempt'"
        failures.append(invalid_value("spec.type", kind, detail))
    if kind == "Exempt":
        if limited is not None:
            failures.append(forbidden_field("spec.limited", "must be nil if the type is not Limited"))
        _shares(exempt or {}, "spec.exempt", failures)
    elif kind == "Limited":
        if exempt is not None:
            failures.append(forbidden_field("spec.exempt", "must be nil if the type is Limited"))
        if limited is None:
            failures.append(required("spec.limited", "must not be empty when type is Limited"))
        else:
            _limited(limited, "spec.limited", failures)
    else:
        failures.append(not_supported("spec.type", kind, TYPES))
    _mandatory(spec, name, failures)


def _mandatory(spec: Object, name: str, failures: Failures) -> None:
    fixed = flowcontrol.MANDATORY_PRIORITY_LEVELS.get(name)
    if fixed is None:
        return
    if name == "exempt":
        spec = {field: value for field, value in spec.items() if field != "exempt"}
        detail = f"spec of '{name}' except the spec.exempt fields must equal the fixed value"
    else:
        detail = f"spec of '{name}' must equal the fixed value"
    if spec != fixed:
        failures.append(invalid_value("spec", spec, detail))


def _shares(limits: Object, path: str, failures: Failures) -> None:
    shares, lendable = limits.get("nominalConcurrencyShares"), limits.get("lendablePercent")
    if shares is not None and shares < 0:
        failures.append(invalid_value(f"{path}.nominalConcurrencyShares", shares, _NOT_NEGATIVE))
    if lendable is not None:
        in_range(lendable, 0, 100, f"{path}.lendablePercent", failures)


def _limited(limited: Object, path: str, failures: Failures) -> None:
    _shares(limited, path, failures)
    borrowing = limited.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        detail = f"if specified, {_NOT_NEGATIVE}"
        failures.append(invalid_value(f"{path}.borrowingLimitPercent", borrowing, detail))
    response = limited.get("limitResponse") or {}
    kind, queuing, path = response.get("type") or "", response.get("queuing"), f"{path}.limitResponse"
    if kind not in LIMIT_RESPONSES:
        failures.append(not_supported(f"{path}.type", kind, LIMIT_RESPONSES))
    elif kind == "Reject":
        if queuing is not None:
            detail = "must be nil if limited.limitResponse.type is not Limited"
            failures.append(forbidden_field(f"{path}.queuing", detail))
    elif queuing is None:
        detail = "must not be empty if limited.limitResponse.type is Limited"
        failures.append(required(f"{path}.queuing", detail))
    else:
        _queuing(queuing, f"{path}.queuing", failures)


def _queuing(queuing: Object, path: str, failures: Failures) -> None:
    length, queues, hand = (queuing.get(field) or 0 for field in ("queueLengthLimit", "queues", "handSize"))
    if length <= 0:
        failures.append(invalid_value(f"{path}.queueLengthLimit", length, "must be positive"))
    if queues <= 0:
        failures.append(invalid_value(f"{path}.queues", queues, "must be positive"))
    elif queues > QUEUES_MAX:
        failures.append(invalid_value(f"{path}.queues", queues, f"must not be greater than {QUEUES_MAX}"))
    objection = ""
    if hand <= 0:
        objection = "must be positive"
    elif hand > queues:
        objection = f"should not be greater than queues ({queues})"
    elif math.ceil(math.log2(queues) * hand) > ENTROPY_MAX_BITS:
        objection = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than"
            f" {ENTROPY_MAX_BITS}"
        )
    if objection:
        failures.append(invalid_value(f"{path}.handSize", hand, objection))
