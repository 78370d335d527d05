"""An ``EncryptionConfiguration`` (``apiserver.config.k8s.io/v1``), read and checked.

    resources:
    - resources: [secrets]
      providers:
      - aesgcm: {keys: [{name: key2, secret: <base64>}, {name: key1, secret: <base64>}]}
      - identity: {}

The first key of the first provider writes; all read. What an error shows is never part of a key.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from picluster.apiserver.encryption.providers import CIPHERS, KEY_BYTES, Cipher, Lazy

API_VERSIONS = ("apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1", "apiserver.config.k8s.io/v1alpha1")
KIND = "EncryptionConfiguration"


class EncryptionError(Exception):
    """A configuration that cannot be used; the message names the file, the place and the cure."""


@dataclass(frozen=True, slots=True)
class Key:
    """``prefix`` is what the values begin with that it wrote; empty for those that are not encrypted."""

    name: str
    provider: str
    prefix: bytes
    cipher: Cipher | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """Which resources (``secrets``, ``*.apps``, ``*.``, ``*.*``), and with which keys, the writing one first."""

    resources: tuple[str, ...]
    keys: tuple[Key, ...]

    def covers(self, resource_id: str) -> bool:
        group = resource_id.partition(".")[2]
        return bool({resource_id, f"*.{group}", "*.*"} & set(self.resources))


@dataclass(frozen=True, slots=True)
class Encryption:
    source: str
    rules: tuple[Rule, ...]

    def rule(self, resource_id: str) -> Rule | None:
        """The first rule for a resource (``secrets``, ``deployments.apps``)."""
        return next((rule for rule in self.rules if rule.covers(resource_id)), None)


def load(path: Path) -> Encryption:
    """Read and check; raises ``EncryptionError``."""
    try:
        document = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise EncryptionError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError:
        raise EncryptionError(f"{path} is no YAML") from None
    return parse(document, str(path))


def parse(document: Any, source: str) -> Encryption:
    """Check a decoded configuration; ``source`` says where it is from."""
    try:
        if not isinstance(document, dict) or document.get("kind") != KIND:
            raise ValueError(f"it must be an {KIND}")
        if document.get("apiVersion") not in API_VERSIONS:
            raise ValueError(f"apiVersion must be {API_VERSIONS[0]}")
        rules = [_rule(entry, f"resources[{index}]") for index, entry in enumerate(_list(document, "resources", ""))]
    except ValueError as error:
        raise EncryptionError(f"{source}: {error}") from None
    return Encryption(source, tuple(rules))


def _rule(entry: Any, where: str) -> Rule:
    names = _list(entry, "resources", where)
    if not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"{where}.resources must be names such as secrets")
    providers = _list(entry, "providers", where)
    keys = [key for index, each in enumerate(providers) for key in _keys(each, f"{where}.providers[{index}]")]
    return Rule(tuple(names), tuple(keys))


def _keys(provider: Any, where: str) -> Iterator[Key]:
    if not isinstance(provider, dict) or len(provider) != 1:
        raise ValueError(f"{where} must be one provider")
    kind, settings = next(iter(provider.items()))
    if kind == "identity":
        yield Key("", kind, b"", None)
    elif kind in CIPHERS:
        names: set[str] = set()
        for index, key in enumerate(_list(settings, "keys", f"{where}.{kind}")):
            made = _key(kind, key, f"{where}.{kind}.keys[{index}]")
            if made.name in names:
                raise ValueError(f"{where}.{kind}.keys has the name {made.name} twice")
            names.add(made.name)
            yield made
    else:
        raise ValueError(f"{where} is {kind!r}; known are {', '.join([*CIPHERS, 'identity'])}")


def _key(kind: str, key: Any, where: str) -> Key:
    name, secret = (key.get("name"), key.get("secret")) if isinstance(key, dict) else (None, None)
    if not isinstance(name, str) or not name or ":" in name:
        raise ValueError(f"{where}.name must be a name without a colon")
    try:
        raw = base64.b64decode(secret or "", validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise ValueError(f"{where}.secret is no base64") from None
    if len(raw) not in KEY_BYTES[kind]:
        raise ValueError(f"{where}.secret must be of {' or '.join(map(str, KEY_BYTES[kind]))} bytes, in base64")
    return Key(name, kind, f"k8s:enc:{kind}:v1:{name}:".encode(), Lazy(kind, raw))


def _list(entry: Any, name: str, where: str) -> list[Any]:
    found = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(found, list) or not found:
        raise ValueError(f"{f'{where}.' if where else ''}{name} must be a list with something in it")
    return found
