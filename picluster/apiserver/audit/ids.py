"""What requests are called: each answer says it, whether anybody follows the request or not (``WithAuditInit``)."""

from __future__ import annotations

import itertools
import uuid

from aiohttp import web

HEADER = "Audit-Id"
ID_MAX = 64


class RequestIds:
    """Names that look like random UUIDs, and cost a count."""

    def __init__(self) -> None:
        self._count = itertools.count(1)
        self._prefix = str(uuid.uuid4())[:24]

    def identify(self, request: web.BaseRequest) -> str:
        """What the client calls its request, else what no other request is called."""
        given = request.headers.get(HEADER, "")
        if given and len(given) <= ID_MAX and given.isprintable():
            return given
        return f"{self._prefix}{next(self._count) & 0xFFFFFFFFFFFF:012x}"
