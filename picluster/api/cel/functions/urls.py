"""URLs with a scheme or an absolute path. Source: ``cel/library/urls.go``."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from picluster.api.cel import types
from picluster.api.cel.errors import CelError
from picluster.api.cel.functions.signatures import Overload, overload, traversal


@dataclass(frozen=True, slots=True)
class Url:
    text: str
    parts: SplitResult

    cel_type = types.URL

    def host(self) -> str:
        return self.parts.netloc.rpartition("@")[2]

    def hostname(self) -> str:
        host = self.host()
        if host.startswith("["):
            return host[1 : host.index("]")]
        return host.partition(":")[0]

    def port(self) -> str:
        return self.host().rpartition("]")[2].partition(":")[2]


def _problem(text: str) -> str:
    if not text:
        return "empty url"
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in text):
        return "net/url: invalid control character in URL"
    if not text.startswith("/") and ":" not in text.partition("/")[0]:
        return "invalid URI for request"
    return ""


def parse_url(text: str) -> Url:
    problem = _problem(text)
    if not problem:
        try:
            parts = urlsplit(text.partition("#")[0] if "#" not in text else text)
            host = parts.netloc.rpartition("@")[2]
            if host.startswith("[") is ("]" in host) and (parts.scheme or text.startswith("/")):
                _ = parts.port
                if parts.scheme and not parts.netloc and not parts.path.startswith("/"):
                    raise ValueError("invalid URI for request")
                return Url(text, parts)
            problem = "missing ']' in host" if host.startswith("[") else "invalid URI for request"
        except ValueError as error:
            problem = str(error)
    raise CelError(f'URL parse error during conversion from string: parse "{text}": {problem}')


def _is_url(text: str) -> bool:
    try:
        parse_url(text)
    except CelError:
        return False
    return True


def _query(url: Url) -> dict[str, list[str]]:
    return parse_qs(url.parts.query, keep_blank_values=True)


FUNCTIONS: tuple[Overload, ...] = (
    overload("url", "(string) -> URL", parse_url, traversal()),
    overload("isURL", "(string) -> bool", _is_url, traversal()),
    overload("getScheme", "URL.() -> string", lambda url: url.parts.scheme),
    overload("getHost", "URL.() -> string", Url.host),
    overload("getHostname", "URL.() -> string", Url.hostname),
    overload("getPort", "URL.() -> string", Url.port),
    overload("getEscapedPath", "URL.() -> string", lambda url: quote(url.parts.path, safe="/%:@!$&'()*+,;=~-._")),
    overload("getQuery", "URL.() -> map(string, list(string))", _query),
)
