"""The HTTP driver against strips that answer on loopback."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from https_server import HttpsServer

from picluster.power.outlet import OutletError, OutletState, load, read, switch

ON, OFF, UNKNOWN = OutletState.ON, OutletState.OFF, OutletState.UNKNOWN
Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """``host:port`` of a server on loopback whose every request goes to ``handler``."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_tasmota() -> None:
    power = {"POWER2": "OFF"}

    async def handler(request: web.Request) -> web.Response:
        assert request.query["user"] == "admin" and request.query["password"] == "a b&c"
        command, _, value = request.query["cmnd"].partition(" ")
        if value:
            power[command.upper()] = value.upper()
        return web.json_response({command.upper(): power[command.upper()]})

    async with serving(handler) as address:
        config = {"driver": "http", "preset": "tasmota", "address": address, "channel": 2, "password": "a b&c"}
        outlet = load(config)
        assert await read(outlet) is OFF
        await switch(outlet, ON, timeout_s=5)
        assert power == {"POWER2": "ON"}


async def test_plain_addresses_with_basic_authentication() -> None:
    state = {"on": True}

    async def handler(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Basic bWU6cHc=":
            return web.Response(status=401)
        if "turn" in request.query:
            state["on"] = request.query["turn"] == "on"
        return web.json_response({"ison": state["on"]})

    async with serving(handler) as address:
        config = {
            "driver": "http",
            "on_url": f"http://{address}/relay?turn=on",
            "off_url": f"http://{address}/relay?turn=off",
            "status_url": f"http://{address}/relay",
            "on_when": '"ison": *true',
            "username": "me",
            "password": "pw",
        }
        await switch(load(config), OFF, timeout_s=5)
        assert state == {"on": False}
        wrong = load({**config, "password": "guess"})
        assert await read(wrong) is UNKNOWN
        with pytest.raises(OutletError, match=r"refuses the username or password \(HTTP 401\)") as failure:
            await switch(wrong, ON, timeout_s=5)
        assert "guess" not in str(failure.value)


async def test_a_strip_that_is_away_is_unknown_and_says_so_when_switched() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    async with serving(handler) as address:
        pass
    outlet = load({"driver": "http", "preset": "shelly-gen2", "address": address})
    assert await read(outlet) is UNKNOWN
    with pytest.raises(OutletError, match=f"outlet 0 of {address} does not answer"):
        await switch(outlet, ON, timeout_s=5)


async def test_an_outlet_behind_tls_is_vouched_for_by_the_systems_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"ison": True})

    async with HttpsServer(handler) as server:
        urls = {name: f"{server.url}/{name}" for name in ("on_url", "off_url", "status_url")}
        outlet = load({"driver": "http", **urls, "on_when": '"ison": *true', "off_when": '"ison": *false'})
        assert await outlet.state() is UNKNOWN
        authorities = tmp_path / "authorities.pem"
        authorities.write_bytes(base64.b64decode(server.ca_bundle))
        monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
        assert await outlet.state() is ON
