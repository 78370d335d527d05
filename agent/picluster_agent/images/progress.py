"""How far a pull has come, and when that is worth an event. Pure.

Podman's ``/images/create`` reports each layer as it begins, moves (``progressDetail``) and ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from picluster.api.types import Object

FIRST_S = 10.0
LAYERS_MAX = 1000


class Layer(NamedTuple):
    current_bytes: int = 0
    total_bytes: int = 0
    done: bool = False


@dataclass(slots=True)
class Progress:
    """What is known of one pull; ``moved_s`` is when something last moved."""

    moved_s: float
    layers: dict[str, Layer] = field(default_factory=dict)
    said_s: float = FIRST_S

    def take(self, line: Object, now_s: float) -> None:
        """Learn from what Podman says; the same number of bytes as before is no movement."""
        name, detail = str(line.get("id", "")), line.get("progressDetail") or {}
        before = self.layers.get(name, Layer())
        total_bytes = max(int(detail.get("total") or 0), before.total_bytes)
        current_bytes = max(int(detail.get("current") or 0), before.current_bytes)
        done = line.get("status") in ("Download complete", "Already exists")
        now = Layer(total_bytes if done else current_bytes, total_bytes, done)
        if now != before or "current" not in detail:
            self.moved_s = now_s
        if name and (name in self.layers or len(self.layers) < LAYERS_MAX):
            self.layers[name] = now

    @property
    def is_storing(self) -> bool:
        """All that was begun has come, so what takes time now is to put it on the disk."""
        return bool(self.layers) and all(layer.done for layer in self.layers.values())

    def due(self, waited_s: float) -> bool:
        """Whether to say something: after ten seconds, then each time twice as late."""
        if waited_s < self.said_s:
            return False
        while self.said_s <= waited_s:
            self.said_s *= 2
        return True

    def __str__(self) -> str:
        current_bytes = sum(layer.current_bytes for layer in self.layers.values())
        total_bytes = sum(layer.total_bytes for layer in self.layers.values())
        if not total_bytes:
            return "nothing has come yet"
        return f"{current_bytes / 1e6:.1f} MB of {total_bytes / 1e6:.1f} MB"
