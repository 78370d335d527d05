"""Bodies and headers of answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import orjson
from aiohttp import web
from multidict import CIMultiDict

from picluster.api import errors
from picluster.api.types import Object
from picluster.apiserver import yamlbody
from picluster.apiserver.negotiate import JSON, YAML, accepted
from picluster.apiserver.pieces import Pieces, Zipped, zipped

PEOPLES_PROGRAMS = ("curl", "Wget", "Mozilla/5.0")
GZIP_MIN_BYTES = 128 << 10
CACHE_CONTROL = "no-cache, private"
WARNINGS_MAX_CHARACTERS = 4096
"""What all warnings of an answer may have together before each is cut."""
WARNING_CUT_CHARACTERS = 256


class Answer(NamedTuple):
    """What a verb gives back: an object's wire bytes, or (``is_object`` false) a body as it is, such as a Status."""

    code: int
    body: bytes
    is_object: bool = True


class NotAllowed(errors.ApiError):
    """405, with the methods that would be."""

    def __init__(
        self, methods: Sequence[str], message: str = "the server does not allow this method on the requested resource"
    ) -> None:
        super().__init__(405, "MethodNotAllowed", message)
        self.methods = methods


def only_got(request: web.BaseRequest) -> None:
    """Raise ``ApiError`` 405 for another method than GET, where there is no other."""
    if request.method != "GET":
        raise NotAllowed(("GET",))


def success(details: Object | None = None, code: int = 200) -> Answer:
    """A ``Status`` of success."""
    status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details:
        status["details"] = details
    if code != 200:
        status["code"] = code
    return Answer(code, orjson.dumps(status), is_object=False)


async def respond(
    request: web.BaseRequest, code: int, body: bytes | Pieces, media_type: str = JSON, warnings: Sequence[str] = ()
) -> web.Response:
    """The response with ``body`` (JSON), as the client wants it: YAML, indented, compressed."""
    body = _written(request, body, media_type)
    headers = {"Content-Type": media_type, "Cache-Control": CACHE_CONTROL}
    if len(body) >= GZIP_MIN_BYTES and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        headers["Vary"] = "Accept-Encoding"
        if isinstance(body, Pieces):
            return _response(code, Zipped(body), headers, warnings)
        body = await asyncio.get_running_loop().run_in_executor(None, zipped, body)
    return _response(code, body, headers, warnings)


def _written(request: web.BaseRequest, body: bytes | Pieces, media_type: str) -> bytes | Pieces:
    if media_type == YAML:
        return yamlbody.encode(bytes(body))
    if _pretty(request):
        return orjson.dumps(orjson.loads(bytes(body)), option=orjson.OPT_INDENT_2)
    return body


def asked_type(request: web.BaseRequest) -> str:
    """How a client reads what has one form only; JSON, if it does not say."""
    header = request.headers.get("Accept", "")
    return JSON if "yaml" not in header else accepted(header).media_type


def _response(
    code: int, body: bytes | Pieces | Zipped, headers: dict[str, str], warnings: Sequence[str]
) -> web.Response:
    response = web.Response(body=body, status=code, headers=headers)
    if warnings:
        warn(response.headers, warnings)
    return response


def warn(headers: CIMultiDict[str], warnings: Sequence[str]) -> None:
    """Tell each text once; of very much text, the beginnings of the first (``endpoints/filters/warning.go``)."""
    texts = list(dict.fromkeys(warnings))
    if sum(map(len, texts)) > WARNINGS_MAX_CHARACTERS:
        texts = [text[:WARNING_CUT_CHARACTERS] for text in texts]
        before = accumulate(map(len, texts), initial=0)
        texts = [text for text, length in zip(texts, before, strict=False) if length < WARNINGS_MAX_CHARACTERS]
    for text in texts:
        headers.add("Warning", warning_header(text))


def _pretty(request: web.BaseRequest) -> bool:
    """Whether a person reads it: asked for, or a program that people use (``isPrettyPrint``)."""
    if "pretty=" in request.raw_path and (wish := request.query.get("pretty")):
        return wish in ("1", "t", "T", "true", "TRUE", "True")
    return request.headers.get("User-Agent", "").startswith(PEOPLES_PROGRAMS)


def error_response(error: errors.ApiError, request: web.BaseRequest) -> web.Response:
    """The refusal as the client reads it; JSON, if that is what is refused (``ErrorNegotiated``)."""
    try:
        media_type = asked_type(request)
    except errors.ApiError:
        media_type = JSON
    headers = {"Content-Type": media_type, "Cache-Control": CACHE_CONTROL}
    retry_after_s = (error.details or {}).get("retryAfterSeconds")
    if retry_after_s:
        headers["Retry-After"] = str(retry_after_s)
    if isinstance(error, NotAllowed):
        headers["Allow"] = ", ".join(error.methods)
    body = _written(request, orjson.dumps(error.status()), media_type)
    return _response(error.code, body, headers, error.warnings)


def warning_header(text: str) -> str:
    """A ``Warning`` header (RFC 7234 section 5.5, code 299) as client-go parses it."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'
