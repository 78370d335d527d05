"""A store that never sees what it keeps: encrypts on the way in, decrypts on the way to the watch cache."""

from __future__ import annotations

from collections.abc import Sequence

from picluster.apiserver.encryption.config import Encryption, Key, Rule
from picluster.apiserver.encryption.providers import DecryptionError
from picluster.storage.backend import Apply, Backend, Event, Record, Snapshot, StorageError

ENCRYPTED = b"k8s:enc:"


class EncryptedBackend:
    """``stale`` are the keys of values that another than the writing key wrote; writing such a value is never idle."""

    def __init__(self, backend: Backend, encryption: Encryption) -> None:
        self._backend = backend
        self._encryption = encryption
        self.stale: set[str] = set()
        self._rules: dict[str, Rule | None] = {}

    @property
    def size_bytes(self) -> int:
        return self._backend.size_bytes

    async def start(self, apply: Apply) -> Snapshot:
        """Raises ``StorageError`` for a value that no configured key opens."""
        snapshot = await self._backend.start(lambda events: apply([self._event(event) for event in events]))
        try:
            records = [self._record(record) for record in snapshot.records]
            history = [self._event(event) for event in snapshot.history if self._readable(event)]
        except StorageError:
            await self._backend.close()
            raise
        forgotten = [event.revision for event in snapshot.history if not self._readable(event)]
        compacted = max([snapshot.compacted, *forgotten])
        return Snapshot(snapshot.revision, compacted, records, [e for e in history if e.revision > compacted])

    async def put(self, key: str, value: bytes, expected: int, *, durable: bool = True) -> int:
        rule = self._rule(key)
        if rule is not None and (cipher := rule.keys[0].cipher) is not None:
            value = rule.keys[0].prefix + cipher.encrypt(value, key.encode())
        revision = await self._backend.put(key, value, expected, durable=durable)
        self.stale.discard(key)
        return revision

    async def delete(self, key: str, expected: int) -> int:
        revision = await self._backend.delete(key, expected)
        self.stale.discard(key)
        return revision

    async def compact(self, revision: int) -> None:
        await self._backend.compact(revision)

    async def close(self) -> None:
        await self._backend.close()

    def _rule(self, key: str) -> Rule | None:
        resource_id = key.partition("/")[0]
        if resource_id not in self._rules:
            self._rules[resource_id] = self._encryption.rule(resource_id)
        return self._rules[resource_id]

    def _record(self, record: Record) -> Record:
        rule = self._rule(record.key)
        if rule is None and not record.value.startswith(ENCRYPTED):
            return record
        if rule is None or not _wrote(rule.keys[0], record.value):
            self.stale.add(record.key)
        return record._replace(value=self._open(record.key, record.value))

    def _event(self, event: Event) -> Event:
        if event.value is None or not event.value.startswith(ENCRYPTED):
            return event
        return event._replace(value=self._open(event.key, event.value))

    def _readable(self, event: Event) -> bool:
        """Whether a superseded value can still be shown; its key may be gone for good reason."""
        if event.value is None or not event.value.startswith(ENCRYPTED):
            return True
        return any(_wrote(key, event.value) for key in self._keys(event.key))

    def _keys(self, key: str) -> Sequence[Key]:
        """Those of the resource's rule, then all others: what a rule no longer covers must stay readable."""
        rule = self._rule(key)
        others = [each for other in self._encryption.rules for each in other.keys]
        return [*(rule.keys if rule is not None else ()), *others]

    def _open(self, key: str, value: bytes) -> bytes:
        if not value.startswith(ENCRYPTED):
            return self._plain(key, value)
        for each in self._keys(key):
            if each.cipher is not None and _wrote(each, value):
                try:
                    return each.cipher.decrypt(value[len(each.prefix) :], key.encode())
                except DecryptionError:
                    continue
        provider, _, name = value[len(ENCRYPTED) :].decode(errors="replace").split(":", 3)[:3]
        raise StorageError(
            f"{key} is encrypted with the {provider} key {name!r}, which is not, or not the same, in"
            f" {self._encryption.source}: put that key back, below the first"
        )

    def _plain(self, key: str, value: bytes) -> bytes:
        rule = self._rule(key)
        if rule is None or any(each.cipher is None for each in rule.keys):
            return value
        raise StorageError(
            f"{key} is not encrypted, and {self._encryption.source} does not let that be read: add the provider"
            " identity, the last of its resource, until all is encrypted"
        )


def _wrote(key: Key, value: bytes) -> bool:
    return value.startswith(key.prefix) if key.prefix else not value.startswith(ENCRYPTED)
