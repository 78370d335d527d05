"""The keys of what is encrypted at rest: an ``EncryptionConfiguration`` beside the certificates.

It is made once and never replaced; ``rotate`` puts a new key above the others, which stay for what they have written.
"""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from picluster.pki.files import PRIVATE, PkiError, read_file

if TYPE_CHECKING:
    from picluster.pki.bundle import Bundle

FILE = "encryption.yaml"
KEY_BYTES = 32
PROVIDER = "aesgcm"
KEY_NAME = re.compile(r"key(\d+)")


def ensure(bundle: Bundle) -> None:
    """A file with one key for Secrets, unless there is one; what is not encrypted yet stays readable."""
    path = bundle.directory / FILE
    if read_file(path) is not None:
        return
    providers = [{PROVIDER: {"keys": [_key("key1")]}}, {"identity": {}}]
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
    _write(bundle, path, document)


def rotate(bundle: Bundle) -> None:
    """Put a new key above those of the first provider of the first resource; raises ``PkiError``."""
    path = bundle.directory / FILE
    content = read_file(path)
    if content is None:
        raise PkiError(f"{path} is not there: make it with: picluster pki init --dir {bundle.directory}")
    try:
        document = yaml.safe_load(content)
        keys = next(iter(document["resources"][0]["providers"][0].values()))["keys"]
        names = [str(key["name"]) for key in keys]
    except (yaml.YAMLError, KeyError, TypeError, IndexError, StopIteration):
        raise PkiError(f"{path} has no list of keys in its first provider: correct it by hand") from None
    taken = [int(match.group(1)) for name in names if (match := KEY_NAME.fullmatch(name))]
    keys.insert(0, _key(f"key{max(taken, default=0) + 1}"))
    _write(bundle, path, document)


def _key(name: str) -> dict[str, str]:
    return {"name": name, "secret": base64.b64encode(os.urandom(KEY_BYTES)).decode()}


def _write(bundle: Bundle, path: Path, document: dict[str, Any]) -> None:
    bundle.write(path, yaml.safe_dump(document, sort_keys=False).encode(), PRIVATE)
