"""The strip on loopback, with boards that only remember whether they run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from picluster.lab.digest import DigestAuth
from picluster.lab.layout import Board, LabError, boards
from picluster.lab.outlets import Outlet, Outlets
from picluster.lab.strip import DEVICE_ID, Strip, application
from picluster.power.outlet import OutletState, load, read, switch
from picluster.util.clock import SYSTEM_CLOCK

PASSWORD = "plug"
PI_1 = Board(1)


class Shelf:
    """A backend whose boards are names in a set; ``broken`` ones cannot be switched."""

    def __init__(self) -> None:
        self.on: set[str] = set()
        self.broken: set[str] = set()

    async def start(self, board: Board) -> None:
        await self._switch(board)
        self.on.add(board.name)

    async def kill(self, board: Board) -> None:
        await self._switch(board)
        self.on.discard(board.name)

    def running(self, board: Board) -> bool:
        return board.name in self.on

    async def _switch(self, board: Board) -> None:
        await asyncio.sleep(0)
        if board.name in self.broken:
            raise LabError(f"{board.name} has no disk")


class World:
    def __init__(self, saved: Mapping[str, bool]) -> None:
        self.shelf = Shelf()
        self.saved: dict[str, bool] = dict(saved)
        self.strip = Strip(boards(2), self.shelf, saved, self.saved.update)
        self.url = ""

    async def rpc(self, method: str, path: str, body: Any = None, password: str = PASSWORD) -> tuple[int, Any]:
        digest = aiohttp.DigestAuthMiddleware("admin", password)
        async with (
            aiohttp.ClientSession(middlewares=(digest,)) as session,
            session.request(method, f"{self.url}{path}", json=body) as response,
        ):
            return response.status, await response.json() if response.status != 401 else None


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World({"pi-2": False})
    auth = DigestAuth(DEVICE_ID, "admin", PASSWORD, SYSTEM_CLOCK)
    async with TestServer(application(made.strip, auth)) as server:
        made.url = str(server.make_url("")).rstrip("/")
        await made.strip.power_up()
        yield made


async def test_plugged_in_outlets_are_as_they_were(world: World) -> None:
    assert world.shelf.on == {"pi-0", "pi-1"}


@pytest.mark.parametrize(
    ("method", "path", "body", "answer"),
    [
        ("GET", "/rpc/Switch.Set?id=1&on=false", None, {"was_on": True}),
        ("POST", "/rpc/Switch.Set", {"id": 1, "on": False}, {"was_on": True}),
        ("GET", "/rpc/Switch.Toggle?id=1", None, {"was_on": True}),
        (
            "POST",
            "/rpc",
            {"id": 7, "method": "Switch.Set", "params": {"id": 1, "on": False}},
            {"id": 7, "src": DEVICE_ID, "result": {"was_on": True}},
        ),
    ],
)
async def test_off_is_answered_when_the_board_is_dead(
    world: World, method: str, path: str, body: Any, answer: Any
) -> None:
    assert await world.rpc(method, path, body) == (200, answer)
    assert world.shelf.on == {"pi-0"}
    assert world.saved["pi-1"] is False
    status = await world.rpc("GET", "/rpc/Switch.GetStatus?id=1")
    assert status == (200, {"id": 1, "source": "http_in", "output": False, "apower": 0.0})


async def test_on_boots(world: World) -> None:
    assert await world.rpc("GET", "/rpc/Switch.Set?id=2&on=true") == (200, {"was_on": False})
    assert "pi-2" in world.shelf.on
    _, every = await world.rpc("GET", "/rpc/Shelly.GetStatus")
    assert {name: found["output"] for name, found in every.items()} == {
        "switch:0": True,
        "switch:1": True,
        "switch:2": True,
    }


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/rpc/Switch.Set?id=9&on=true", 500, -105),
        ("/rpc/Switch.Set?on=true", 500, -103),
        ("/rpc/Switch.Set?id=1", 500, -103),
        ("/rpc/Switch.Set?id=one&on=true", 500, -103),
        ("/rpc/Switch.Set?id=1&on=perhaps", 500, -103),
        ("/rpc/Cover.Open?id=1", 404, 404),
    ],
)
async def test_wrong_calls_change_nothing(world: World, path: str, status: int, code: int) -> None:
    found, answer = await world.rpc("GET", path)
    assert (found, answer["code"]) == (status, code)
    assert world.shelf.on == {"pi-0", "pi-1"}


@pytest.mark.parametrize("body", [[], {"id": 1}, {"method": "Switch.Set", "params": [1]}, "x"])
async def test_wrong_frames_are_refused(world: World, body: Any) -> None:
    status, answer = await world.rpc("POST", "/rpc", body)
    assert status == 500 or answer["error"]["code"] == -103


async def test_everything_but_who_it_is_needs_the_password(world: World) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/rpc/Switch.GetStatus?id=1", "/rpc/Switch.Set?id=1&on=false", "/rpc/Shelly.GetStatus"):
            async with session.get(world.url + path) as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"].startswith("Digest qop=")
        async with session.get(f"{world.url}/rpc/Shelly.GetDeviceInfo") as response:
            assert (await response.json())["auth_en"] is True
    assert (await world.rpc("GET", "/rpc/Switch.Set?id=1&on=false", password="guess"))[0] == 401
    assert world.shelf.on == {"pi-0", "pi-1"}


async def test_a_switch_that_fails_reads_as_before(world: World) -> None:
    world.shelf.broken.add("pi-1")
    status, answer = await world.rpc("GET", "/rpc/Switch.Set?id=1&on=false")
    assert (status, answer["code"]) == (500, -114)
    assert (await world.rpc("GET", "/rpc/Switch.GetStatus?id=1"))[1]["output"] is True


async def test_the_driver_of_real_strips_switches_it(world: World) -> None:
    outlet = load(
        {
            "driver": "http",
            "preset": "shelly-gen2",
            "address": world.url.removeprefix("http://"),
            "channel": 1,
            "username": "admin",
            "password": PASSWORD,
        }
    )
    assert await read(outlet) is OutletState.ON
    await switch(outlet, OutletState.OFF, timeout_s=5)
    assert world.shelf.on == {"pi-0"}
    await switch(outlet, OutletState.ON, timeout_s=5)
    assert world.shelf.on == {"pi-0", "pi-1"}


async def test_the_meter_tells_a_board_that_shut_itself_down(world: World) -> None:
    outlets = Outlets(PASSWORD, world.url)
    assert await outlets.look(PI_1) == Outlet(on=True, running=True)
    world.shelf.on.discard("pi-1")
    assert await outlets.look(PI_1) == Outlet(on=True, running=False)
    await outlets.switch(PI_1, on=False)
    assert await outlets.look(PI_1) == Outlet(on=False, running=False)


async def test_a_wrong_password_or_no_strip_is_said(world: World, unused_tcp_port: int) -> None:
    with pytest.raises(LabError, match="password is wrong"):
        await Outlets("guess", world.url).look(PI_1)
    with pytest.raises(LabError, match="does not answer"):
        await Outlets(PASSWORD, f"http://127.0.0.1:{unused_tcp_port}").look(PI_1)
