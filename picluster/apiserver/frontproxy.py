"""The front proxy: how the API server proves, to servers behind it, whom it speaks for.

A request that comes with the certificate of the front proxy carries its user in headers (``X-Remote-User``, …). The API
server sends such requests to extension API servers, and takes them from a proxy before itself.
Source: ``apiserver/pkg/authentication/request/headerrequest``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

USER_HEADERS = ("X-Remote-User",)
UID_HEADERS = ("X-Remote-Uid",)
GROUP_HEADERS = ("X-Remote-Group",)
EXTRA_PREFIXES = ("X-Remote-Extra-",)


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """``client_ca`` signs front proxies, of which those named in ``allowed_names`` are believed (none: all).

    ``cert`` and ``key`` are this server's own, shown to extension API servers and to webhooks.
    """

    client_ca: Path
    cert: Path
    key: Path
    allowed_names: tuple[str, ...] = ("front-proxy-client",)
