"""What ``lab up`` was asked for, kept beside the lab, so that every later command knows what should be there."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from picluster.lab.layout import LabError, Layout


@dataclass(frozen=True, slots=True)
class Record:
    nodes: int
    backend: str
    image: Path

    def write(self, layout: Layout) -> None:
        write_atomically(
            layout.record, json.dumps({"nodes": self.nodes, "backend": self.backend, "image": str(self.image)})
        )

    @classmethod
    def read(cls, layout: Layout) -> Record | None:
        """``None`` when there is no lab; raises ``LabError`` when the record is spoilt."""
        try:
            kept = json.loads(layout.record.read_text())
            return cls(int(kept["nodes"]), str(kept["backend"]), Path(kept["image"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise LabError(f"{layout.record} cannot be read; picluster lab down removes the lab") from None


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace ``path`` in one step; readers see the old text or the new."""
    write_bytes_atomically(path, text.encode(), mode)


def write_bytes_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    draft = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(path)
