"""Content negotiation: which representation an ``Accept`` header asks for, and how a body is read.

RFC 9110 section 12.5.1 as Kubernetes reads it: alternatives by quality, what is named before what is not, then in
their order; parameters ``as``, ``v`` and ``g`` ask for a Table or for metadata only. Protobuf is read but not offered:
its clients accept JSON too. CBOR is neither.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from picluster.api import errors, protobuf
from picluster.api.resources import Resource
from picluster.apiserver import yamlbody

JSON = "application/json"
YAML = "application/yaml"
OFFERED = (JSON, YAML)
READ = (*OFFERED, protobuf.MEDIA_TYPE)
TRANSFORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
SHOWN_MAX = 30
META_VERSIONS = ("v1", "v1beta1")


class Wanted(NamedTuple):
    """``transform`` is empty or one of ``TRANSFORMS``, in ``version`` of ``meta.k8s.io``."""

    media_type: str
    transform: str = ""
    version: str = "v1"


@lru_cache(maxsize=512)
def accepted(header: str, *, streaming: bool = False, tables: bool = True) -> Wanted:
    """The best offer for an ``Accept`` header; raises ``ApiError`` 406 when none fits.

    Without ``tables`` a Table is not offered: what is only asked and answered has none.
    """
    if not header:
        return Wanted(JSON)
    for media_type, parameters in _by_quality(header):
        transform, version = parameters.get("as", ""), parameters.get("v", "")
        if transform and not (transform in TRANSFORMS and _is_meta(parameters)):
            continue
        if transform == "Table" and not tables:
            continue
        form = (transform, version) if transform else ()
        if media_type in ("*/*", "application/*", JSON):
            return Wanted(JSON, *form)
        if media_type == YAML and not streaming:
            return Wanted(YAML, *form)
    raise errors.not_acceptable(OFFERED[:1] if streaming else OFFERED)


@lru_cache(maxsize=128)
def prefers(header: str, kind: str, group: str, version: str) -> bool:
    """Whether an ``Accept`` header asks for JSON as that kind before anything else that is offered."""
    for media_type, parameters in _by_quality(header):
        if media_type == JSON and parameters.get("as"):
            if (parameters["as"], parameters.get("g"), parameters.get("v")) == (kind, group, version):
                return True
        elif media_type in ("*/*", "application/*", *OFFERED):
            return False
    return False


def _is_meta(parameters: dict[str, str]) -> bool:
    return parameters.get("g") == "meta.k8s.io" and parameters.get("v") in META_VERSIONS


def _by_quality(header: str) -> list[tuple[str, dict[str, str]]]:
    alternatives: list[tuple[float, int, str, dict[str, str]]] = []
    for order, alternative in enumerate(header.split(",")):
        media_type, *rest = alternative.split(";")
        parameters = dict(_parameter(text) for text in rest)
        alternatives.append((-_quality(parameters), order, media_type.strip().lower(), parameters))
    alternatives.sort(key=lambda each: (each[0], each[2].startswith("*"), each[2].endswith("*"), each[1]))
    return [(media_type, parameters) for quality, _, media_type, parameters in alternatives if quality < 0]


def _parameter(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key.strip().lower(), value.strip().strip('"')


def _quality(parameters: dict[str, str]) -> float:
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 0.0


def decode_body(content_type: str, body: bytes, expected: Resource, said: list[str] | None = None) -> Any:
    """The value in a body of JSON, YAML or protobuf; raises ``ApiError`` 415 for other types, 400 for the unreadable.

    ``expected`` is what the request is about: it only stands in where a protobuf body does not say what it is. ``said``
    gets what a strict reader says of a YAML body.
    """
    if is_json(content_type):
        return decode_json(body, expected)
    media_type = _media_type(content_type)
    if media_type == YAML:
        value, doubled = yamlbody.decode(body)
        if said is not None and doubled:
            said.append(doubled)
        return value
    if media_type == protobuf.MEDIA_TYPE and expected.schema:
        return decode_protobuf(body, expected)
    raise errors.unsupported_media_type(READ if expected.schema else OFFERED)


def is_json(content_type: str) -> bool:
    """Whether a body of that type is read as JSON."""
    return _media_type(content_type) in ("", JSON, "*/*", "application/octet-stream")


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def decode_json(body: bytes, expected: Resource) -> Any:
    """The value; raises ``ApiError`` 400 with the beginning of what cannot be read (``transformDecodeError``)."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        shown = body.decode(errors="replace")[:SHOWN_MAX] if body[:1] == b"{" else body[:SHOWN_MAX].hex() or "<empty>"
        more = " ..." if len(body) > SHOWN_MAX else ""
        why = f"couldn't get version/kind; json parse error: {error} ({shown}{more})"
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {expected.kind}): {why}"
        ) from None


def decode_patch(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.bad_request(f"error decoding patch: {error}") from None


def decode_protobuf(body: bytes, expected: Resource) -> Any:
    try:
        return protobuf.decode(body, expected)
    except ValueError as error:
        why = f"the object provided is unrecognized (must be of type {expected.kind}): {error}"
        raise errors.bad_request(why) from None
