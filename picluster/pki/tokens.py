"""JSON Web Tokens: signed with one key, verified with several, so that a key can be replaced while its tokens live.

The algorithm follows from the key (RFC 7518: ES256 on P-256, RS256), never from the token. A key's id is the digest of
its public part, as ``pkg/serviceaccount`` of Kubernetes names it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.api_jws import PyJWS

from picluster.pki.files import PkiError, read_file

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)


class BadToken(Exception):
    """Not a token that any of the keys has signed."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    id: str
    algorithm: str
    key: PublicKey

    def jwk(self) -> dict[str, Any]:
        """The key as a JSON Web Key (RFC 7517)."""
        if isinstance(self.key, rsa.RSAPublicKey):
            shown: dict[str, Any] = RSAAlgorithm.to_jwk(self.key, as_dict=True)
        else:
            shown = ECAlgorithm.to_jwk(self.key, as_dict=True)
        shown.pop("key_ops", None)
        return {"use": "sig", **shown, "kid": self.id, "alg": self.algorithm}


class Signer:
    """Makes tokens with one private key."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self.public = verification_key(key.public_key(), "the signing key")

    @classmethod
    def load(cls, path: Path) -> Signer:
        """The signer of a PEM file; raises ``PkiError``."""
        try:
            key = serialization.load_pem_private_key(_content(path), password=None)
        except (ValueError, TypeError) as error:
            raise PkiError(f"{path} is no private key: restore it from a backup") from error
        if not isinstance(key, PrivateKey):
            raise PkiError(f"{path} must be an RSA key or one on an elliptic curve")
        return cls(key)

    def sign(self, claims: Mapping[str, Any]) -> str:
        return jwt.encode(dict(claims), self._key, algorithm=self.public.algorithm, headers={"kid": self.public.id})


class Verifier:
    """Takes what any of several keys has signed."""

    def __init__(self, keys: Sequence[VerificationKey]) -> None:
        self.keys = tuple({key.id: key for key in keys}.values())
        self._jws = PyJWS()

    @classmethod
    def load(cls, paths: Sequence[Path]) -> Verifier:
        """The keys of PEM files, each with one or more public keys, private keys or certificates."""
        return cls([key for path in paths for key in _keys_of(path)])

    def claims(self, token: str) -> dict[str, Any]:
        """What a token says; raises ``BadToken`` unless one of the keys has signed it. Its times are not looked at."""
        try:
            wanted = jwt.get_unverified_header(token).get("kid")
        except jwt.PyJWTError as error:
            raise BadToken(str(error)) from None
        for key in [key for key in self.keys if key.id == wanted] or self.keys:
            try:
                payload = self._jws.decode(token, key.key, algorithms=[key.algorithm])
                claims = json.loads(payload)
            except (jwt.PyJWTError, ValueError):
                continue
            if isinstance(claims, dict):
                return claims
        raise BadToken("no key has signed this token")

    def jwks(self) -> dict[str, Any]:
        return {"keys": [key.jwk() for key in self.keys]}


def verification_key(key: object, what: str) -> VerificationKey:
    if isinstance(key, rsa.RSAPublicKey):
        algorithm = "RS256"
    elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES:
        algorithm = CURVES[key.curve.name]
    else:
        raise PkiError(f"{what} must be an RSA key or one on an elliptic curve")
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
    return VerificationKey(digest, algorithm, key)


def _keys_of(path: Path) -> list[VerificationKey]:
    found = [_public(match.group(0), match.group(1), path) for match in PEM_BLOCK.finditer(_content(path))]
    keys = [verification_key(key, str(path)) for key in found if key is not None]
    if not keys:
        raise PkiError(f"{path} holds no public key in PEM")
    return keys


def _public(block: bytes, label: bytes, path: Path) -> object | None:
    try:
        if label == b"CERTIFICATE":
            return x509.load_pem_x509_certificate(block).public_key()
        if label.endswith(b"PRIVATE KEY"):
            return serialization.load_pem_private_key(block, password=None).public_key()
        return serialization.load_pem_public_key(block) if label.endswith(b"PUBLIC KEY") else None
    except (ValueError, TypeError) as error:
        raise PkiError(f"{path} holds a {label.decode().lower()} that cannot be read") from error


def _content(path: Path) -> bytes:
    content = read_file(path)
    if content is None:
        raise PkiError(f"{path} is not there: make it with: picluster pki init --dir {path.parent}")
    return content
