"""Named formats of strings. Source: ``cel/library/format.go``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from picluster.api import names
from picluster.api.cel import types
from picluster.api.cel.errors import CelError
from picluster.api.cel.functions.signatures import Overload, overload, traversal
from picluster.api.cel.functions.urls import parse_url
from picluster.api.cel.times import parse_date, parse_timestamp
from picluster.api.cel.values import NONE, Optional

Check = Callable[[str], list[str]]
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})")


@dataclass(frozen=True, slots=True)
class Format:
    name: str

    cel_type = types.FORMAT

    def validate(self, text: str) -> Optional:
        found = _CHECKS[self.name](text)
        return Optional(found) if found else NONE


def _prefix(check: Check) -> Check:
    """A name that something is put behind: it may end in a dash."""
    return lambda text: check(f"{text[:-1]}a" if len(text) > 1 and text.endswith("-") else text)


def _reads(parse: Callable[[str], object], message: str) -> Check:
    def check(text: str) -> list[str]:
        try:
            parse(text)
        except ValueError:
            return [message]
        return []

    return check


def _fits(form: re.Pattern[str], message: str) -> Check:
    return lambda text: [] if form.fullmatch(text) else [message]


def _uri(text: str) -> list[str]:
    try:
        parse_url(text)
    except CelError as error:
        return [str(error).removeprefix("URL parse error during conversion from string: ")]
    return []


def _messages(check: Callable[[str], Iterable[str]]) -> Check:
    return lambda text: list(check(text))


_LABEL, _SUBDOMAIN, _LABEL_1035 = map(_messages, (names.dns1123_label, names.dns1123_subdomain, names.dns1035_label))
_CHECKS: dict[str, Check] = {
    "dns1123Label": _LABEL,
    "dns1123Subdomain": _SUBDOMAIN,
    "dns1035Label": _LABEL_1035,
    "qualifiedName": _messages(names.qualified_name),
    "dns1123LabelPrefix": _prefix(_LABEL),
    "dns1123SubdomainPrefix": _prefix(_SUBDOMAIN),
    "dns1035LabelPrefix": _prefix(_LABEL_1035),
    "labelValue": _messages(names.label_value),
    "uri": _uri,
    "uuid": _fits(_UUID, "does not match the UUID format"),
    "byte": _fits(_BASE64, "invalid base64"),
    "date": _reads(parse_date, "invalid date"),
    "datetime": _reads(parse_timestamp, "invalid datetime"),
}


def _named(name: str) -> Optional:
    return Optional(Format(name)) if name in _CHECKS else NONE


def _constant(name: str) -> Callable[[], Format]:
    found = Format(name)
    return lambda: found


FUNCTIONS: tuple[Overload, ...] = (
    *(overload(f"format.{name}", "() -> Format", _constant(name)) for name in _CHECKS),
    overload("format.named", "(string) -> optional(Format)", _named),
    overload("validate", "Format.(string) -> optional(list(string))", Format.validate, traversal(1)),
)
