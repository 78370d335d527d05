"""HTTP digest authentication as Shelly's second generation asks for it: RFC 7616, SHA-256, ``qop=auth``."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict

from picluster.util.clock import Clock

NONCES_MAX = 256
NONCE_AGE_MAX_S = 300.0


class DigestAuth:
    """Checks ``Authorization`` headers of one user; knows only a hash of the password."""

    def __init__(self, realm: str, username: str, password: str, clock: Clock) -> None:
        self.realm = realm
        self._username = username
        self._ha1 = sha256(f"{username}:{realm}:{password}")
        self._clock = clock
        self._issued: OrderedDict[str, float] = OrderedDict()

    def challenge(self) -> str:
        """A ``WWW-Authenticate`` header with a nonce of its own, good for some minutes."""
        nonce = secrets.token_hex(16)
        self._issued[nonce] = self._clock.monotonic()
        while len(self._issued) > NONCES_MAX:
            self._issued.popitem(last=False)
        return f'Digest qop="auth", realm="{self.realm}", nonce="{nonce}", algorithm=SHA-256'

    def allows(self, method: str, uri: str, header: str) -> bool:
        """Whether ``header`` answers a challenge of ours for this request."""
        scheme, _, rest = header.partition(" ")
        fields = {name.lower(): quoted or plain for name, quoted, plain in FIELD.findall(rest)}
        issued_s = self._issued.get(fields.get("nonce", ""))
        if scheme.lower() != "digest" or issued_s is None or self._clock.monotonic() - issued_s > NONCE_AGE_MAX_S:
            return False
        named = fields.get("username") == self._username and fields.get("realm") == self.realm
        expected = response(self._ha1, method, uri, fields["nonce"], fields.get("nc", ""), fields.get("cnonce", ""))
        same = hmac.compare_digest(expected.encode(), fields.get("response", "").lower().encode())
        return named and same and fields.get("uri") == uri and fields.get("qop") == "auth"


FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


def response(ha1: str, method: str, uri: str, nonce: str, nc: str, cnonce: str) -> str:
    """The ``response`` field (RFC 7616, section 3.4.1)."""
    return sha256(f"{ha1}:{nonce}:{nc}:{cnonce}:auth:{sha256(f'{method}:{uri}')}")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
