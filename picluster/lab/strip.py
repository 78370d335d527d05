"""The lab's power strip: what a Shelly of the second generation says on the wire, with boards for appliances.

https://shelly-api-docs.shelly.cloud/gen2/ComponentsAndServices/Switch. A method is called three ways:
``GET /rpc/Switch.Set?id=1&on=false``, ``POST /rpc/Switch.Set`` with its parameters, and ``POST /rpc`` with a frame
``{"id": …, "method": …, "params": …}``. Everything but who the device is needs the password. ``Switch.Set`` answers
when the board has lost or got its power, not before.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from picluster.lab.backend import Backend
from picluster.lab.digest import DigestAuth
from picluster.lab.layout import Board, LabError

log = logging.getLogger(__name__)

DEVICE_ID = "shellypro4pm-1ab000000001"
MODEL = "SPSW-104PE16EU"
USERNAME = "admin"
BOARD_W = 3.1
"""What the meter shows for a board that runs; one that shut itself down draws nothing here."""
INVALID_ARGUMENT = -103
NOT_FOUND = -105
FAILED = -114
NO_HANDLER = 404
BODY_BYTES_MAX = 16 * 1024
OPEN_METHODS = frozenset({"Shelly.GetDeviceInfo"})

Params = Mapping[str, Any]


class RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Strip:
    """The outlets' state and what they power; ``save`` keeps the state where a restart finds it."""

    def __init__(
        self,
        boards: Sequence[Board],
        backend: Backend,
        on: Mapping[str, bool],
        save: Callable[[Mapping[str, bool]], None],
    ) -> None:
        self._boards = boards
        self._backend = backend
        self._on = {board.name: on.get(board.name, True) for board in boards}
        self._save = save
        self._locks = [asyncio.Lock() for _ in boards]
        self._methods: dict[str, Callable[[Params], Awaitable[dict[str, Any]]]] = {
            "Switch.Set": self._set,
            "Switch.Toggle": self._toggle,
            "Switch.GetStatus": self._get_status,
            "Shelly.GetStatus": self._get_all,
            "Shelly.GetDeviceInfo": self._get_device_info,
        }

    async def power_up(self) -> None:
        """What a strip does when it is plugged in: outlets are as they were."""
        await asyncio.gather(*(self._backend.start(board) for board in self._boards if self._on[board.name]))

    async def power_down(self) -> None:
        """Pull the strip's own plug; the outlets' state is kept."""
        await asyncio.gather(*(self._backend.kill(board) for board in self._boards))

    async def call(self, method: str, params: Params) -> dict[str, Any]:
        """Run one RPC method; raises ``RpcError``."""
        handler = self._methods.get(method)
        if handler is None:
            raise RpcError(NO_HANDLER, f"No handler for {method}")
        return await handler(params)

    async def _set(self, params: Params) -> dict[str, Any]:
        channel = self._channel(params)
        return await self._switch(channel, lambda _was_on: _boolean(params, "on"))

    async def _toggle(self, params: Params) -> dict[str, Any]:
        return await self._switch(self._channel(params), lambda was_on: not was_on)

    async def _switch(self, channel: int, choose: Callable[[bool], bool]) -> dict[str, Any]:
        board = self._boards[channel]
        async with self._locks[channel]:
            was_on = self._on[board.name]
            on = choose(was_on)
            try:
                await (self._backend.start(board) if on else self._backend.kill(board))
            except (LabError, TimeoutError, OSError) as error:
                log.exception("outlet %d (%s) could not be switched", channel, board.name)
                raise RpcError(FAILED, f"Resource unavailable: {error}") from error
            self._on[board.name] = on
            self._save(self._on)
        log.info("outlet %d (%s) is %s", channel, board.name, "on" if on else "off")
        return {"was_on": was_on}

    async def _get_status(self, params: Params) -> dict[str, Any]:
        return self._status(self._channel(params))

    async def _get_all(self, params: Params) -> dict[str, Any]:
        return {f"switch:{channel}": self._status(channel) for channel in range(len(self._boards))}

    async def _get_device_info(self, params: Params) -> dict[str, Any]:
        return {
            "name": "picluster lab",
            "id": DEVICE_ID,
            "mac": DEVICE_ID.rpartition("-")[2].upper(),
            "model": MODEL,
            "gen": 2,
            "ver": "1.4.4",
            "app": "Pro4PM",
            "auth_en": True,
            "auth_domain": DEVICE_ID,
        }

    def _status(self, channel: int) -> dict[str, Any]:
        board = self._boards[channel]
        return {
            "id": channel,
            "source": "http_in",
            "output": self._on[board.name],
            "apower": BOARD_W if self._backend.running(board) else 0.0,
        }

    def _channel(self, params: Params) -> int:
        if "id" not in params:
            raise RpcError(INVALID_ARGUMENT, "Missing required argument 'id'!")
        channel = params["id"]
        if isinstance(channel, bool) or not isinstance(channel, int):
            raise RpcError(INVALID_ARGUMENT, f"Invalid argument 'id': {json.dumps(channel)}!")
        if not 0 <= channel < len(self._boards):
            raise RpcError(NOT_FOUND, f"Argument 'id', value {channel} not found!")
        return channel


