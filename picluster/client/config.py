"""Where the API server is and how to prove who asks: a kubeconfig, read.

The file format is ``client.config.k8s.io``'s ``v1.Config``. Files that it names are relative to it. What it may say and
picluster cannot do (exec plugins, proxies) is refused by name rather than ignored.
"""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


class ConfigError(Exception):
    """A kubeconfig that cannot be used; the message names the file, the cause and the cure."""


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """A server and an identity. PEM data is held as bytes, so nothing is read again once this exists.

    ``ca`` is ``None`` for the system's authorities; ``tls_server_name`` is what the certificate must say when that is
    not the host in ``server``; ``namespace`` is the context's, for commands that were given none.
    """

    server: str
    ca: bytes | None = None
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    tls_server_name: str | None = None
    insecure_skip_tls_verify: bool = False
    namespace: str = "default"

    @classmethod
    def from_kubeconfig(
        cls, path: Path | str, context: str | None = None, *, allow_insecure: bool = False
    ) -> ClientConfig:
        """Read ``path``; ``context`` overrides its ``current-context``. Raises ``ConfigError``.

        ``insecure-skip-tls-verify: true`` is refused unless ``allow_insecure`` says that it is meant.
        """
        return _Kubeconfig(Path(path)).client_config(context, allow_insecure=allow_insecure)

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS side of it; ``None`` for a plain ``http://`` server."""
        if not self.server.startswith("https://"):
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.insecure_skip_tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.ca is not None:
            _load_authorities(context, self.ca)
        else:
            context.load_default_certs()
        if self.certificate is not None and self.key is not None:
            _load_identity(context, self.certificate, self.key)
        return context


def _load_authorities(context: ssl.SSLContext, ca: bytes) -> None:
    try:
        context.load_verify_locations(cadata=ca.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise ConfigError(f"the certificate authority is not a PEM certificate ({error}): fetch it again") from error


def _load_identity(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL reads an identity from a file only: it gets a private one (0600) that is gone a moment later."""
    with tempfile.NamedTemporaryFile(prefix="picluster-identity-") as file:
        file.write(certificate.rstrip() + b"\n" + key)
        file.flush()
        try:
            context.load_cert_chain(file.name)
        except ssl.SSLError as error:
            raise ConfigError(
                f"the client certificate and its key do not fit together or are not PEM ({error.reason or error})"
            ) from error


class _Kubeconfig:
    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            document = yaml.safe_load(path.read_bytes())
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror}") from error
        except yaml.YAMLError as error:
            raise self._error("is not YAML") from error
        if not isinstance(document, dict):
            raise self._error("is empty or not a kubeconfig")
        self._document: dict[str, Any] = document

    def client_config(self, context_name: str | None, *, allow_insecure: bool) -> ClientConfig:
        context_name = context_name or str(self._document.get("current-context") or "")
        if not context_name:
            raise self._error("has no current-context: name a context")
        context = self._entry("contexts", "context", context_name)
        cluster = self._entry("clusters", "cluster", str(context.get("cluster") or ""))
        user = self._entry("users", "user", str(context["user"])) if context.get("user") else {}
        self._refuse_unsupported(cluster, user)
        insecure = bool(cluster.get("insecure-skip-tls-verify"))
        if insecure and not allow_insecure:
            raise self._error(
                "says insecure-skip-tls-verify, so anybody could pose as the API server: "
                "give certificate-authority-data instead, or say that it is meant"
            )
        certificate = self._data(user, "client-certificate")
        key = self._data(user, "client-key")
        if (certificate is None) != (key is None):
            raise self._error("has a client certificate without its key, or a key without its certificate")
        return ClientConfig(
            server=self._server(cluster),
            ca=self._data(cluster, "certificate-authority"),
            certificate=certificate,
            key=key,
            token=self._token(user),
            tls_server_name=cluster.get("tls-server-name") or None,
            insecure_skip_tls_verify=insecure,
            namespace=str(context.get("namespace") or "default"),
        )

    def _error(self, what: str) -> ConfigError:
        return ConfigError(f"the kubeconfig {self._path} {what}")

    def _entry(self, section: str, part: str, name: str) -> dict[str, Any]:
        for entry in self._document.get(section) or []:
            if isinstance(entry, dict) and entry.get("name") == name:
                value = entry.get(part) or {}
                if isinstance(value, dict):
                    return value
        known = ", ".join(str(e.get("name")) for e in self._document.get(section) or [] if isinstance(e, dict))
        raise self._error(f'has no {part} "{name}"; it has: {known or "none"}')

    def _server(self, cluster: dict[str, Any]) -> str:
        server = str(cluster.get("server") or "").rstrip("/")
        if not server.startswith(("https://", "http://")):
            raise self._error(f'has no usable server ("{server}"): it must be an https:// address')
        return server

    def _refuse_unsupported(self, cluster: dict[str, Any], user: dict[str, Any]) -> None:
        for part, names in ((cluster, ("proxy-url",)), (user, ("exec", "auth-provider", "username", "as"))):
            for name in names:
                if part.get(name):
                    raise self._error(f'uses "{name}", which picluster cannot do: use a client certificate or a token')

    def _data(self, part: dict[str, Any], name: str) -> bytes | None:
        """``<name>-data`` wins over the file ``<name>``, as in client-go."""
        if inline := part.get(f"{name}-data"):
            try:
                return base64.b64decode(inline, validate=True)
            except (binascii.Error, ValueError, TypeError) as error:
                raise self._error(f"has a {name}-data that is not base64") from error
        return self._file(part[name]) if part.get(name) else None

    def _token(self, user: dict[str, Any]) -> str | None:
        if user.get("tokenFile"):
            return self._file(user["tokenFile"]).decode().strip()
        return str(user["token"]) if user.get("token") else None

    def _file(self, name: str) -> bytes:
        path = self._path.parent / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise self._error(f"names {path}, which cannot be read: {error.strerror}") from error
