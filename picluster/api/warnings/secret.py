"""Secrets for TLS: whether the key belongs to the certificate, in the words of Go's ``tls.X509KeyPair``."""

from __future__ import annotations

import base64
import re

from picluster.api.types import Object

_BLOCK_RE = re.compile(rb"-----BEGIN ([^\n-]+)-----\s(.*?)-----END \1-----", re.DOTALL)
Block = tuple[str, bytes]


def create(secret: Object) -> list[str]:
    if secret.get("type") != "kubernetes.io/tls":
        return []
    data = secret.get("data") or {}
    certificates, keys = (_blocks(data.get(field) or "") for field in ("tls.crt", "tls.key"))
    why = _no_certificate(certificates) or _no_key(keys) or _mismatch(certificates, keys)
    return [f"tls: {why}" if not why.startswith("x509: ") else why] if why else []


def update(new: Object, old: Object) -> list[str]:
    return create(new)


def _blocks(encoded: str) -> list[Block]:
    return [(kind.decode("latin-1"), whole) for kind, whole in _found(base64.b64decode(encoded))]


def _found(text: bytes) -> list[tuple[bytes, bytes]]:
    return [(match[1], match[0]) for match in _BLOCK_RE.finditer(text)]


def _is_key(kind: str) -> bool:
    return kind == "PRIVATE KEY" or kind.endswith(" PRIVATE KEY")


def _no_certificate(blocks: list[Block]) -> str:
    kinds = [kind for kind, _ in blocks]
    if "CERTIFICATE" in kinds:
        return ""
    if not kinds:
        return "failed to find any PEM data in certificate input"
    if len(kinds) == 1 and kinds[0].endswith("PRIVATE KEY"):
        return (
            "failed to find certificate PEM data in certificate input, but did find a private key;"
            " PEM inputs may have been switched"
        )
    what = 'failed to find "CERTIFICATE" PEM block in certificate input'
    return f"{what} after skipping PEM blocks of the following types: [{' '.join(kinds)}]"


def _no_key(blocks: list[Block]) -> str:
    kinds = [kind for kind, _ in blocks]
    if any(map(_is_key, kinds)):
        return ""
    if not kinds:
        return "failed to find any PEM data in key input"
    if kinds == ["CERTIFICATE"]:
        return "found a certificate rather than a key in the PEM for the private key"
    what = 'failed to find PEM block with type ending in "PRIVATE KEY" in key input'
    return f"{what} after skipping PEM blocks of the following types: [{' '.join(kinds)}]"


def _mismatch(certificates: list[Block], keys: list[Block]) -> str:
    from cryptography import x509  # only who keeps certificates in secrets pays for it
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    certificate = next(whole for kind, whole in certificates if kind == "CERTIFICATE")
    key = next(whole for kind, whole in keys if _is_key(kind))
    try:
        public = x509.load_pem_x509_certificate(certificate).public_key()
    except UnsupportedAlgorithm:
        return "unknown public key algorithm"
    except ValueError:
        return "x509: malformed certificate"
    try:
        private = load_pem_private_key(key, None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "failed to parse private key"
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) == private.public_bytes(*form):
        return ""
    same_type = type(public) is type(private)
    return f"private key {'does' if same_type else 'type does'} not match public key{'' if same_type else ' type'}"
