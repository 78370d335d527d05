"""TLS contexts for calls to other servers: one for each authority and identity, made once and kept.

As Go does it, a certificate given as authority is trusted as it is, also when it is the server's own.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

CONTEXTS_MAX = 64


class Untrusted(Exception):
    """An authority that cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The client certificate that this server shows."""

    cert: Path
    key: Path


class Trust:
    """Contexts by authority; those used least lately are forgotten."""

    def __init__(self, identity: Identity | None = None) -> None:
        self._identity = identity
        self._contexts: OrderedDict[tuple[str, bool], ssl.SSLContext] = OrderedDict()

    def context(self, ca_bundle: str = "", *, skip_verify: bool = False) -> ssl.SSLContext:
        """``ca_bundle`` is base64 of PEM as in API objects; empty means what this host trusts.

        Raises ``Untrusted`` for a bundle that cannot be read, ``OSError`` or ``ssl.SSLError`` for a bad identity.
        """
        key = (ca_bundle, skip_verify)
        context = self._contexts.pop(key, None) or self._made(ca_bundle, skip_verify)
        self._contexts[key] = context
        if len(self._contexts) > CONTEXTS_MAX:
            self._contexts.popitem(last=False)
        return context

    def _made(self, ca_bundle: str, skip_verify: bool) -> ssl.SSLContext:
        context = _verifying(ca_bundle) if not skip_verify else _blind()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._identity is not None:
            context.load_cert_chain(self._identity.cert, self._identity.key)
        return context


def _verifying(ca_bundle: str) -> ssl.SSLContext:
    try:
        pem = base64.b64decode(ca_bundle, validate=True).decode("ascii")
        context = ssl.create_default_context(cadata=pem or None)
    except (binascii.Error, ValueError, ssl.SSLError):
        raise Untrusted("unable to load root certificates: unable to parse bytes as PEM block") from None
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _blind() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
