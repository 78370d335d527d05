"""LimitRanges. Source: ``ValidateLimitRange`` in ``pkg/apis/core/validation``."""

from __future__ import annotations

import math

from picluster.api import names, quantity
from picluster.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from picluster.api.types import Object
from picluster.api.validation import metadata, resource_lists
from picluster.api.validation.common import INT32_MAX

Failures = list[FieldError]

LIMIT_TYPES = ("Container", "PersistentVolumeClaim", "Pod")
_SIDES = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def validate(limitrange: Object) -> Failures:
    failures: Failures = []
    metadata.validate(limitrange["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _limits(limitrange, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _limits(new, failures)
    return failures


def _limits(limitrange: Object, failures: Failures) -> None:
    seen: set[str] = set()
    for index, item in enumerate((limitrange.get("spec") or {}).get("limits") or ()):
        path, kind = f"spec.limits[{index}]", item.get("type", "")
        _type(kind, f"{path}.type", failures)
        if kind in seen:
            failures.append(duplicate(f"{path}.type", kind))
        seen.add(kind)
        _item(item, kind, path, failures)


def _type(kind: str, path: str, failures: Failures) -> None:
    messages = names.qualified_name(kind)
    failures.extend(invalid_value(path, kind, message) for message in messages)
    if not messages and "/" not in kind and kind not in LIMIT_TYPES:
        failures.append(invalid_value(path, kind, "must be a standard limit type or fully qualified"))


def _item(item: Object, kind: str, path: str, failures: Failures) -> None:
    sides = {side: item.get(side) or {} for side in _SIDES}
    for side, amounts in sides.items():
        if kind == "Pod" and side in ("default", "defaultRequest"):
            if amounts:
                failures.append(forbidden_field(f"{path}.{side}", "may not be specified when `type` is 'Pod'"))
            sides[side] = {}
            continue
        for name in amounts:
            check = resource_lists.container_name if kind in ("Pod", "Container") else resource_lists.name
            check(name, f"{path}.{side}[{name}]", failures)
    if kind == "PersistentVolumeClaim" and "storage" not in sides["min"] and "storage" not in sides["max"]:
        detail = "either minimum or maximum storage value is required, but neither was provided"
        failures.append(required(f"{path}.limits", detail))
    for name in sorted({name for amounts in sides.values() for name in amounts}):
        _amounts(name, {side: amounts.get(name) for side, amounts in sides.items()}, path, failures)


def _amounts(name: str, sides: dict[str, str | None], path: str, failures: Failures) -> None:
    """Whether the amounts of one resource are in order: min, default request, default, max."""
    low, high, default = sides["min"], sides["max"], sides["default"]
    request, ratio = sides["defaultRequest"], sides["maxLimitRequestRatio"]
    for smaller, larger, where, shown, words in (
        (low, high, "min", low, "min value {} is greater than max value {}"),
        (low, request, "defaultRequest", request, "min value {} is greater than default request value {}"),
        (request, high, "defaultRequest", request, "default request value {} is greater than max value {}"),
        (
            request,
            default,
            "defaultRequest",
            request,
            "default request value {} is greater than default limit value {}",
        ),
        (low, default, "default", low, "min value {} is greater than default value {}"),
        (default, high, "default", high, "default value {} is greater than max value {}"),
    ):
        if smaller is not None and larger is not None and quantity.nanos(smaller) > quantity.nanos(larger):
            failures.append(invalid_value(f"{path}.{where}[{name}]", shown, words.format(smaller, larger)))
    if ratio is not None:
        _ratio(ratio, low, high, f"{path}.maxLimitRequestRatio[{name}]", failures)
    if not resource_lists.may_overcommit(name) and None not in (default, request) and default != request:
        detail = f"default value {default} must equal to defaultRequest value {request} in {name}"
        failures.append(invalid_value(f"{path}.defaultRequest[{name}]", request, detail))


def _ratio(ratio: str, low: str | None, high: str | None, path: str, failures: Failures) -> None:
    if quantity.nanos(ratio) < quantity.NANO:
        failures.append(invalid_value(path, ratio, f"ratio {ratio} is less than 1"))
    if low is None or high is None:
        return
    ratio_value, low_value, high_value = (float(quantity.value(amount)) for amount in (ratio, low, high))
    if max(ratio_value, low_value, high_value) < INT32_MAX:
        ratio_value = quantity.milli(ratio) / 1000
        low_value, high_value = float(quantity.milli(low)), float(quantity.milli(high))
    largest = high_value / low_value if low_value else math.inf
    if ratio_value > largest:
        failures.append(invalid_value(path, ratio, f"ratio {ratio} is greater than max/min = {largest:f}"))
