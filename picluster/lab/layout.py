"""Where things of the lab are, and what its boards are called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from picluster.rack import LAB_INVENTORY

STATE_DIR = LAB_INVENTORY.parents[1]
CACHE_DIR = Path("/var/cache/picluster")
NODES_DEFAULT = 3
NODES_MAX = 200

BRIDGE = "picluster0"
PREFIX_BITS = 24
NETWORK = f"10.77.0.0/{PREFIX_BITS}"
STRIP_ADDRESS = "10.77.0.1"
STRIP_PORT = 80
HOST_ADDRESS = "10.77.0.254"
FIRST_BOARD = 10


class LabError(Exception):
    """One sentence: what the lab cannot do, why, and what cures it."""


@dataclass(frozen=True, slots=True)
class Board:
    """A stand-in: ``pi-0`` is the control plane, the others are nodes; ``index`` is also its channel on the strip."""

    index: int

    @property
    def name(self) -> str:
        return f"pi-{self.index}"

    @property
    def role(self) -> str:
        return "node" if self.index else "control-plane"

    @property
    def address(self) -> str:
        return f"10.77.0.{FIRST_BOARD + self.index}"


def boards(nodes: int) -> list[Board]:
    """The control plane and ``nodes`` nodes."""
    return [Board(index) for index in range(nodes + 1)]


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below the state directory (one lab) and the cache directory (images, kept between labs)."""

    state: Path = STATE_DIR
    cache: Path = CACHE_DIR

    @property
    def record(self) -> Path:
        """What ``lab up`` was asked for: nodes, backend, image."""
        return self.state / "lab.json"

    @property
    def lock(self) -> Path:
        """Held by the strip's process for as long as it lives; holds its process id."""
        return self.state / "strip.pid"

    @property
    def ready(self) -> Path:
        """Written by the strip's process when its outlets can be switched; else it says why they cannot."""
        return self.state / "strip.ready"

    @property
    def log(self) -> Path:
        return self.state / "strip.log"

    @property
    def outlets(self) -> Path:
        """Which outlets are on; what a real strip keeps in its flash."""
        return self.state / "outlets.json"

    @property
    def password(self) -> Path:
        return self.state / "strip.password"

    @property
    def ssh(self) -> Path:
        """The lab's own key and what it knows of the boards."""
        return self.state / "ssh"

    @property
    def key(self) -> Path:
        return self.ssh / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.ssh / "known_hosts"

    @property
    def inventory(self) -> Path:
        return self.state / "inventory" / "hosts.yml"

    def disk(self, board: Board) -> Path:
        """Everything a board keeps when its power is cut."""
        return self.state / "boards" / board.name

    def journal(self, board: Board) -> Path:
        """The board's journal, readable here whether it has power or not."""
        return self.disk(board) / "upper/var/log/journal"

    def console(self, board: Board) -> Path:
        return self.disk(board) / "console.log"
