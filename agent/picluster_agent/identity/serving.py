"""The certificate of the agent's own server: the newest of what was provisioned and what was renewed.

A renewed certificate lies in one file with its key (``agent-current.pem`` beside ``agent.crt``), so it changes whole or
not at all. Whoever provisions the node anew has the last word, because his files are newer then.
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import NamedTuple

from picluster_agent.config import Serving
from picluster_agent.identity import kubeconfig

log = logging.getLogger(__name__)


class _Source(NamedTuple):
    changed_ns: int
    cert: Path
    key: Path


class ServingIdentity:
    """Holds the TLS context of the server, which never stops listening: new connections get what it has then."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._renewed = serving.cert.with_name(f"{serving.cert.stem}-current.pem")
        self._context: ssl.SSLContext | None = None
        self._used: _Source | None = None

    def context(self) -> ssl.SSLContext:
        """What the server listens with; raises ``OSError`` when a file is missing or makes no sense."""
        context = _blank()
        context.verify_mode = ssl.CERT_OPTIONAL
        self._context, self._used = context, None
        self.refresh()
        _there(self._serving.client_ca)
        context.load_verify_locations(self._serving.client_ca)
        return context

    def refresh(self) -> bool:
        """Take up what has changed on the disk; whether anything has. Raises ``OSError`` when nothing can be used."""
        problem: OSError | None = None
        for source in self._sources():
            if source == self._used:
                return False
            try:
                _blank().load_cert_chain(source.cert, source.key)
                if self._context is not None:
                    self._context.load_cert_chain(source.cert, source.key)
            except OSError as error:  # an SSLError is one
                log.warning("%s cannot be used: %s", source.cert, error)
                problem = problem or error
                continue
            self._used = source
            return True
        _there(self._serving.cert)
        _there(self._serving.key)
        raise problem or FileNotFoundError(2, "No such file or directory", str(self._serving.cert))

    def certificate(self) -> bytes:
        """The one in use (PEM); raises ``OSError``."""
        if self._used is None:
            self.refresh()
        assert self._used is not None
        return self._used.cert.read_bytes()

    def use(self, certificate: bytes, key: bytes) -> None:
        """Keep and serve a renewed certificate."""
        kubeconfig.replace(self._renewed, certificate.rstrip() + b"\n" + key)
        self.refresh()

    def _sources(self) -> list[_Source]:
        found = []
        for cert, key in ((self._serving.cert, self._serving.key), (self._renewed, self._renewed)):
            try:
                found.append(_Source(max(cert.stat().st_mtime_ns, key.stat().st_mtime_ns), cert, key))
            except FileNotFoundError:
                continue
        return sorted(found, reverse=True)


def _there(path: Path) -> None:
    """Raise ``OSError`` that names the file: OpenSSL's does not."""
    with path.open("rb"):
        pass


def _blank() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
