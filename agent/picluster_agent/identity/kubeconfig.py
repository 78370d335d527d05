"""The agent's kubeconfig: authority, certificate and key in one file, so that it changes whole or not at all."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import yaml

from picluster.client import ClientConfig

NAME = "picluster"


def write(path: Path, server: str, ca: bytes, *, certificate: bytes = b"", key: bytes = b"", token: str = "") -> None:
    """Replace ``path``, private, by a kubeconfig with a certificate and its key, or with a token."""
    user: dict[str, str] = {"token": token} if token else {}
    if certificate:
        user["client-certificate-data"] = b64encode(certificate).decode()
        user["client-key-data"] = b64encode(key).decode()
    cluster = {"server": server, "certificate-authority-data": b64encode(ca).decode()}
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": NAME, "user": user}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "current-context": NAME,
    }
    replace(path, yaml.safe_dump(document, sort_keys=False, width=1_000_000).encode())


def renewed(path: Path, before: ClientConfig, certificate: bytes, key: bytes) -> ClientConfig:
    """Write and read a kubeconfig that has everything of ``before`` but its identity."""
    assert before.ca is not None
    write(path, before.server, before.ca, certificate=certificate, key=key)
    return ClientConfig.from_kubeconfig(path)


def replace(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file aside, synced, and rename it over ``path``."""
    aside = path.with_name(f".{path.name}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside.unlink(missing_ok=True)
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        os.fchmod(fd, mode)
        file.write(content)
        file.flush()
        os.fsync(fd)
    aside.rename(path)
