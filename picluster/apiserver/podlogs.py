"""``pods/log``: which requests for logs are good, how failures are told, and logs over WebSocket."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping

import aiohttp
from aiohttp import web

from picluster.api import errors
from picluster.api.errors import FieldError
from picluster.api.meta import parse_time

STREAMS = ("All", "Stderr", "Stdout")
BINARY = "binary.k8s.io"
BASE64 = "base64.binary.k8s.io"


def flag(text: str) -> bool:
    return text.lower() in ("1", "t", "true")


def check(query: Mapping[str, str], name: str) -> None:
    """``ValidatePodLogOptions``; raises 400 for what is no number and 422 for one that may not be. PURE."""
    numbers = {key: _number(query, key) for key in ("tailLines", "limitBytes", "sinceSeconds")}
    tail, limit, since = numbers["tailLines"], numbers["limitBytes"], numbers["sinceSeconds"]
    stream = query.get("stream")
    causes: list[FieldError] = []
    if tail is not None and tail < 0:
        causes.append(errors.invalid_value("tailLines", tail, "must be greater than or equal to 0"))
    if limit is not None and limit < 1:
        causes.append(errors.invalid_value("limitBytes", limit, "must be greater than 0"))
    if since is not None and query.get("sinceTime"):
        causes.append(errors.forbidden_field("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif since is not None and since < 1:
        causes.append(errors.invalid_value("sinceSeconds", since, "must be greater than 0"))
    if stream is not None and stream not in STREAMS:
        causes.append(errors.not_supported("stream", stream, STREAMS))
    elif stream not in (None, "All") and tail is not None:
        causes.append(errors.forbidden_field("", "`tailLines` and specific `stream` are mutually exclusive for now"))
    if causes:
        raise errors.invalid("", "PodLogOptions", name, causes)
    if query.get("sinceTime"):
        try:
            parse_time(query["sinceTime"])
        except ValueError as error:
            raise errors.bad_request(str(error)) from None


def _number(query: Mapping[str, str], key: str) -> int | None:
    if key not in query:
        return None
    try:
        return int(query[key])
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{query[key]}": invalid syntax') from None


def refusal(code: int, text: str, name: str) -> errors.ApiError:
    """What an agent's refusal becomes for the client (``GenericHttpResponseChecker`` of kube-apiserver). PURE."""
    if code == 400:
        return errors.bad_request(text)
    if code == 404:
        return errors.ApiError(404, "NotFound", f"the server could not find the requested resource ( pods/log {name})")
    return errors.internal(text)


async def over_websocket(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """A log as the messages of a WebSocket, bytes or base64 (``k8s.io/streaming/pkg/httpstream/wsstream``)."""
    socket = web.WebSocketResponse(protocols=(BINARY, BASE64), compress=False)
    await socket.prepare(request)

    async def listen() -> None:
        """The client has nothing to say but that it leaves."""
        async for _ in socket:
            pass
        answer.close()

    listening = asyncio.ensure_future(listen())
    try:
        async for piece in answer.content.iter_any():
            if socket.ws_protocol == BASE64:
                await socket.send_str(base64.b64encode(piece).decode())
            else:
                await socket.send_bytes(piece)
    except aiohttp.ClientError:
        pass  # the client has left, or the agent: what came is told
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    await socket.close()
    return socket
