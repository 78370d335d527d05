"""Restarting a silent agent on a board that lives, over SSH.

The key of the control plane may run ``systemctl restart picluster-agent`` on a node and nothing else (its line in the
node's ``authorized_keys`` says so), so no command is sent: ``ssh -F CONFIG NODE`` is the whole request.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from picluster.util.clock import Clock

log = logging.getLogger(__name__)
ATTEMPT_INTERVAL_S = 30.0
COMMAND_TIMEOUT_S = 20.0


class AgentRestarter:
    """``ssh_config`` names every node as a host; ``None`` where nobody set up SSH."""

    def __init__(self, ssh_config: Path | None, clock: Clock) -> None:
        self._ssh_config = ssh_config
        self._clock = clock
        self._last_s: dict[str, float] = {}

    def is_due(self, node: str) -> bool:
        """Whether a try may be made: where SSH is set up, and not again within half a minute."""
        last_s = self._last_s.get(node)
        too_soon = last_s is not None and self._clock.monotonic() - last_s < ATTEMPT_INTERVAL_S
        return self._ssh_config is not None and not too_soon

    async def restart(self, node: str) -> str:
        """Try once; what happened, in words."""
        self._last_s[node] = self._clock.monotonic()
        try:
            process = await asyncio.create_subprocess_exec(
                "ssh", "-F", str(self._ssh_config), "-oBatchMode=yes", node,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            return f"restarting it over SSH is not possible: ssh: {error.strerror}"
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                out, _ = await process.communicate()
        except TimeoutError:
            return f"restarting it over SSH did not end within {COMMAND_TIMEOUT_S:.0f} s"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode == 0:
            return "restarted it over SSH"
        return f"restarting it over SSH failed: {out.decode(errors='replace').strip()[-200:]}"
