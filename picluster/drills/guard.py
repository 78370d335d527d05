"""The process that puts the power back on when the drill itself dies.

A drill is started with a guard beside it, in a session of its own so that no Ctrl-C reaches it. Its standard input is
a pipe from the drill: the first line is the outlet's configuration (so a password is never in the list of processes),
and as long as the pipe is open the guard waits. ``done`` ends it; the end of the pipe without ``done`` means that the
drill is gone, by whatever signal, and the guard switches the outlet on, reading it back, until it is on or its time
is over.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from types import TracebackType
from typing import Any

from picluster.power.outlet import OutletError, OutletState, load, switch

DONE = "done"
RESTORE_LIMIT_S = 120.0
RETRY_S = 1.0
SWITCH_TIMEOUT_S = 10.0


class Guard:
    """Context manager around the dangerous part of a drill, held by the process that runs the drill."""

    def __init__(self, outlet_config: dict[str, Any]) -> None:
        self._outlet_config = outlet_config
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Guard:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "picluster.drills.guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._say(json.dumps(self._outlet_config))
        return self

    def release(self) -> None:
        """The outlet is on again, read back: the guard has nothing to do."""
        self._say(DONE)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pipe. Without ``release`` the guard now restores the power; wait until it has."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(timeout=RESTORE_LIMIT_S + SWITCH_TIMEOUT_S)

    def _say(self, line: str) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


async def _restore(outlet_config: dict[str, Any]) -> bool:
    outlet = load(outlet_config)
    for _ in range(int(RESTORE_LIMIT_S / RETRY_S)):
        try:
            await switch(outlet, OutletState.ON, timeout_s=SWITCH_TIMEOUT_S)
        except OutletError as error:
            print(f"guard: {error}", file=sys.stderr)  # noqa: T201 - its only voice
            await asyncio.sleep(RETRY_S)
        else:
            return True
    return False


def main() -> int:
    outlet_config = json.loads(sys.stdin.readline())
    if sys.stdin.readline().strip() == DONE:
        return 0
    return 0 if asyncio.run(_restore(outlet_config)) else 1


if __name__ == "__main__":
    sys.exit(main())