def application(strip: Strip, auth: DigestAuth) -> web.Application:
    """The strip's web server."""

    async def method_in_path(request: web.Request) -> web.Response:
        method = request.match_info["method"]
        if request.method == "POST":
            body = await _json(request)
            params = body if isinstance(body, dict) else None
        else:
            params = {name: _argument(text) for name, text in request.query.items()}
        if params is None:
            return _refusal(INVALID_ARGUMENT, "Invalid request body!")
        if method not in OPEN_METHODS and not _authorized(request, auth):
            return _unauthorized(auth)
        try:
            return web.json_response(await strip.call(method, params))
        except RpcError as error:
            return _refusal(error.code, error.message)

    async def frame(request: web.Request) -> web.Response:
        body = await _json(request)
        if not isinstance(body, dict) or not isinstance(body.get("method"), str):
            return _refusal(INVALID_ARGUMENT, "Invalid request frame!")
        if body["method"] not in OPEN_METHODS and not _authorized(request, auth):
            return _unauthorized(auth)
        answer: dict[str, Any] = {"id": body.get("id", 0), "src": DEVICE_ID}
        params = body.get("params") or {}
        try:
            if not isinstance(params, dict):
                raise RpcError(INVALID_ARGUMENT, "Invalid argument 'params'!")
            answer["result"] = await strip.call(body["method"], params)
        except RpcError as error:
            answer["error"] = {"code": error.code, "message": error.message}
        return web.json_response(answer)

    async def who(request: web.Request) -> web.Response:
        return web.json_response(await strip.call("Shelly.GetDeviceInfo", {}))

    app = web.Application(client_max_size=BODY_BYTES_MAX)
    app.router.add_get("/shelly", who)
    app.router.add_post("/rpc", frame)
    app.router.add_get("/rpc/{method}", method_in_path)
    app.router.add_post("/rpc/{method}", method_in_path)
    return app


def _authorized(request: web.Request, auth: DigestAuth) -> bool:
    return auth.allows(request.method, request.raw_path, request.headers.get("Authorization", ""))


def _unauthorized(auth: DigestAuth) -> web.Response:
    return web.Response(status=401, headers={"WWW-Authenticate": auth.challenge()})


def _refusal(code: int, message: str) -> web.Response:
    status = code if code == NO_HANDLER else 500
    return web.json_response({"code": code, "message": message}, status=status)


async def _json(request: web.Request) -> Any:
    try:
        return json.loads(await request.text() or "{}")
    except ValueError:
        return None


def _argument(text: str) -> Any:
    """A query parameter as the device reads it: JSON where it is JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _boolean(params: Params, name: str) -> bool:
    if name not in params:
        raise RpcError(INVALID_ARGUMENT, f"Missing required argument '{name}'!")
    value = params[name]
    if not isinstance(value, bool):
        raise RpcError(INVALID_ARGUMENT, f"Invalid argument '{name}': {json.dumps(value)}!")
    return value
