"""The front proxy: how a server proves, to servers behind it, whom it speaks for.

A request that comes with the certificate of a front proxy carries its user in headers (``X-Remote-User``, …). The API
server sends such requests to extension API servers, and takes them from a proxy before itself.
Sources: ``authentication/request/headerrequest`` in ``k8s.io/apiserver``, ``transport/round_trippers.go`` in client-go.
"""

from __future__ import annotations

import ssl
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from multidict import CIMultiDictProxy

from picluster.apiserver.authn.user import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User, user_of

USER_HEADER = "X-Remote-User"
UID_HEADER = "X-Remote-Uid"
GROUP_HEADER = "X-Remote-Group"
EXTRA_PREFIX = "X-Remote-Extra-"
PREFIX = "x-remote-"
_TOKEN = string.ascii_letters + string.digits + "!#$&'*+-.^_`|~"

FRONT_PROXY = User("system:anonymous", frozenset({UNAUTHENTICATED}))
"""Whose connection a front proxy's is: nobody's, until a request says for whom it comes."""

Name = tuple[tuple[tuple[str, str], ...], ...]


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """``client_ca`` signs front proxies, of which those named in ``allowed_names`` are believed (none: all).

    ``cert`` and ``key`` are this server's own, shown to extension API servers and to webhooks.
    """

    client_ca: Path
    cert: Path
    key: Path
    allowed_names: tuple[str, ...] = ("front-proxy-client",)


class Peers:
    """Who a connection is, where both clients' and front proxies' authorities are trusted.

    Certificates must come straight from one of the authorities: what an authority below one of them has signed is
    nobody's, since TLS does not tell whose that authority is.
    """

    def __init__(self, client_ca: Path, front_proxy: FrontProxy) -> None:
        self._allowed = frozenset(front_proxy.allowed_names)
        self._client_ca, self._proxy_ca = client_ca, front_proxy.client_ca
        self._clients, self._proxies = _subjects(client_ca), _subjects(front_proxy.client_ca)

    def user(self, certificate: Mapping[str, Any], der: bytes) -> User:
        """``FRONT_PROXY``, the certificate's user, or nobody."""
        issuer = certificate.get("issuer")
        if issuer in self._proxies:
            if _issued(der, self._proxy_ca):
                return FRONT_PROXY if not self._allowed or _common_name(certificate) in self._allowed else ANONYMOUS
            if not _issued(der, self._client_ca):
                return ANONYMOUS
        return user_of(certificate, der) if issuer in self._clients else ANONYMOUS


def told_user(headers: CIMultiDictProxy[str]) -> User | None:
    """Whom a front proxy's request is from, ``None`` when it does not say."""
    name = headers.get(USER_HEADER, "").strip()
    if not name:
        return None
    extra: dict[str, tuple[str, ...]] = {}
    for header, value in headers.items():
        if header.lower().startswith(EXTRA_PREFIX.lower()):
            key = unquote(header[len(EXTRA_PREFIX) :].lower())
            extra[key] = (*extra.get(key, ()), value)
    groups = frozenset({*headers.getall(GROUP_HEADER, ()), AUTHENTICATED})
    return User(name, groups, headers.get(UID_HEADER, ""), tuple(sorted(extra.items())))


def telling_headers(user: User) -> Iterator[tuple[str, str]]:
    """The headers that say who ``user`` is (``SetAuthProxyHeaders``)."""
    yield USER_HEADER, user.name
    if user.uid:
        yield UID_HEADER, user.uid
    for group in sorted(user.groups):
        yield GROUP_HEADER, group
    for key, values in user.extra:
        for value in values:
            yield EXTRA_PREFIX + quote(key, safe=_TOKEN), value


def _subjects(authority: Path) -> frozenset[Name]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority)
    return frozenset(found["subject"] for found in context.get_ca_certs())  # type: ignore[misc]


def _issued(der: bytes, authority: Path) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    certificate = x509.load_der_x509_certificate(der)
    for one in x509.load_pem_x509_certificates(authority.read_bytes()):
        try:
            certificate.verify_directly_issued_by(one)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return True
    return False


def _common_name(certificate: Mapping[str, Any]) -> str:
    for relative_name in certificate.get("subject", ()):
        for attribute, value in relative_name:
            if attribute == "commonName":
                return str(value)
    return ""
