"""The long-lived libnftables binding: a transaction costs 0.3 ms, where each ``nft`` process costs 27.

``nftables`` is Debian's ``python3-nftables``; the agent's virtual environment sees system packages for its sake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

TRANSACTION_COMMANDS_INLINE_MAX = 50
"""Above this a transaction runs in a thread, so that it does not hold up probes."""


class NftError(Exception):
    """The kernel refused a transaction; nothing of it was applied."""


class Nft:
    def __init__(self) -> None:
        import nftables

        self._nft = nftables.Nftables()
        self._lock = asyncio.Lock()

    async def apply(self, commands: Sequence[str]) -> None:
        """Run ``commands`` as one transaction: all of it or nothing."""
        if not commands:
            return
        text = "\n".join(commands)
        async with self._lock:
            if len(commands) > TRANSACTION_COMMANDS_INLINE_MAX:
                await asyncio.to_thread(self._run, text)
            else:
                self._run(text)

    async def has_chain(self, table: str, chain: str) -> bool:
        async with self._lock:
            code, _, _ = self._nft.cmd(f"list chain {table} {chain}")
        return bool(code == 0)

    def _run(self, text: str) -> None:
        code, _, error = self._nft.cmd(text)
        if code != 0:
            raise NftError(error.strip() or f"libnftables answered {code}")
