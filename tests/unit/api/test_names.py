"""Name rules and their wording."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from picluster.api import names

LABEL = names.dns1123_label
SUBDOMAIN = names.dns1123_subdomain


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (LABEL, "a"),
        (names.path_segment_name, "system:node:a"),
        (names.wildcard_subdomain, "*.example.com"),
        (names.http_path, "a/b-c.d~"),
        (LABEL, "0"),
        (LABEL, "a-b-1"),
        (LABEL, "a" * 63),
        (SUBDOMAIN, "a.b-c.0"),
        (SUBDOMAIN, "a" * 253),
        (names.dns1035_label, "a-1"),
        (names.qualified_name, "app"),
        (names.qualified_name, "App_1.x"),
        (names.qualified_name, "example.com/App"),
        (names.label_value, ""),
        (names.label_value, "V1.x_y-z"),
        (names.config_map_key, "..data-1"[1:]),
        (names.config_map_key, "a..b"),
        (names.env_var_name, "A"),
        (names.env_var_name, "1 odd-name"),
        (names.port_name, "http-2"),
    ],
)
def test_good_names(rule: Callable[[str], tuple[str, ...]], value: str) -> None:
    assert rule(value) == ()


@pytest.mark.parametrize(
    ("rule", "value", "messages"),
    [
        (
            LABEL,
            "A_b",
            [
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start"
                " and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
                " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ],
        ),
        (LABEL, "a.b", ["must not contain dots"]),
        (LABEL, "a" * 64, ["must be no more than 63 bytes"]),
        (
            SUBDOMAIN,
            "Web",
            [
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and"
                " must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
                " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ],
        ),
        (SUBDOMAIN, "a\n", None),
        (
            names.dns1035_label,
            "1a",
            [
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic"
                " character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for"
                " validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
            ],
        ),
        (
            names.qualified_name,
            "a/b/c",
            [
                "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with"
                " an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
                " '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g."
                " 'example.com/MyName')"
            ],
        ),
        (names.qualified_name, "/b", ["prefix part must be non-empty"]),
        (names.label_value, "-a", None),
        (names.config_map_key, "..", ["must not be '..'"]),
        (names.config_map_key, ".", ["must not be '.'"]),
        (names.config_map_key, "..a", ["must not start with '..'"]),
        (names.env_var_name, "", ["environment variable name must be non-empty"]),
        (
            names.env_var_name,
            "a=b",
            ["a valid environment variable name must consist only of printable ASCII characters other than '='"],
        ),
        (names.port_name, "8080", ["must contain at least one letter (a-z)"]),
        (names.port_name, "a--b", ["must not contain consecutive hyphens"]),
        (names.port_name, "a" * 16, ["must be no more than 15 bytes"]),
        (names.port_name, "-a", ["must not begin or end with a hyphen"]),
        (names.path_segment_name, "..", ["may not be '..'"]),
        (names.path_segment_name, "a/b%c", ["may not contain '/'", "may not contain '%'"]),
        (names.wildcard_subdomain, "*.*.example.com", None),
        (names.wildcard_subdomain, "a.*.com", None),
        (names.http_path, "a b", None),
    ],
)
def test_bad_names(rule: Callable[[str], tuple[str, ...]], value: str, messages: list[str] | None) -> None:
    if messages is None:
        assert len(rule(value)) == 1
    else:
        assert list(rule(value)) == messages
