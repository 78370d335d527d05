"""JSON Web Tokens: which key signs, which verify, and what is refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from picluster.pki.files import PkiError
from picluster.pki.tokens import BadToken, Signer, Verifier

KEYS = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
}


def pem(key: object, *, public: bool = False) -> bytes:
    if public:
        return key.public_key().public_bytes(  # type: ignore[attr-defined, no-any-return]
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    return key.private_bytes(  # type: ignore[attr-defined, no-any-return]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize("algorithm", KEYS)
def test_the_key_says_how_it_signs(tmp_path: Path, algorithm: str) -> None:
    private, public = tmp_path / "sa.key", tmp_path / "sa.pub"
    private.write_bytes(pem(KEYS[algorithm]))
    public.write_bytes(pem(KEYS[algorithm], public=True))
    token = Signer.load(private).sign({"sub": "me"})
    verifier = Verifier.load([public])
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    assert verifier.claims(token) == {"sub": "me"}
    (shown,) = verifier.jwks()["keys"]
    assert shown["use"] == "sig" and shown["alg"] == algorithm and "d" not in shown
    assert shown["kid"] == jwt.get_unverified_header(token)["kid"]
    assert Verifier.load([private]).keys[0].id == verifier.keys[0].id


def test_several_keys_in_one_file_verify(tmp_path: Path) -> None:
    path = tmp_path / "sa.pub"
    path.write_bytes(pem(KEYS["ES256"], public=True) + pem(KEYS["RS256"], public=True))
    verifier = Verifier.load([path])
    for algorithm in ("ES256", "RS256"):
        assert verifier.claims(Signer(KEYS[algorithm]).sign({"a": algorithm})) == {"a": algorithm}


def forged(header: dict[str, str]) -> str:
    parts = [json.dumps(header).encode(), b'{"sub":"me"}', b""]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def test_what_no_key_has_signed_is_refused() -> None:
    verifier = Verifier([Signer(KEYS["ES256"]).public])
    secret = pem(KEYS["ES256"], public=True)
    head, body, _ = forged({"alg": "HS256", "typ": "JWT"}).split(".")
    confused = f"{head}.{body}.{base64.urlsafe_b64encode(secret[:32]).decode()}"
    for token in ("", "a.b.c", forged({"alg": "none"}), confused, Signer(KEYS["RS256"]).sign({"sub": "me"})):
        with pytest.raises(BadToken):
            verifier.claims(token)


def test_a_file_that_is_no_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sa.key"
    with pytest.raises(PkiError, match="is not there"):
        Signer.load(path)
    path.write_text("nonsense")
    with pytest.raises(PkiError, match="is no private key"):
        Signer.load(path)
    with pytest.raises(PkiError, match="holds no public key"):
        Verifier.load([path])
    path.write_bytes(pem(ed25519.Ed25519PrivateKey.generate()))
    with pytest.raises(PkiError, match="must be an RSA key or one on an elliptic curve"):
        Signer.load(path)
