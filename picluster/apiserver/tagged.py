"""Documents that clients keep: discovery and OpenAPI, with an ETag, and 304 for whoever has it already.

The headers are those of ``endpoints/discovery/aggregated/etag.go`` and of kube-openapi's ``handler3``: a document that
is asked for by its hash never changes, and may be kept for a year.
"""

from __future__ import annotations

import datetime
import hashlib
from email.utils import format_datetime

from aiohttp import web

from picluster.apiserver.answers import respond
from picluster.apiserver.negotiate import JSON

KEPT_FOR = datetime.timedelta(days=365)
ACCEPT = "Accept"


def digest(body: bytes) -> str:
    return hashlib.sha512(body).hexdigest().upper()


async def respond_tagged(request: web.BaseRequest, body: bytes, media_type: str = JSON) -> web.Response:
    """``body``, or 304 where it is what the client has."""
    tag = f'"{digest(body)}"'
    if request.headers.get("If-None-Match") == tag:
        response = web.Response(status=304)
    else:
        response = await respond(request, 200, body, media_type)
        response.headers["Cache-Control"] = "public"
    response.headers["Etag"] = tag
    response.headers["Vary"] = f"{encoding}, {ACCEPT}" if (encoding := response.headers.get("Vary")) else ACCEPT
    return response


async def respond_hashed(request: web.BaseRequest, path: str, body: bytes) -> web.Response:
    """``respond_tagged`` for what may be asked for by its hash; another hash leads to the present one."""
    asked = request.query.get("hash")
    if asked and asked != (present := digest(body)):
        return web.Response(status=301, headers={"Location": f"{path}?hash={present}", "Vary": ACCEPT})
    response = await respond_tagged(request, body)
    if asked:
        response.headers["Cache-Control"] = "public, immutable"
        response.headers["Expires"] = format_datetime(datetime.datetime.now(datetime.UTC) + KEPT_FOR, usegmt=True)
    return response
