"""Directories of local volumes: made for everybody, removed for good, and nothing but them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from picluster_agent.endpoint.localpaths import LocalVolumes
from picluster_agent.volumes.localpath import REMOVED, LocalPaths

NAME = "pvc-1_default_data"


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    paths = LocalPaths(tmp_path / "storage")
    app = web.Application()
    LocalVolumes(paths).add_routes(app.router)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
        yield session
    await runner.cleanup()
    await paths.close()


async def empties(directory: Path) -> None:
    for _ in range(1000):
        if not list(directory.iterdir()):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"left: {list(directory.iterdir())}")


async def test_a_volume_is_made_and_removed_however_often_it_is_asked(
    asked: aiohttp.ClientSession, tmp_path: Path
) -> None:
    root = tmp_path / "storage"
    for _ in range(2):
        async with asked.put(f"/localvolumes/{NAME}") as answer:
            assert await answer.json() == {"path": str(root / NAME)}
    assert ((root / NAME).stat().st_mode & 0o777, root.stat().st_mode & 0o777) == (0o777, 0o700)
    (root / NAME / "deep").mkdir()
    (root / NAME / "deep" / "file").write_text("data")
    for _ in range(2):
        async with asked.delete(f"/localvolumes/{NAME}", params={"path": str(root / NAME)}) as answer:
            assert answer.status == 200
            assert not (root / NAME).exists()
    await empties(root)


@pytest.mark.parametrize("name", ["..", "%2e%2e%2fetc", "a%2fb", ".removed-x", "x" * 201])
async def test_nothing_but_names_of_volumes_is_taken(asked: aiohttp.ClientSession, name: str) -> None:
    async with asked.put(f"/localvolumes/{name}") as answer:
        assert answer.status in (400, 404)


async def test_what_lies_elsewhere_is_not_removed(asked: aiohttp.ClientSession, tmp_path: Path) -> None:
    other = tmp_path / NAME
    other.mkdir()
    async with asked.delete(f"/localvolumes/{NAME}", params={"path": str(other)}) as answer:
        assert answer.status == 409
    async with asked.delete(f"/localvolumes/{NAME}") as answer:
        assert answer.status == 409
    assert other.exists()


async def test_what_a_power_cut_left_is_swept_at_the_start(tmp_path: Path) -> None:
    left = tmp_path / f"{REMOVED}{NAME}"
    left.mkdir()
    (left / "file").touch()
    paths = LocalPaths(tmp_path)
    paths.start()
    await empties(tmp_path)
    await paths.close()
