"""The providers: one key each, authenticated by the object's place in the store where the cipher can do that.

Sources: ``k8s.io/apiserver/pkg/storage/value/encrypt``. Of each kind a library is imported when its first key is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

NONCE_BYTES = {"aesgcm": 12, "aescbc": 16, "secretbox": 24}
KEY_BYTES = {"aesgcm": (16, 24, 32), "aescbc": (16, 24, 32), "secretbox": (32,)}


class DecryptionError(Exception):
    """The value does not fit the key: it was written with another of the same name, or it is damaged."""


class Cipher(Protocol):
    def encrypt(self, plain: bytes, place: bytes) -> bytes: ...

    def decrypt(self, data: bytes, place: bytes) -> bytes:
        """Raises ``DecryptionError``."""
        ...


class AesGcm:
    """AES in Galois/counter mode, with a random nonce: change the key before it has written some billion values."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(key)

    def encrypt(self, plain: bytes, place: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES["aesgcm"])
        return nonce + self._cipher.encrypt(nonce, plain, place)

    def decrypt(self, data: bytes, place: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        nonce, rest = data[: NONCE_BYTES["aesgcm"]], data[NONCE_BYTES["aesgcm"] :]
        try:
            return self._cipher.decrypt(nonce, rest, place)
        except (InvalidTag, ValueError) as error:
            raise DecryptionError from error


class AesCbc:
    """AES in cipher block chaining, for stores that were written so; it does not notice what was changed."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers import algorithms

        self._algorithm = algorithms.AES(key)

    def encrypt(self, plain: bytes, place: bytes) -> bytes:
        from cryptography.hazmat.primitives import padding

        nonce, padder = os.urandom(NONCE_BYTES["aescbc"]), padding.PKCS7(128).padder()
        encryptor = self._cipher(nonce).encryptor()
        padded = padder.update(plain) + padder.finalize()
        return nonce + bytes(encryptor.update(padded) + encryptor.finalize())

    def decrypt(self, data: bytes, place: bytes) -> bytes:
        from cryptography.hazmat.primitives import padding

        nonce, rest = data[: NONCE_BYTES["aescbc"]], data[NONCE_BYTES["aescbc"] :]
        try:
            decryptor, unpadder = self._cipher(nonce).decryptor(), padding.PKCS7(128).unpadder()
            padded = decryptor.update(rest) + decryptor.finalize()
            return bytes(unpadder.update(padded) + unpadder.finalize())
        except ValueError as error:
            raise DecryptionError from error

    def _cipher(self, nonce: bytes) -> Any:
        from cryptography.hazmat.primitives.ciphers import Cipher as Mode
        from cryptography.hazmat.primitives.ciphers import modes

        return Mode(self._algorithm, modes.CBC(nonce))


class SecretBox:
    """XSalsa20 and Poly1305, as NaCl has it."""

    def __init__(self, key: bytes) -> None:
        from nacl.secret import SecretBox as Box

        self._box = Box(key)

    def encrypt(self, plain: bytes, place: bytes) -> bytes:
        return bytes(self._box.encrypt(plain, os.urandom(NONCE_BYTES["secretbox"])))

    def decrypt(self, data: bytes, place: bytes) -> bytes:
        from nacl.exceptions import CryptoError

        try:
            return self._box.decrypt(data)
        except (CryptoError, ValueError) as error:
            raise DecryptionError from error


class Lazy:
    """A cipher that is made, and its library loaded, when the first value needs it."""

    def __init__(self, kind: str, key: bytes) -> None:
        self._kind = kind
        self._key = key

    @cached_property
    def _cipher(self) -> Cipher:
        return CIPHERS[self._kind](self._key)

    def encrypt(self, plain: bytes, place: bytes) -> bytes:
        return self._cipher.encrypt(plain, place)

    def decrypt(self, data: bytes, place: bytes) -> bytes:
        return self._cipher.decrypt(data, place)


CIPHERS: dict[str, Callable[[bytes], Cipher]] = {"aesgcm": AesGcm, "aescbc": AesCbc, "secretbox": SecretBox}
