"""Capacities of devices that several claims share: which amounts can be asked for (KEP-5075)."""

from __future__ import annotations

from picluster.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required, too_many
from picluster.api.quantity import nanos
from picluster.api.types import Object

Failures = list[FieldError]

OPTIONS_MAX = 10
_NOT_VALID = "default value is not valid according to the requestPolicy"


def validate(capacity: Object, shared: bool, path: str, failures: Failures) -> None:
    """``shared`` says whether the device can be allocated to several claims at once."""
    policy, where = capacity.get("requestPolicy"), f"{path}.requestPolicy"
    if policy is None:
        return
    if not shared:
        failures.append(forbidden_field(where, "allowMultipleAllocations must be true"))
        return
    whole = capacity.get("value", "0")
    default, options, span = policy.get("default"), policy.get("validValues") or [], policy.get("validRange")
    if options and span is not None:
        detail = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        failures.append(forbidden_field(where, detail))
    elif options and default is None:
        failures.append(required(f"{where}.default", "required when validValues is defined"))
    elif options:
        _options(options, default, whole, f"{where}.validValues", failures)
    elif span is not None and default is None:
        failures.append(required(f"{where}.default", "required when validRange is defined"))
    elif span is not None:
        _range(span, default, whole, f"{where}.validRange", failures)


def _options(options: list[str], default: str, whole: str, path: str, failures: Failures) -> None:
    amounts = [nanos(option) for option in options]
    for index, amount in enumerate(amounts[1:], 1):
        if amounts[index - 1] > amount:
            detail = "values must be sorted in ascending order"
            failures.append(invalid_value(f"{path}[{index}]", options[index], detail))
    if len(options) > OPTIONS_MAX:
        failures.append(too_many(path, len(options), OPTIONS_MAX))
        return
    for index, amount in enumerate(amounts):
        if amount > nanos(whole):
            detail = f"option is larger than capacity value: {whole}"
            failures.append(invalid_value(f"{path}[{index}]", options[index], detail))
        if amount in amounts[:index]:
            failures.append(duplicate(f"{path}[{index}]", options[index]))
    if nanos(default) not in amounts:
        failures.append(invalid_value(path, default, _NOT_VALID))


def _range(span: Object, default: str, whole: str, path: str, failures: Failures) -> None:
    low, high, step = span.get("min"), span.get("max"), span.get("step")
    if low is None:
        failures.append(required(f"{path}.min", "required when validRange is defined"))
        return
    for larger, smaller, field, shown, words in (
        (low, whole, "min", low, "min is larger than capacity value: {}"),
        (low, default, "default", default, "default is less than min: {}"),
        (low, high, "max", low, "min is larger than max: {}"),
        (high, whole, "max", high, "max is larger than capacity value: {}"),
        (default, high, "default", default, "default is more than max: {}"),
    ):
        if larger is not None and smaller is not None and nanos(larger) > nanos(smaller):
            bound = low if words.startswith("default is less") else smaller
            failures.append(invalid_value(f"{path}.{field}", shown, words.format(bound)))
    if step is not None:
        _step(step, low, [amount for amount in (default, high) if amount is not None], whole, path, failures)


def _step(step: str, low: str, amounts: list[str], whole: str, path: str, failures: Failures) -> None:
    where, size = f"{path}.step", nanos(step)
    if size <= 0:
        failures.append(invalid_value(where, step, "must be greater than zero"))
        return
    if nanos(low) + size > nanos(whole):
        detail = f"one step from {low} is larger than capacity value: {whole}"
        failures.append(invalid_value(where, step, detail))
    for amount in amounts:
        if (nanos(amount) - nanos(low)) % size:
            detail = f"value is not a multiple of a given step ({step}) from ({low})"
            failures.append(invalid_value(where, amount, detail))
