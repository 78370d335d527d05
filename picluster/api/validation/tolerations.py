"""Tolerations and the effects of taints."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation.common import named

Failures = list[FieldError]

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OPERATORS = ("Equal", "Exists")


def taint_effect(effect: str, path: str, failures: Failures) -> None:
    if not effect:
        failures.append(required(path))
    elif effect not in EFFECTS:
        failures.append(not_supported(path, effect, EFFECTS))


def validate(tolerations: list[Object], path: str, failures: Failures) -> None:
    for index, toleration in enumerate(tolerations):
        get = toleration.get
        key, operator, effect = get("key"), get("operator"), get("effect")
        where = f"{path}[{index}]"
        if key:
            named(names.qualified_name(key), f"{where}.key", key, failures)
        elif operator != "Exists":
            detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            failures.append(invalid_value(f"{where}.operator", operator or "", detail))
        if get("tolerationSeconds") is not None and effect != "NoExecute":
            detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            failures.append(invalid_value(f"{where}.effect", effect or "", detail))
        _value(operator, get("value") or "", f"{where}.operator", failures)
        if effect and effect not in EFFECTS:
            failures.append(not_supported(f"{where}.effect", effect, EFFECTS))


def only_added(new: list[Object], old: list[Object], path: str, failures: Failures) -> None:
    """A pod's tolerations may grow, and their ``tolerationSeconds`` may change."""
    if new == old:
        return
    kept = [_without_seconds(toleration) for toleration in new]
    if any(_without_seconds(toleration) not in kept for toleration in old):
        detail = "existing toleration can not be modified except its tolerationSeconds"
        failures.append(forbidden_field(path, detail))


def _value(operator: str | None, value: str, path: str, failures: Failures) -> None:
    if operator in (None, "", "Equal"):
        if messages := names.label_value(value):
            failures.append(invalid_value(path, value, ";".join(messages)))
    elif operator == "Exists":
        if value:
            failures.append(invalid_value(path, value, "value must be empty when `operator` is 'Exists'"))
    else:
        failures.append(not_supported(path, operator, _OPERATORS))


def _without_seconds(toleration: Object) -> Object:
    return {field: value for field, value in toleration.items() if field != "tolerationSeconds"}
