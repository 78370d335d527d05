"""Which credentials fit an image, as ``pkg/credentialprovider`` has it. Pure.

An entry of a Docker ``config.json`` names a registry by host, with a port and the beginning of a path if it likes:
``registry.example:5000/team``. ``*`` stands for any part of a host name between two dots. All entries that fit are
tried, the most specific first; a pod's before the node's. A password never shows in a ``repr``.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from picluster.api.types import Object
from picluster_agent.images.reference import DEFAULT_DOMAIN, LEGACY_DOMAIN

DOCKER_CONFIG_JSON = ("kubernetes.io/dockerconfigjson", ".dockerconfigjson")
DOCKER_CFG = ("kubernetes.io/dockercfg", ".dockercfg")


class CredentialsError(ValueError):
    """What should be a Docker configuration is none; the message has nothing of its content."""


@dataclass(frozen=True, slots=True)
class Source:
    """The Secret that a credential comes from."""

    uid: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Credential:
    """A user and a password. ``source`` is ``None`` for one that every pod of the node may use."""

    username: str
    password: str = field(repr=False)
    source: Source | None = None

    @property
    def header(self) -> str:
        """The value of ``X-Registry-Auth``."""
        text = json.dumps({"username": self.username, "password": self.password})
        return base64.urlsafe_b64encode(text.encode()).decode()

    @property
    def digest(self) -> str:
        """Tells credentials apart without giving them away."""
        return hashlib.sha256(f"{len(self.username)}:{self.username}{self.password}".encode()).hexdigest()


class Keyring:
    """Credentials by the registries that they are for."""

    def __init__(self) -> None:
        self._entries: dict[str, list[Credential]] = {}

    def add(self, auths: Mapping[str, object], source: Source | None = None) -> None:
        """The entries of a Docker configuration; raises ``CredentialsError``."""
        for location, entry in auths.items():
            self._entries.setdefault(_key(location), []).append(_credential(entry, source))

    def lookup(self, repository: str) -> list[Credential]:
        """What to try for a repository in full (``docker.io/library/busybox``), in order."""
        found: list[Credential] = []
        for key in sorted(self._entries, reverse=True):
            if _fits(key, repository):
                found += self._entries[key]
        if not found and repository.startswith(f"{DEFAULT_DOMAIN}/"):
            found = list(self._entries.get(LEGACY_DOMAIN, ()))
        return found


def lookup(repository: str, secrets: Iterable[Object], node: Mapping[str, object]) -> list[Credential]:
    """The credentials in ``secrets``, then the node's; raises ``CredentialsError``."""
    of_pod, of_node = Keyring(), Keyring()
    for secret in secrets:
        of_pod.add(*_of_secret(secret))
    of_node.add(node)
    return [*of_pod.lookup(repository), *of_node.lookup(repository)]


def auths(text: bytes, *, nested: bool = True) -> dict[str, object]:
    """The entries of a ``config.json``, or of the older ``.dockercfg`` which has nothing around them."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise CredentialsError("it is not JSON") from error
    if isinstance(document, dict) and nested:
        document = document.get("auths") or {}
    if not isinstance(document, dict):
        raise CredentialsError("it has no registries with their credentials")
    return document


def _of_secret(secret: Object) -> tuple[dict[str, object], Source]:
    metadata = secret["metadata"]
    source = Source(str(metadata.get("uid", "")), str(metadata.get("namespace", "")), str(metadata["name"]))
    for kind, key in (DOCKER_CONFIG_JSON, DOCKER_CFG):
        value = (secret.get("data") or {}).get(key)
        if secret.get("type") == kind and value:
            try:
                return auths(base64.b64decode(value), nested=kind == DOCKER_CONFIG_JSON[0]), source
            except ValueError as error:
                raise CredentialsError(f"{key} of the Secret {source.name} cannot be read: {error}") from error
    return {}, source


def _credential(entry: object, source: Source | None) -> Credential:
    if not isinstance(entry, dict):
        raise CredentialsError("an entry is not a mapping")
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if auth := entry.get("auth"):
        username, password = _decoded(str(auth))
    return Credential(username, password, source)


def _decoded(auth: str) -> tuple[str, str]:
    try:
        packed = auth.replace("\n", "").replace("\r", "")  # as Go reads it
        text = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise CredentialsError("auth is not base64") from error
    username, colon, password = text.partition(":")
    if not colon:
        raise CredentialsError("unable to parse auth field, must be formatted as base64(username:password)")
    return username, password


def _key(location: str) -> str:
    """``https://index.docker.io/v1/`` and the like, without scheme and version of the API."""
    host, slash, path = location.removeprefix("https://").removeprefix("http://").partition("/")
    path = slash + path
    if path.startswith(("/v1/", "/v2/")):
        path = path[3:]
    return host + path if path not in ("", "/") else host


def _fits(key: str, repository: str) -> bool:
    host, slash, path = key.partition("/")
    target, target_slash, target_path = repository.partition("/")
    if not (target_slash + target_path).startswith(slash + path):
        return False
    name, _, port = host.partition(":")
    target_name, _, target_port = target.partition(":")
    parts, target_parts = name.split("."), target_name.split(".")
    if port != target_port or len(parts) != len(target_parts):
        return False
    return all(fnmatch.fnmatchcase(one, part) for part, one in zip(parts, target_parts, strict=True))
