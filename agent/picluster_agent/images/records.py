"""Which images were pulled here, and with whose credentials: small private files that outlive the agent.

``pulling/<hash of the name>`` stands while a pull goes on. An image whose agent died between the end of its pull and
its record is so never taken for one that was always there. ``pulled/<hash of the id>`` says who may use an image, by
repository. There are no credentials in them, only digests. As ``pullmanager/fs_pullrecords.go`` of the kubelet has it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from picluster.api.types import Object
from picluster_agent.identity.kubeconfig import replace
from picluster_agent.images.credentials import Credential
from picluster_agent.images.verification import Access

log = logging.getLogger(__name__)


class Record(msgspec.Struct):
    """Who may use image ``id``, by repository; an image of another repository is not to be used by anybody."""

    id: str
    access: dict[str, Access] = {}


class Records:
    """The files below ``directory``; made when there is something to write."""

    def __init__(self, directory: Path) -> None:
        self._pulling = directory / "pulling"
        self._pulled = directory / "pulled"
        self._intents: Counter[str] = Counter()
        self._lock = asyncio.Lock()

    @property
    def exist(self) -> bool:
        return self._pulling.is_dir() or self._pulled.is_dir()

    def of(self, image_id: str) -> Record | None:
        """What is known of an image; a file that cannot be read counts as a record of nobody's access."""
        try:
            return msgspec.json.decode(_file(self._pulled, image_id).read_bytes(), type=Record)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("the record of image %s cannot be read: %s", image_id, error)
            return Record(image_id)

    def is_pulling(self, name: str) -> bool:
        return name in self._intents or _file(self._pulling, name).exists()

    async def begin(self, name: str) -> None:
        """Before a pull of ``name``; each is followed by one ``end``, also where it was cut short."""
        self._intents[name] += 1
        async with self._lock:
            file = _file(self._pulling, name)
            if not file.exists():
                await asyncio.to_thread(replace, file, name.encode())

    async def end(self, name: str) -> None:
        self._intents[name] -= 1
        if self._intents[name] <= 0:
            del self._intents[name]
            async with self._lock:
                if name not in self._intents:
                    _file(self._pulling, name).unlink(missing_ok=True)

    async def grant(self, image_id: str, repository: str, credential: Credential | None) -> None:
        """``credential``, or nothing at all, was good enough to pull this image from ``repository``."""
        async with self._lock:
            known = self.of(image_id)
            record = known or Record(image_id)
            before = record.access.get(repository, Access())
            record.access[repository] = after = before.with_credential(credential)
            if known is None or after != before:
                await self._keep(record)

    async def recover(self, images: Iterable[Object]) -> None:
        """At the agent's start: what a pull that was cut short brought is nobody's, what is gone is forgotten.

        ``images`` are all that Podman lists.
        """
        by_name = {name: one["Id"] for one in images for name in (*_names(one, "Names"), *_names(one, "RepoDigests"))}
        for file in _files(self._pulling):
            image_id = by_name.get(file.read_text(errors="replace"))
            if image_id is not None and self.of(image_id) is None:
                await self._keep(Record(image_id))
            file.unlink(missing_ok=True)
        self.prune(set(by_name.values()))

    def prune(self, ids: Collection[str], before_s: float = math.inf) -> None:
        """Forget all images but these, and those that were written down later than ``before_s`` (epoch)."""
        kept = {_file(self._pulled, image_id) for image_id in ids}
        for file in _files(self._pulled):
            if file not in kept and file.stat().st_mtime < before_s:
                file.unlink(missing_ok=True)

    async def _keep(self, record: Record) -> None:
        await asyncio.to_thread(replace, _file(self._pulled, record.id), msgspec.json.encode(record))


def _file(directory: Path, key: str) -> Path:
    return directory / hashlib.sha256(key.encode()).hexdigest()


def _files(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []


def _names(image: Object, key: str) -> list[str]:
    return list(image.get(key) or ())
