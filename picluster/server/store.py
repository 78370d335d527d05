"""The store that a configuration names: opened by the API server, and looked at by who saves and restores it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from picluster.server.config import ServerConfig, ServerError
from picluster.storage import sqlitecontents
from picluster.storage.backend import Backend, StorageError
from picluster.storage.contents import Contents

if TYPE_CHECKING:
    from picluster.storage.etcdwire import EtcdConfig

MIB = 1024**2


def backend(config: ServerConfig) -> Backend:
    """A backend that has not been started."""
    if config.store.backend == "etcd":
        from picluster.storage.etcd import EtcdBackend

        return EtcdBackend(etcd(config))
    from picluster.storage.sqlite import SqliteBackend

    return SqliteBackend(file(config), config.store.size_max_mib * MIB)


def describe(config: ServerConfig) -> str:
    return str(etcd(config)) if config.store.backend == "etcd" else str(file(config))


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """What the store says is what the operator of this server is told."""
    try:
        yield
    except StorageError as error:
        raise ServerError(str(error)) from error


async def read(config: ServerConfig) -> Contents:
    """Everything that is stored, as of one moment, also while servers run; raises ``ServerError``."""
    with explained():
        if config.store.backend == "etcd":
            from picluster.storage import etcdcontents

            return await etcdcontents.read(etcd(config))
        return sqlitecontents.read(file(config))


async def write(config: ServerConfig, contents: Contents, *, bump: int, force: bool) -> None:
    """Put ``contents`` into a store that is empty; ``force`` makes room, but never deletes a file of SQLite's.

    No server may run on it. Raises ``ServerError``.
    """
    with explained():
        if config.store.backend == "etcd":
            from picluster.storage import etcdcontents

            await etcdcontents.write(contents, etcd(config), bump=bump, force=force)
            return
        if force:
            sqlitecontents.set_aside(file(config))
        sqlitecontents.write(contents, file(config), bump=bump)


async def defragment(config: ServerConfig) -> None:
    """Make the store's files as small as they can be; a SQLite store must not be in use. Raises ``ServerError``."""
    with explained():
        if config.store.backend == "etcd":
            from picluster.storage import etcdcontents

            await etcdcontents.defragment(etcd(config))
            return
        sqlitecontents.defragment(file(config))


def file(config: ServerConfig) -> Path:
    return config.data_dir / "store" / "picluster.db"


def etcd(config: ServerConfig) -> EtcdConfig:
    from picluster.storage.etcdwire import EtcdConfig

    store = config.store
    assert store.ca is not None and store.cert is not None and store.key is not None  # the reader saw to it
    return EtcdConfig(store.endpoints, store.ca, store.cert, store.key, store.prefix)
