"""One driver: its socket and its calls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from picluster_agent.grpc import protobuf, unary
from picluster_agent.volumes.csi.messages import NODE_GET_CAPABILITIES, Call

CALL_TIMEOUT_S = 120.0
"""The kubelet's: two minutes for each call of a driver."""
CALLS_MAX = 8
"""Calls of one driver at one time."""


@dataclass(slots=True)
class Driver:
    """A registered driver. ``socket`` is where its Identity and Node services answer."""

    name: str
    socket: Path
    registration: Path
    _capabilities: frozenset[int] | None = None
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CALLS_MAX))

    async def call(self, what: Call, message: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ``unary.RpcError``."""
        async with self._room:
            return await call(self.socket, what, message)

    async def capabilities(self) -> frozenset[int]:
        """What the Node service can do; asked once per registration."""
        if self._capabilities is None:
            answer = await self.call(NODE_GET_CAPABILITIES, {})
            found = (one.get("rpc", {}).get("type", 0) for one in answer.get("capabilities", ()))
            self._capabilities = frozenset(found)
        return self._capabilities


async def call(
    socket: Path, what: Call, message: Mapping[str, Any], timeout_s: float = CALL_TIMEOUT_S
) -> dict[str, Any]:
    """One call; raises ``unary.RpcError``."""
    answer = await unary.call(socket, what.method, protobuf.encode(what.request, message), timeout_s)
    try:
        return protobuf.decode(what.answer, answer)
    except protobuf.DecodeError as error:
        raise unary.RpcError("Internal", f"the answer cannot be read: {error}") from error
