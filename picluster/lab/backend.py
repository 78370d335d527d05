"""What the lab needs of a kind of stand-in; nspawn is one, a true virtual machine can be another."""

from __future__ import annotations

from typing import Protocol

from picluster.lab.layout import Board


class Backend(Protocol):
    """Runs in the strip's process, which owns the boards."""

    async def start(self, board: Board) -> None:
        """Give ``board`` power: it boots from its own disk. Does nothing when it runs; raises ``LabError``."""
        ...

    async def kill(self, board: Board) -> None:
        """Take its power: every process of it is dead when this returns, and nothing was told before."""
        ...

    def running(self, board: Board) -> bool:
        """False when it has no power, and also when it has shut itself down."""
        ...
