"""Keys and certificate requests, by the ``openssl`` program that every board has: no library, no memory."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

TIMEOUT_S = 30.0


class OpensslError(Exception):
    """It could not be run, or refused; the message says why."""


class KeyAndRequest(NamedTuple):
    key: bytes
    request: bytes


class Validity(NamedTuple):
    """In seconds since the epoch."""

    begins_s: float
    ends_s: float


async def key_and_request(subject: str, names: Sequence[str] = (), addresses: Sequence[str] = ()) -> KeyAndRequest:
    """A new P-256 key, and a request for a certificate of ``subject`` (``/O=system:nodes/CN=…``), both PEM."""
    sans = [*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in addresses)]
    with tempfile.TemporaryDirectory(prefix="picluster-identity-") as place:
        key = Path(place, "key")
        words = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key)]
        words += ["-subj", subject]
        if sans:
            words += ["-addext", f"subjectAltName={','.join(sans)}"]
        request = await _run(words, b"")
        return KeyAndRequest(await asyncio.to_thread(key.read_bytes), request)


async def validity(certificate: bytes) -> Validity:
    """From when to when a certificate is good."""
    said = (await _run(["x509", "-noout", "-startdate", "-enddate"], certificate)).decode()
    dates = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    try:
        return Validity(*(float(ssl.cert_time_to_seconds(dates[name])) for name in ("notBefore", "notAfter")))
    except (KeyError, ValueError) as error:
        raise OpensslError(f"the dates of the certificate cannot be read: {said!r}") from error


async def key_digest(certificate: bytes) -> str:
    """The digest of a certificate's public key, as kubeadm's ``--discovery-token-ca-cert-hash`` has it."""
    pem = await _run(["x509", "-noout", "-pubkey"], certificate)
    der = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


async def _run(words: Sequence[str], content: bytes) -> bytes:
    try:
        process = await asyncio.create_subprocess_exec(
            "openssl", *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise OpensslError(f"openssl cannot be run: {error.strerror}: install it") from error
    try:
        async with asyncio.timeout(TIMEOUT_S):
            out, said = await process.communicate(content)
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise OpensslError(f"openssl {words[0]} did not end within {TIMEOUT_S:.0f} s") from error
    if process.returncode:
        raise OpensslError(f"openssl {words[0]}: {said.decode(errors='replace').strip()}")
    return out
