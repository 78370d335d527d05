"""Checks that many kinds share: numbers, addresses, names, selectors."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from picluster.api import names
from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import metadata

Failures = list[FieldError]

INT32_MAX = 2**31 - 1
PROTOCOLS = ("SCTP", "TCP", "UDP")
NOT_NEGATIVE = "must be greater than or equal to 0"

_PERCENT_RE = re.compile("[0-9]+%")
_PERCENT_ERROR = (
    "a valid percent string must be a numeric string followed by an ending '%'"
    " (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)
_IP_ERROR = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_CIDR_ERROR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def named(messages: Iterable[str], path: str, value: Any, failures: Failures) -> None:
    """One failure at ``path`` for each objection to ``value``."""
    for message in messages:
        failures.append(invalid_value(path, value, message))


def not_negative(obj: Object, field: str, path: str, failures: Failures) -> None:
    value = obj.get(field)
    if value is not None and value < 0:
        failures.append(invalid_value(f"{path}.{field}", value, NOT_NEGATIVE))


def one_of(value: str | None, choices: Iterable[str], path: str, failures: Failures) -> None:
    """``value`` is required, and one of ``choices``, which are told in their order."""
    if not value:
        failures.append(required(path))
    elif value not in choices:
        failures.append(not_supported(path, value, choices))


def in_range(value: int, low: int, high: int, path: str, failures: Failures) -> None:
    if not low <= value <= high:
        failures.append(invalid_value(path, value, f"must be between {low} and {high}, inclusive"))


def port_number(value: int, path: str, failures: Failures) -> None:
    if not 1 <= value <= 65535:
        failures.append(invalid_value(path, value, "must be between 1 and 65535, inclusive"))


def port_number_or_name(value: int | str, path: str, failures: Failures) -> None:
    if isinstance(value, str):
        named(names.port_name(value), path, value, failures)
    else:
        port_number(value, path, failures)


def count_or_percent(value: int | str, path: str, failures: Failures) -> None:
    """A number not below 0 or a percentage."""
    if isinstance(value, str):
        if not _PERCENT_RE.fullmatch(value):
            failures.append(invalid_value(path, value, _PERCENT_ERROR))
    elif value < 0:
        failures.append(invalid_value(path, value, NOT_NEGATIVE))


def percent(value: int | str) -> int | None:
    """The number of a percentage, or ``None`` for everything else."""
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdecimal():
        return int(value[:-1])
    return None


def is_zero(value: int | str) -> bool:
    return value == 0 or percent(value) == 0


def at_most_100_percent(value: int | str, path: str, failures: Failures) -> None:
    if (percent(value) or 0) > 100:
        failures.append(invalid_value(path, value, "must not be greater than 100%"))


@lru_cache(maxsize=16384)
def parse_ip(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text) if "%" not in text else None
    except ValueError:
        return None


def ip(text: str, path: str, failures: Failures) -> None:
    if parse_ip(text) is None:
        failures.append(invalid_value(path, text, _IP_ERROR))


def cidr(text: str, path: str, failures: Failures) -> None:
    address, slash, bits = text.partition("/")
    parsed = parse_ip(address)
    if parsed is None or not slash or not bits.isdecimal() or int(bits) > parsed.max_prefixlen:
        failures.append(invalid_value(path, text, _CIDR_ERROR))


def not_special_ip(text: str, path: str, failures: Failures) -> None:
    """Endpoints and external addresses must be reachable from elsewhere."""
    address = parse_ip(text)
    if address is None:
        failures.append(invalid_value(path, text, "must be a valid IP address"))
        return
    if address.is_unspecified:
        failures.append(invalid_value(path, text, f"may not be unspecified ({address})"))
    if address.is_loopback:
        failures.append(invalid_value(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if address.is_link_local:
        failures.append(invalid_value(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
    if address.is_multicast and text.startswith(("224.0.0.", "ff02:")):
        detail = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        failures.append(invalid_value(path, text, detail))


def label_selector(selector: Object, path: str, failures: Failures, *, values: bool = True) -> None:
    """A ``metav1.LabelSelector``; ``values`` says whether label values in expressions are checked too."""
    if labels := selector.get("matchLabels"):
        metadata.check_labels(labels, f"{path}.matchLabels", failures)
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{index}]"
        operator, listed = expression.get("operator", ""), expression.get("values") or ()
        if operator in ("In", "NotIn"):
            if not listed:
                detail = "must be specified when `operator` is 'In' or 'NotIn'"
                failures.append(required(f"{where}.values", detail))
        elif operator in ("Exists", "DoesNotExist"):
            if listed:
                detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                failures.append(forbidden_field(f"{where}.values", detail))
        else:
            failures.append(invalid_value(f"{where}.operator", operator, "not a valid selector operator"))
        key = expression.get("key", "")
        named(names.qualified_name(key), f"{where}.key", key, failures)
        if values:
            for place, value in enumerate(listed):
                named(names.label_value(value), f"{where}.values[{place}]", value, failures)


def mode(value: int | None, path: str, failures: Failures) -> None:
    if value is not None and not 0 <= value <= 0o777:
        failures.append(invalid_value(path, value, "must be a number between 0 and 0777 (octal), both inclusive"))


def local_path(value: str, path: str, failures: Failures, *, may_start_with_dots: bool = True) -> None:
    """A relative path that does not climb."""
    if value.startswith("/"):
        failures.append(invalid_value(path, value, "must be a relative path"))
    no_backsteps(value, path, failures)
    if not may_start_with_dots and value.startswith("..") and not value.startswith("../"):
        failures.append(invalid_value(path, value, "must not start with '..'"))


def no_backsteps(value: str, path: str, failures: Failures) -> None:
    if ".." in value and ".." in value.split("/"):
        failures.append(invalid_value(path, value, "must not contain '..'"))


def same_or_forbidden(new: Mapping[str, Any], old: Mapping[str, Any], field: str, failures: Failures) -> None:
    """A field of an object that says ``immutable: true``."""
    if (new.get(field) or {}) != (old.get(field) or {}):
        failures.append(forbidden_field(field, "field is immutable when `immutable` is set"))
