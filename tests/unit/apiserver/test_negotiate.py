from __future__ import annotations

import pytest

from picluster.api.errors import ApiError
from picluster.api.resources import CONFIGMAPS
from picluster.apiserver import yamlbody
from picluster.apiserver.negotiate import Wanted, accepted, decode_body, prefers

TABLE = "application/json;as=Table;g=meta.k8s.io;v="
PARTIAL = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ("application/json", "")),
        ("*/*", ("application/json", "")),
        ("application/*", ("application/json", "")),
        ("application/json", ("application/json", "")),
        ("application/json, */*", ("application/json", "")),
        ("application/yaml", ("application/yaml", "")),
        ("application/json;q=0.5,application/yaml", ("application/yaml", "")),
        ("application/vnd.kubernetes.protobuf,application/json", ("application/json", "")),
        ("application/vnd.kubernetes.protobuf;q=0.9, application/json;q=0.1", ("application/json", "")),
        (f"{TABLE}v1,{TABLE}v1beta1,application/json", ("application/json", "Table")),
        (f"{TABLE}v1beta1,application/json", ("application/json", "Table", "v1beta1")),
        (f"{TABLE}v2,application/json", ("application/json", "")),
        ("*/*,application/yaml", ("application/yaml", "")),
        ("*/*;q=0.9,application/*;q=0.9,application/yaml;q=0.5", ("application/json", "")),
        (PARTIAL.format(""), ("application/json", "PartialObjectMetadata")),
        (PARTIAL.format("List"), ("application/json", "PartialObjectMetadataList")),
        ('APPLICATION/JSON; charset="utf-8"', ("application/json", "")),
    ],
)
def test_accept(header: str, expected: tuple[str, str]) -> None:
    assert accepted(header) == Wanted(*expected)


@pytest.mark.parametrize("header", ["text/html", "application/json;q=0", "application/json;q=x", f"{TABLE}v2", ";"])
def test_nothing_acceptable(header: str) -> None:
    with pytest.raises(ApiError, match="only the following media types are accepted") as refused:
        accepted(header)
    assert refused.value.code == 406


def test_a_stream_is_never_yaml() -> None:
    assert accepted("application/yaml,application/json", streaming=True).media_type == "application/json"
    with pytest.raises(ApiError):
        accepted("application/yaml", streaming=True)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"{AGGREGATED},application/json", True),
        (f"application/json,{AGGREGATED}", False),
        (f"{AGGREGATED.replace('v=v2', 'v=v2beta1')},application/json", False),
        (f"{AGGREGATED};q=0.1,application/json", False),
        ("", False),
    ],
)
def test_prefers(header: str, expected: bool) -> None:
    assert prefers(header, "APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") is expected


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b'{"a":1}', {"a": 1}),
        ("", b'{"a":1}', {"a": 1}),
        ("application/json; charset=utf-8", b"[]", []),
        ("application/yaml", b"a: 2024-01-01\nb: 0x10\n", {"a": "2024-01-01", "b": 16}),
        ("application/vnd.kubernetes.protobuf", b"k8s\0\x12\0", {"apiVersion": "v1", "kind": "ConfigMap"}),
    ],
)
def test_bodies(content_type: str, body: bytes, expected: object) -> None:
    assert decode_body(content_type, body, CONFIGMAPS) == expected


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("application/vnd.kubernetes.protobuf", b"k8s\0", 400),
        ("application/vnd.kubernetes.protobuf", b"{}", 400),
        ("application/cbor", b"\xa0", 415),
        ("text/plain", b"{}", 415),
        ("application/json", b"{", 400),
        ("application/yaml", b"a: [", 400),
        ("application/yaml", b"!!python/object/apply:os.getcwd []", 400),
    ],
)
def test_bodies_that_cannot_be_read(content_type: str, body: bytes, code: int) -> None:
    with pytest.raises(ApiError) as refused:
        decode_body(content_type, body, CONFIGMAPS)
    assert refused.value.code == code


def test_yaml_is_written_in_the_order_of_names() -> None:
    assert yamlbody.encode(b'{"b":[1],"a":"2024-01-01"}') == b"a: '2024-01-01'\nb:\n- 1\n"


def test_what_is_read_is_said() -> None:
    with pytest.raises(ApiError) as refused:
        decode_body("text/plain", b"{}", CONFIGMAPS)
    assert refused.value.message.endswith(
        "accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )
    with pytest.raises(ApiError, match=r"must be of type ConfigMap.*: empty body"):
        decode_body("application/vnd.kubernetes.protobuf", b"k8s\0", CONFIGMAPS)


def test_yaml_that_makes_much_of_little_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    for body in ("\n".join(lines), "a: &a\n  b: *a\n"):
        with pytest.raises(ApiError) as refused:
            yamlbody.decode(body.encode())
        assert (refused.value.code, "excessive aliasing" in refused.value.message) == (400, True)
    assert yamlbody.decode(b"a: &a {x: 1}\nb: *a\n") == ({"a": {"x": 1}, "b": {"x": 1}}, "")
    assert yamlbody.decode(b"a: 1\na: 2\n")[1].endswith('line 2: key "a" already set in map')
