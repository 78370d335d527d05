"""The string formats that are checked (``kube-openapi/pkg/validation/strfmt``); others are taken as they are."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from email.utils import parseaddr
from urllib.parse import urlsplit

from picluster.api import meta, names

_HOST_LABEL = "[a-zA-Z0-9\u00a1-\uffff]([a-zA-Z0-9\u00a1-\uffff-]{0,61}[a-zA-Z0-9\u00a1-\uffff])?"
_DURATION_UNIT = (
    "(ns|nanoseconds?|us|µs|μs|microseconds?|ms|milliseconds?|s|seconds?|m|minutes?|h|hours?|d|days?|w|weeks?)"
)
_HEX = "[0-9a-f]"
_HOSTNAME = rf"{_HOST_LABEL}(\.{_HOST_LABEL})*\.?"  # compiled when it is first needed: that takes 10 ms
_UUID_RE = re.compile(rf"{_HEX}{{8}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{12}}", re.IGNORECASE)
_DATE_TIME_RE = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})?")
_MAC_RE = re.compile(r"([0-9a-f]{2}[:-]){5}([0-9a-f]{2}[:-]){0,2}[0-9a-f]{2}|([0-9a-f]{4}\.){2,3}[0-9a-f]{4}", re.I)
_HEX_COLOR_RE = re.compile("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_RGB_COLOR_RE = re.compile(r"rgb\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)")
_SSN_RE = re.compile(r"\d{3}[- ]?\d{2}[- ]?\d{4}")
_OBJECT_ID_RE = re.compile("[0-9a-fA-F]{24}")


def matches(name: str, text: str) -> bool:
    """Whether ``text`` has that format; a format that nobody knows fits everything."""
    check = FORMATS.get(name)
    return check is None or check(text)


def is_duration(text: str) -> bool:
    """Go's durations, and those in words: ``1h30m``, ``2 weeks``."""
    if text == "0":
        return True
    parts = re.findall(r"([0-9]*\.?[0-9]+|[0-9]+\.?)\s*([a-zµμ]+)", text)
    whole = "".join(re.sub(r"\s", "", number + unit) for number, unit in parts)
    if not parts or whole != re.sub(r"\s", "", text.lstrip("+-")):
        return False
    return all(re.fullmatch(_DURATION_UNIT, unit) for _, unit in parts)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == len("2006-01-02")


def _is_date_time(text: str) -> bool:
    if not _DATE_TIME_RE.fullmatch(text):
        return False
    try:
        meta.parse_time(text[:10] + "T" + text[11:19] + "Z")
    except ValueError:
        return False
    return True


def _is_uri(text: str) -> bool:
    """``url.ParseRequestURI``: absolute, or a path."""
    if not text or any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme) or text.startswith("/")


def _is_email(text: str) -> bool:
    _, address = parseaddr(text)
    local, at, domain = address.rpartition("@")
    return bool(at and local and domain and not domain.startswith(".")) and " " not in address


def _is_hostname(text: str) -> bool:
    return len(text) <= 255 and re.fullmatch(_HOSTNAME, text) is not None


def _ip(version: int) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return ipaddress.ip_address(text).version == version
        except ValueError:
            return False

    return check


def _is_cidr(text: str) -> bool:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return "/" in text and text.rpartition("/")[2].isdecimal()


def _is_byte(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(text) % 4 == 0


def _uuid(version: str) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        plain = text.replace("-", "").lower()
        if not _UUID_RE.fullmatch(text):
            return False
        return not version or (plain[12] == version and (version == "3" or plain[16] in "89ab"))

    return check


def _is_isbn10(text: str) -> bool:
    digits = text.replace("-", "").replace(" ", "")
    if not re.fullmatch("[0-9]{9}[0-9X]", digits):
        return False
    values = [10 if digit == "X" else int(digit) for digit in digits]
    return sum((index + 1) * value for index, value in enumerate(values)) % 11 == 0


def _is_isbn13(text: str) -> bool:
    digits = text.replace("-", "").replace(" ", "")
    if not re.fullmatch("[0-9]{13}", digits):
        return False
    return sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(digits)) % 10 == 0


def _is_credit_card(text: str) -> bool:
    digits = re.sub("[^0-9]", "", text)
    if not 13 <= len(digits) <= 19:
        return False
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_rgb_color(text: str) -> bool:
    found = _RGB_COLOR_RE.fullmatch(text)
    return found is not None and all(int(part) <= 255 for part in found.groups())


def _pattern(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


FORMATS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _pattern(_OBJECT_ID_RE),
    "uri": _is_uri,
    "email": _is_email,
    "hostname": _is_hostname,
    "ipv4": _ip(4),
    "ipv6": _ip(6),
    "cidr": _is_cidr,
    "mac": _pattern(_MAC_RE),
    "uuid": _uuid(""),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4"),
    "uuid5": _uuid("5"),
    "isbn": lambda text: _is_isbn10(text) or _is_isbn13(text),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "creditcard": _is_credit_card,
    "ssn": _pattern(_SSN_RE),
    "hexcolor": _pattern(_HEX_COLOR_RE),
    "rgbcolor": _is_rgb_color,
    "byte": _is_byte,
    "password": lambda text: True,
    "date": _is_date,
    "duration": is_duration,
    "datetime": _is_date_time,
    "date-time": _is_date_time,
    "k8s-short-name": lambda text: not names.dns1123_label(text),
    "k8s-long-name": lambda text: not names.dns1123_subdomain(text),
}
