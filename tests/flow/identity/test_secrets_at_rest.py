"""Secrets on the disk of a running server: ciphertext, and readable over a change of the key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from control_plane import Cluster, Pki

from picluster.api.resources import CONFIGMAPS, SECRETS
from picluster.client import Client
from picluster.pki import encryption
from picluster.pki.bundle import Bundle, rotate_encryption_key
from picluster.storage.sqlite import SqliteBackend


@pytest.fixture
async def rack(pki: Pki, tmp_path: Path) -> AsyncIterator[Any]:
    """``await rack()`` starts a server on the one store of the test, after stopping the one before."""
    encryption.ensure(Bundle(tmp_path))
    clients: list[Client] = []
    running: list[Cluster] = []

    async def stop() -> None:
        for client in clients:
            await client.close()
        for cluster in running:
            await cluster.stop()
        clients.clear()
        running.clear()

    async def start() -> Client:
        await stop()
        cluster = Cluster(pki, SqliteBackend(tmp_path / "store.db"), encryption=tmp_path / "encryption.yaml")
        await cluster.start()
        running.append(cluster)
        clients.append(await Client(cluster.config).__aenter__())
        return clients[-1]

    yield start
    await stop()


def on_disk(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.glob("store.db*"))


async def test_the_disk_never_sees_a_secret_and_keys_are_replaced_in_place(rack: Any, tmp_path: Path) -> None:
    client = await rack()
    await client.create(CONFIGMAPS, {"metadata": {"name": "c", "namespace": "default"}, "data": {"k": "in the open"}})
    secret = {"metadata": {"name": "s", "namespace": "default"}, "stringData": {"k": "hush"}}
    made = await client.create(SECRETS, secret)
    assert made["data"] == {"k": "aHVzaA=="}
    disk = on_disk(tmp_path)
    assert b"in the open" in disk and b"aHVzaA" not in disk and b"k8s:enc:aesgcm:v1:key1:" in disk
    rotate_encryption_key(tmp_path)
    client = await rack()
    found = await client.get(SECRETS, "s", namespace="default")
    assert found["data"] == {"k": "aHVzaA=="}
    written = await client.update(SECRETS, found)
    assert written["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]
    assert b"k8s:enc:aesgcm:v1:key2:" in on_disk(tmp_path)
    again = await client.update(SECRETS, written)
    assert again["metadata"]["resourceVersion"] == written["metadata"]["resourceVersion"]
