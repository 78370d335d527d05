"""The file by which a client finds the API server and proves who it is (kubectl's ``Config``, version v1)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml


def render(server: str, user: str, ca: Path, certificate: Path, key: Path, *, embed: bool) -> bytes:
    """A kubeconfig for ``server``; ``embed`` puts the files' content in, otherwise their absolute paths."""
    cluster: dict[str, Any] = {"server": server, **_reference("certificate-authority", ca, embed)}
    identity = {**_reference("client-certificate", certificate, embed), **_reference("client-key", key, embed)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "picluster", "cluster": cluster}],
        "users": [{"name": user, "user": identity}],
        "contexts": [{"name": "picluster", "context": {"cluster": "picluster", "user": user}}],
        "current-context": "picluster",
    }
    return yaml.safe_dump(config, sort_keys=False, width=1_000_000).encode()


def without_identity(server: str, authority_pem: str) -> str:
    """Only where the API server is and which authority it has, as ``kube-public/cluster-info`` publishes it."""
    data = base64.b64encode(authority_pem.encode()).decode()
    cluster = {"certificate-authority-data": data, "server": server}
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "clusters": [{"cluster": cluster, "name": ""}],
        "contexts": None,
        "current-context": "",
        "kind": "Config",
        "preferences": {},
        "users": None,
    }
    return yaml.safe_dump(config, sort_keys=False, width=1_000_000)


def _reference(field: str, path: Path, embed: bool) -> dict[str, str]:
    if embed:
        return {f"{field}-data": base64.b64encode(path.read_bytes()).decode()}
    return {field: str(path.absolute())}
