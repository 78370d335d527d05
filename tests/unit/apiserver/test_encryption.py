"""Encryption at rest: what lies in the store, who can read it, and what a configuration must say."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from picluster.apiserver.encryption.backend import EncryptedBackend
from picluster.apiserver.encryption.config import EncryptionError, load, parse
from picluster.storage.backend import Event, StorageError
from picluster.storage.memory import MemoryBackend

KEY = "secrets/default/db"
PLAIN = b'","name":"db"}'


def key(name: str, fill: int = 1) -> dict[str, str]:
    return {"name": name, "secret": base64.b64encode(bytes([fill]) * 32).decode()}


def document(*providers: dict[str, Any], resources: tuple[str, ...] = ("secrets",)) -> dict[str, Any]:
    entry = {"resources": list(resources), "providers": list(providers)}
    return {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": [entry]}


def gcm(*keys: dict[str, str]) -> dict[str, Any]:
    return {"aesgcm": {"keys": list(keys)}}


class Opened:
    """A started encrypted backend over ``inner``, and what it told its watcher."""

    def __init__(self, inner: MemoryBackend, *providers: dict[str, Any], **more: Any) -> None:
        self.inner = inner
        self.backend = EncryptedBackend(inner, parse(document(*providers, **more), "encryption.yaml"))
        self.events: list[Event] = []

    async def start(self) -> dict[str, bytes]:
        await self.inner.close()
        snapshot = await self.backend.start(self.events.extend)
        return {record.key: record.value for record in snapshot.records}

    def disk(self, key: str = KEY) -> bytes:
        return self.inner._live[key].value


@pytest.mark.parametrize("provider", ["aesgcm", "aescbc", "secretbox"])
async def test_the_disk_has_ciphertext_and_the_watchers_have_not(provider: str) -> None:
    opened = Opened(MemoryBackend(), {provider: {"keys": [key("k1")]}})
    await opened.start()
    revision = await opened.backend.put(KEY, PLAIN, 0)
    assert opened.disk().startswith(f"k8s:enc:{provider}:v1:k1:".encode()) and b"name" not in opened.disk()
    assert opened.events == [Event(revision, KEY, PLAIN)]
    again = Opened(opened.inner, {provider: {"keys": [key("k1")]}})
    assert await again.start() == {KEY: PLAIN}


async def test_other_resources_are_kept_as_they_are() -> None:
    opened = Opened(MemoryBackend(), gcm(key("k1")))
    await opened.start()
    await opened.backend.put("configmaps/default/db", PLAIN, 0)
    assert opened.disk("configmaps/default/db") == PLAIN


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        ("*.*", {"secrets", "deployments.apps"}),
        ("*.", {"secrets"}),
        ("*.apps", {"deployments.apps"}),
        ("deployments.apps", {"deployments.apps"}),
    ],
)
def test_resources_are_named_alone_or_by_group(pattern: str, covered: set[str]) -> None:
    encryption = parse(document(gcm(key("k1")), resources=(pattern,)), "x")
    assert {each for each in ("secrets", "deployments.apps") if encryption.rule(each)} == covered


async def test_a_key_is_replaced_while_the_old_one_still_reads() -> None:
    old = Opened(MemoryBackend(), gcm(key("k1")))
    await old.start()
    revision = await old.backend.put(KEY, PLAIN, 0)
    new = Opened(old.inner, gcm(key("k2", 2), key("k1")))
    assert await new.start() == {KEY: PLAIN}
    assert new.backend.stale == {KEY}
    await new.backend.put(KEY, PLAIN, revision)
    assert new.disk().startswith(b"k8s:enc:aesgcm:v1:k2:") and not new.backend.stale
    assert await Opened(old.inner, gcm(key("k2", 2))).start() == {KEY: PLAIN}


async def test_what_was_plain_is_read_where_identity_is_named_and_is_stale() -> None:
    inner = MemoryBackend()
    await inner.start(lambda events: None)
    await inner.put(KEY, PLAIN, 0)
    opened = Opened(inner, gcm(key("k1")), {"identity": {}})
    assert await opened.start() == {KEY: PLAIN} and opened.backend.stale == {KEY}
    with pytest.raises(StorageError, match=r"is not encrypted, and .* does not let that be read"):
        await Opened(inner, gcm(key("k1"))).start()


async def test_encryption_is_ended_by_putting_identity_first() -> None:
    opened = Opened(MemoryBackend(), gcm(key("k1")))
    await opened.start()
    revision = await opened.backend.put(KEY, PLAIN, 0)
    ended = Opened(opened.inner, {"identity": {}}, gcm(key("k1")))
    assert await ended.start() == {KEY: PLAIN} and ended.backend.stale == {KEY}
    await ended.backend.put(KEY, PLAIN, revision)
    assert ended.disk() == PLAIN


@pytest.mark.parametrize("keys", [[key("k2", 2)], [key("k1", 2)]])
async def test_a_missing_key_is_named(keys: list[dict[str, str]]) -> None:
    opened = Opened(MemoryBackend(), gcm(key("k1")))
    await opened.start()
    await opened.backend.put(KEY, PLAIN, 0)
    with pytest.raises(StorageError, match="secrets/default/db is encrypted with the aesgcm key 'k1'"):
        await Opened(opened.inner, gcm(*keys)).start()


async def test_a_value_in_another_place_is_not_taken() -> None:
    opened = Opened(MemoryBackend(), gcm(key("k1")))
    await opened.start()
    await opened.backend.put(KEY, PLAIN, 0)
    await opened.inner.close()
    await opened.inner.start(lambda events: None)
    await opened.inner.put("secrets/other/db", opened.disk(), 0)
    with pytest.raises(StorageError, match="secrets/other/db"):
        await Opened(opened.inner, gcm(key("k1"))).start()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "Other"}, "it must be an EncryptionConfiguration"),
        (document({"rot13": {"keys": [key("k1")]}}), "known are aesgcm, aescbc, secretbox, identity"),
        (document(gcm({"name": "k1", "secret": "c2hvcnQ="})), "must be of 16 or 24 or 32 bytes"),
        (document(gcm({"name": "k1", "secret": "!"})), "secret is no base64"),
        (document(gcm({"name": "a:b", "secret": ""})), "must be a name without a colon"),
        (document(gcm(key("k1"), key("k1"))), "has the name k1 twice"),
        (document(gcm()), "keys must be a list with something in it"),
    ],
)
def test_a_configuration_is_refused_with_its_place(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "encryption.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(EncryptionError, match=r"encryption\.yaml: ") as refused:
        load(path)
    assert message in str(refused.value) and "c2hvcnQ" not in str(refused.value)
