"""What claims, classes and slices of devices have in common. Source: ``pkg/apis/resource/validation``."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import orjson

from picluster.api import names
from picluster.api.errors import (
    FieldError,
    duplicate,
    invalid_value,
    not_supported,
    required,
    too_long,
    too_many,
)
from picluster.api.types import Object
from picluster.api.validation.common import named
from picluster.api.validation.persistentvolume import csi_driver

Failures = list[FieldError]
Check = Callable[[Any, str, Failures], None]

LIST_MAX = 32
"""Requests, constraints, configurations and selectors of a claim or a class, and devices of an allocation."""
ALTERNATIVES_MAX = 8
TOLERATIONS_MAX = 16
EXPRESSION_MAX_BYTES = 10 * 1024
PARAMETERS_MAX_BYTES = 10 * 1024
POOL_NAME_MAX_BYTES = 253
ID_MAX_BYTES = 32
BINDING_CONDITIONS_MAX = 4
MODES = ("All", "ExactCount")
_ID = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_ID_ERROR = (
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters"
    " or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')"
)


def each(
    items: Sequence[Any], check: Check, path: str, failures: Failures, *,
    items_max: int = LIST_MAX, key: Callable[[Any], Hashable] | None = None,
) -> None:  # fmt: skip
    """Check every item of a list that is not too long, and that none comes twice (by ``key``)."""
    if len(items) > items_max:
        failures.append(too_many(path, len(items), items_max))
        return
    seen: set[Hashable] = set()
    for index, item in enumerate(items):
        check(item, f"{path}[{index}]", failures)
        if key is None:
            continue
        if (found := key(item)) in seen:
            failures.append(duplicate(f"{path}[{index}]", found))
        seen.add(found)


def label(value: str | None, path: str, failures: Failures) -> None:
    """A required DNS label: names of requests, devices, counters."""
    if not value:
        failures.append(required(path))
    else:
        named(names.dns1123_label(value), path, value, failures)


def driver(value: str | None, path: str, failures: Failures) -> None:
    if not value:
        failures.append(required(path))
    else:
        csi_driver(value, path, failures)


def pool(value: str | None, path: str, failures: Failures) -> None:
    if not value:
        failures.append(required(path))
        return
    if len(value) > POOL_NAME_MAX_BYTES:
        failures.append(too_long(path, POOL_NAME_MAX_BYTES))
    for part in value.split("/"):
        named(names.dns1123_subdomain(part), path, part, failures)


def qualified_name(value: str, path: str, failures: Failures, *, full: bool = False) -> None:
    """The name of an attribute or a capacity: ``id``, or ``domain/id``, which it is when it is ``full``."""
    domain, slash, name = value.rpartition("/")
    if domain.count("/"):
        failures.append(invalid_value(path, value, "must not contain more than one slash"))
        return
    if slash and not domain:
        failures.append(invalid_value(path, "", "the domain must not be empty"))
    elif slash:
        csi_driver(domain, path, failures)
    if slash and not name:
        failures.append(invalid_value(path, "", "the name must not be empty"))
        return
    if len(name) > ID_MAX_BYTES:
        failures.append(too_long(path, ID_MAX_BYTES))
    if not _ID.fullmatch(name):
        failures.append(invalid_value(path, name, _ID_ERROR))
    if full and not slash:
        detail = "a fully qualified name must be a domain and a name separated by a slash"
        failures.append(invalid_value(path, value, detail))


def uid(value: str, path: str, failures: Failures) -> None:
    try:
        well_formed = str(uuid.UUID(value)) == value
    except ValueError as error:
        failures.append(invalid_value(path, value, f"error validating uid: {error}"))
        return
    if not well_formed:
        detail = (
            "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase"
            " hexadecimal characters"
        )
        failures.append(invalid_value(path, value, detail))


def selector(item: Object, path: str, failures: Failures) -> None:
    cel = item.get("cel")
    if cel is None:
        failures.append(required(f"{path}.cel"))
        return
    expression = cel.get("expression") or ""
    if not expression:
        failures.append(required(f"{path}.cel.expression"))
    elif len(expression) > EXPRESSION_MAX_BYTES:
        failures.append(too_long(f"{path}.cel.expression", EXPRESSION_MAX_BYTES))
    else:
        from picluster.api.validation import devicecel

        if why := devicecel.objection(expression):
            failures.append(invalid_value(f"{path}.cel.expression", expression, why))


def configuration(item: Object, path: str, failures: Failures) -> None:
    """What a driver is told, opaque to everybody else."""
    opaque = item.get("opaque")
    if opaque is None:
        failures.append(required(f"{path}.opaque"))
        return
    driver(opaque.get("driver"), f"{path}.opaque.driver", failures)
    raw(opaque.get("parameters"), f"{path}.opaque.parameters", failures)


def raw(value: Any, path: str, failures: Failures) -> None:
    """A ``RawExtension`` that must be there."""
    if not value:
        failures.append(required(path))
    elif len(orjson.dumps(value)) > PARAMETERS_MAX_BYTES:
        failures.append(too_long(path, PARAMETERS_MAX_BYTES))


def toleration(item: Object, path: str, failures: Failures) -> None:
    key, operator, value, effect = (item.get(field) or "" for field in ("key", "operator", "value", "effect"))
    if key:
        named(names.qualified_name(key), f"{path}.key", key, failures)
    if operator == "Exists":
        if value:
            failures.append(invalid_value(f"{path}.value", value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        named(names.label_value(value), f"{path}.value", value, failures)
    elif operator:
        failures.append(not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    else:
        failures.append(required(f"{path}.operator"))
    if effect not in ("", "NoExecute", "NoSchedule"):
        failures.append(not_supported(f"{path}.effect", effect, ("NoExecute", "NoSchedule")))


def binding_conditions(item: Object, path: str, failures: Failures) -> None:
    conditions, failed = (item.get(field) or [] for field in ("bindingConditions", "bindingFailureConditions"))
    for field, listed in (("bindingConditions", conditions), ("bindingFailureConditions", failed)):
        each(listed, _condition, f"{path}.{field}", failures, items_max=BINDING_CONDITIONS_MAX, key=str)
    if conditions and not failed:
        detail = "bindingFailureConditions are required to use bindingConditions"
        failures.append(invalid_value(f"{path}.bindingFailureConditions", failed, detail))
    elif failed and not conditions:
        detail = "bindingConditions are required to use bindingFailureConditions"
        failures.append(invalid_value(f"{path}.bindingConditions", conditions, detail))
    for name in conditions:
        if name in failed:
            detail = "bindingFailureConditions must not overlap with bindingConditions"
            failures.append(invalid_value(f"{path}.bindingFailureConditions", name, detail))


def _condition(value: str, path: str, failures: Failures) -> None:
    named(names.qualified_name(value), path, value, failures)


def claim(devices: Object, path: str, failures: Failures) -> None:
    """``spec.devices`` of a claim."""
    known = request_names(devices)

    def constraint(item: Object, where: str, found: Failures) -> None:
        references(item, known, where, found)
        match_on, distinct = item.get("matchAttribute"), item.get("distinctAttribute")
        if match_on is not None and distinct is not None:
            detail = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
            found.append(invalid_value(where, item, detail))
        elif match_on is not None:
            qualified_name(match_on, f"{where}.matchAttribute", found, full=True)
        elif distinct is not None:
            qualified_name(distinct, f"{where}.distinctAttribute", found, full=True)
        else:
            found.append(required(where, 'exactly one of "matchAttribute" or "distinctAttribute" is required'))

    def config(item: Object, where: str, found: Failures) -> None:
        references(item, known, where, found)
        configuration(item, where, found)

    each(devices.get("requests") or [], _request, f"{path}.requests", failures, key=lambda item: item.get("name"))
    each(devices.get("constraints") or [], constraint, f"{path}.constraints", failures)
    each(devices.get("config") or [], config, f"{path}.config", failures)


def request_names(devices: Object) -> dict[str, frozenset[str]]:
    """The requests of a claim by name, with the names of their alternatives."""
    return {
        request.get("name", ""): frozenset(sub.get("name", "") for sub in request.get("firstAvailable") or ())
        for request in devices.get("requests") or ()
    }


def request_reference(value: str, known: dict[str, frozenset[str]], path: str, failures: Failures) -> None:
    """``request``, or ``request/alternative``."""
    detail = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
    parts = value.split("/")
    if len(parts) > 2:
        failures.append(invalid_value(path, value, detail))
        return
    for part in parts:
        label(part, path, failures)
    alternatives = known.get(parts[0])
    if alternatives is None or (len(parts) == 2 and parts[1] not in alternatives):
        failures.append(invalid_value(path, value, detail))


def references(item: Object, known: dict[str, frozenset[str]], path: str, failures: Failures) -> None:
    def check(name: str, where: str, found: Failures) -> None:
        request_reference(name, known, where, found)

    each(item.get("requests") or [], check, f"{path}.requests", failures, key=str)


def _request(item: Object, path: str, failures: Failures) -> None:
    label(item.get("name"), f"{path}.name", failures)
    exactly, alternatives = item.get("exactly"), item.get("firstAvailable")
    if exactly is None and not alternatives:
        failures.append(required(path, "exactly one of `exactly` or `firstAvailable` is required"))
    elif exactly is not None and alternatives:
        detail = "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"
        failures.append(invalid_value(path, None, detail))
    elif exactly is not None:
        _wanted(exactly, f"{path}.exactly", failures)
    else:
        where = f"{path}.firstAvailable"
        each(
            alternatives or [], _alternative, where, failures,
            items_max=ALTERNATIVES_MAX, key=lambda sub: sub.get("name"),
        )  # fmt: skip


def _alternative(item: Object, path: str, failures: Failures) -> None:
    label(item.get("name"), f"{path}.name", failures)
    _wanted(item, path, failures)


def _wanted(item: Object, path: str, failures: Failures) -> None:
    class_name, mode, count = item.get("deviceClassName"), item.get("allocationMode"), item.get("count", 0)
    if not class_name:
        failures.append(required(f"{path}.deviceClassName"))
    else:
        named(names.dns1123_subdomain(class_name), f"{path}.deviceClassName", class_name, failures)
    each(item.get("selectors") or [], selector, f"{path}.selectors", failures)
    if mode == "All":
        if count:
            detail = "must not be specified when allocationMode is 'All'"
            failures.append(invalid_value(f"{path}.count", count, detail))
    elif mode == "ExactCount":
        if count <= 0:
            failures.append(invalid_value(f"{path}.count", count, "must be greater than zero"))
    else:
        failures.append(not_supported(f"{path}.allocationMode", mode or "", MODES))
    where = f"{path}.tolerations"
    each(item.get("tolerations") or [], toleration, where, failures, items_max=TOLERATIONS_MAX)


def immutable_spec(new: Object, old: Object, failures: Failures) -> None:
    if new.get("spec") != old.get("spec"):
        failures.append(invalid_value("spec", new.get("spec"), "field is immutable"))
