"""Whether a string is a DNS-1123 name, a label key, a label value, …; an answer lists what Kubernetes would object to.

Source: ``k8s.io/apimachinery/pkg/util/validation``. Good names come again and again, so answers are cached.
"""

from __future__ import annotations

import re
from functools import lru_cache

LABEL_MAX = 63
SUBDOMAIN_MAX = 253

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = _LABEL + r"(\." + _LABEL + ")*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"

_WILDCARD = r"\*\." + _SUBDOMAIN
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"

_LABEL_RE = re.compile(_LABEL)
_SUBDOMAIN_RE = re.compile(_SUBDOMAIN)
_LABEL_1035_RE = re.compile(_LABEL_1035)
_QUALIFIED_RE = re.compile(_QUALIFIED)
_LABEL_VALUE_RE = re.compile(_LABEL_VALUE)
_CONFIG_KEY_RE = re.compile(_CONFIG_KEY)
_ENV_VAR_RE = re.compile("[^\x00-\x1f\x7f-\U0010ffff=]+")
_PORT_NAME_RE = re.compile("[-a-z0-9]+")
_WILDCARD_RE = re.compile(_WILDCARD)
_HTTP_PATH_RE = re.compile(_HTTP_PATH)

_LABEL_ERROR = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character"
)
_SUBDOMAIN_ERROR = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character"
)
_WILDCARD_ERROR = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower"
    " case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
)
_LABEL_1035_ERROR = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character,"
    " and end with an alphanumeric character"
)
_QUALIFIED_ERROR = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_LABEL_VALUE_ERROR = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character"
)
_CONFIG_KEY_ERROR = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
_ENV_VAR_ERROR = "a valid environment variable name must consist only of printable ASCII characters other than '='"

Messages = tuple[str, ...]


def max_length(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def _regex(message: str, pattern: str, *examples: str) -> str:
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    listed = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {listed}regex used for validation is '{pattern}')"


@lru_cache(maxsize=65536)
def dns1123_label(value: str) -> Messages:
    messages = []
    if len(value) > LABEL_MAX:
        messages.append(max_length(LABEL_MAX))
    if not _LABEL_RE.fullmatch(value):
        if _SUBDOMAIN_RE.fullmatch(value):
            messages.append("must not contain dots")
        else:
            messages.append(_regex(_LABEL_ERROR, _LABEL, "my-name", "123-abc"))
    return tuple(messages)


@lru_cache(maxsize=65536)
def dns1123_subdomain(value: str) -> Messages:
    messages = []
    if len(value) > SUBDOMAIN_MAX:
        messages.append(max_length(SUBDOMAIN_MAX))
    if not _SUBDOMAIN_RE.fullmatch(value):
        messages.append(_regex(_SUBDOMAIN_ERROR, _SUBDOMAIN, "example.com"))
    return tuple(messages)


@lru_cache(maxsize=4096)
def dns1035_label(value: str) -> Messages:
    messages = []
    if len(value) > LABEL_MAX:
        messages.append(max_length(LABEL_MAX))
    if not _LABEL_1035_RE.fullmatch(value):
        messages.append(_regex(_LABEL_1035_ERROR, _LABEL_1035, "my-name", "abc-123"))
    return tuple(messages)


@lru_cache(maxsize=65536)
def qualified_name(value: str) -> Messages:
    """A label or annotation key, a resource name: ``name`` or ``prefix/name``."""
    parts = value.split("/")
    messages: list[str] = []
    if len(parts) > 2:
        hint = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return (f"a qualified name {_regex(_QUALIFIED_ERROR, _QUALIFIED, 'MyName', 'my.name', '123-abc')} {hint}",)
    if len(parts) == 2:
        if not parts[0]:
            messages.append("prefix part must be non-empty")
        else:
            messages.extend(f"prefix part {message}" for message in dns1123_subdomain(parts[0]))
    name = parts[-1]
    if not name:
        messages.append("name part must be non-empty")
    elif len(name) > LABEL_MAX:
        messages.append(f"name part {max_length(LABEL_MAX)}")
    if not _QUALIFIED_RE.fullmatch(name):
        messages.append(f"name part {_regex(_QUALIFIED_ERROR, _QUALIFIED, 'MyName', 'my.name', '123-abc')}")
    return tuple(messages)


@lru_cache(maxsize=65536)
def label_value(value: str) -> Messages:
    messages = []
    if len(value) > LABEL_MAX:
        messages.append(max_length(LABEL_MAX))
    if not _LABEL_VALUE_RE.fullmatch(value):
        messages.append(_regex(_LABEL_VALUE_ERROR, _LABEL_VALUE, "MyValue", "my_value", "12345"))
    return tuple(messages)


@lru_cache(maxsize=8192)
def config_map_key(value: str) -> Messages:
    messages = []
    if len(value) > SUBDOMAIN_MAX:
        messages.append(max_length(SUBDOMAIN_MAX))
    if not _CONFIG_KEY_RE.fullmatch(value):
        messages.append(_regex(_CONFIG_KEY_ERROR, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    return tuple(messages) + _no_parent_steps(value)


@lru_cache(maxsize=8192)
def env_var_name(value: str) -> Messages:
    """The name of an environment variable, as relaxed since Kubernetes 1.34."""
    if not value:
        return ("environment variable name must be non-empty",)
    return () if _ENV_VAR_RE.fullmatch(value) else (_ENV_VAR_ERROR,)


@lru_cache(maxsize=8192)
def port_name(value: str) -> Messages:
    """An IANA_SVC_NAME: at most 15 characters with at least one letter."""
    messages = []
    if len(value) > 15:
        messages.append(max_length(15))
    if not _PORT_NAME_RE.fullmatch(value):
        messages.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= character <= "z" for character in value):
        messages.append("must contain at least one letter (a-z)")
    if "--" in value:
        messages.append("must not contain consecutive hyphens")
    if value[:1] == "-" or value[-1:] == "-":
        messages.append("must not begin or end with a hyphen")
    return tuple(messages)


@lru_cache(maxsize=8192)
def path_segment_name(value: str) -> Messages:
    """What may be one segment of a URL's path: names of roles, of objects of any kind."""
    if value in (".", ".."):
        return (f"may not be '{value}'",)
    return tuple(f"may not contain '{part}'" for part in ("/", "%") if part in value)


@lru_cache(maxsize=4096)
def wildcard_subdomain(value: str) -> Messages:
    """A DNS-1123 subdomain below ``*.``."""
    messages = []
    if len(value) > SUBDOMAIN_MAX:
        messages.append(max_length(SUBDOMAIN_MAX))
    if not _WILDCARD_RE.fullmatch(value):
        messages.append(_regex(_WILDCARD_ERROR, _WILDCARD, "*.example.com"))
    return tuple(messages)


def http_path(value: str) -> Messages:
    return () if _HTTP_PATH_RE.fullmatch(value) else (_regex("Invalid path", _HTTP_PATH),)


def port_number(value: int) -> Messages:
    return () if 1 <= value <= 65535 else ("must be between 1 and 65535, inclusive",)


def _no_parent_steps(value: str) -> Messages:
    if value == ".":
        return ("must not be '.'",)
    if value == "..":
        return ("must not be '..'",)
    if value.startswith(".."):
        return ("must not start with '..'",)
    return ()
