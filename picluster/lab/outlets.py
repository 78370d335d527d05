"""The lab's strip as ``lab up`` sees it: the outlets and, beside what a driver of outlets tells, the meter."""

from __future__ import annotations

from typing import Any, NamedTuple

import aiohttp

from picluster.lab.layout import STRIP_ADDRESS, Board, LabError
from picluster.lab.strip import USERNAME

TIMEOUT_S = 15.0


class Outlet(NamedTuple):
    """``on`` is the relay; ``running`` whether what hangs on it draws power."""

    on: bool
    running: bool


class Outlets:
    def __init__(self, password: str, base_url: str = f"http://{STRIP_ADDRESS}") -> None:
        self._password = password
        self._base_url = base_url

    async def look(self, board: Board) -> Outlet:
        """Read one outlet; raises ``LabError``."""
        status = await self._call("Switch.GetStatus", {"id": board.index})
        return Outlet(bool(status["output"]), status["apower"] > 0)

    async def switch(self, board: Board, *, on: bool) -> None:
        """Switch one outlet; the board is dead or booting when this returns. Raises ``LabError``."""
        await self._call("Switch.Set", {"id": board.index, "on": on})

    async def _call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        digest = aiohttp.DigestAuthMiddleware(USERNAME, self._password)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(middlewares=(digest,), timeout=timeout) as session,
                session.post(f"{self._base_url}/rpc/{method}", json=params) as response,
            ):
                answer = await response.json(content_type=None) if response.status != 401 else {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise LabError(
                f"the strip at {self._base_url} does not answer ({error!r}); sudo picluster lab up"
            ) from None
        if response.status != 200:
            raise LabError(f"the strip refused {method}: {answer.get('message', 'the password is wrong')}")
        assert isinstance(answer, dict)
        return answer
