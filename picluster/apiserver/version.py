"""``/version``: which Kubernetes API level this is, and which picluster."""

from __future__ import annotations

import platform

import orjson
from aiohttp import web

from picluster import KUBERNETES_VERSION, VERSION
from picluster.apiserver.answers import only_got, respond
from picluster.apiserver.requestinfo import RequestInfo

API_MAJOR, API_MINOR, _ = KUBERNETES_VERSION.split(".")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


async def version(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
    """The ``version.Info`` that clients compare themselves with."""
    only_got(request)
    return await respond(request, 200, BODY)


BODY = orjson.dumps(
    {
        "major": API_MAJOR,
        "minor": API_MINOR,
        "gitVersion": VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": platform.python_implementation(),
        "platform": f"linux/{ARCHITECTURES.get(platform.machine(), platform.machine())}",
    }
)
