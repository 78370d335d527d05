"""Switching, reading back, and configurations that say what is wrong with them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from picluster.power.outlet import OutletError, OutletState, load, load_all, read, switch

ON, OFF, UNKNOWN = OutletState.ON, OutletState.OFF, OutletState.UNKNOWN


def relay(path: Path, **extra: Any) -> dict[str, Any]:
    """An outlet that is a file: what it says is what it is."""
    return {
        "driver": "command",
        "on_command": ["sh", "-c", f"echo on > {path}"],
        "off_command": ["sh", "-c", f"echo off > {path}"],
        "status_command": ["cat", str(path)],
        "on_when": "^on",
        "off_when": "^off",
        **extra,
    }


async def test_switch_reads_back(tmp_path: Path) -> None:
    outlet = load(relay(tmp_path / "relay"))
    assert await read(outlet) is UNKNOWN
    await switch(outlet, OFF, timeout_s=5)
    assert await read(outlet) is OFF
    await switch(outlet, ON, timeout_s=5)
    assert (tmp_path / "relay").read_text() == "on\n"


async def test_an_outlet_that_does_not_do_what_it_says_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "relay").write_text("on")
    stuck = load(relay(tmp_path / "relay", off_command=["true"]))
    with pytest.raises(OutletError, match="was switched off but reads on after 0 s; look at the outlet itself"):
        await switch(stuck, OFF, timeout_s=0.2)


@pytest.mark.parametrize("status", [["false"], ["echo", "?"], ["echo", "on off"], ["/does/not/exist"]])
async def test_no_answer_or_a_strange_one_is_unknown_and_never_off(tmp_path: Path, status: list[str]) -> None:
    outlet = load(relay(tmp_path / "relay", status_command=status, on_when="on", off_when="off"))
    assert await read(outlet) is UNKNOWN
    with pytest.raises(OutletError, match="reads unknown"):
        await switch(outlet, OFF, timeout_s=0.2)


async def test_a_failing_command_is_reported_with_what_it_said(tmp_path: Path) -> None:
    outlet = load(relay(tmp_path / "relay", on_command=["sh", "-c", "echo no such hub; exit 3"]))
    with pytest.raises(OutletError, match="sh failed with 3: no such hub"):
        await switch(outlet, ON, timeout_s=5)


async def test_calls_to_one_strip_do_not_overlap(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = f"echo begin >> {log}; sleep 0.05; echo end >> {log}; echo on"
    outlets = [load(relay(tmp_path / "relay", status_command=["sh", "-c", script])) for _ in range(4)]
    await asyncio.gather(*(read(outlet) for outlet in outlets))
    assert log.read_text().split() == ["begin", "end"] * 4


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "driver is None; it must be one of command, http"),
        ({"driver": "telepathy"}, "driver is 'telepathy'"),
        ({"driver": "command"}, "on_command is missing"),
        (relay(Path("x"), on_command="echo"), "on_command is 'echo'; it must be of type list"),
        (relay(Path("x"), on_command=[True]), r"on_command is \[True\]; it must be a list of words"),
        (relay(Path("x"), on_when="("), r"on_when is '\(', no regular expression"),
        (relay(Path("x"), speed=3), "speed is no setting of this driver; known are on_command"),
        ({"driver": "http", "preset": "acme"}, "preset is 'acme'; it must be one of shelly-gen2, tasmota"),
        ({"driver": "http", "preset": "tasmota"}, "address is missing"),
        (
            {"driver": "http", "preset": "tasmota", "address": "a", "channel": "1"},
            "channel is '1'; it must be of type int",
        ),
        ({"driver": "http", "on_url": "strip/on"}, "on_url is 'strip/on'; it must begin with http"),
    ],
)
def test_a_wrong_configuration_names_key_value_and_cure(config: dict[str, Any], message: str) -> None:
    with pytest.raises(OutletError, match=message):
        load(config, "pi-1")


def test_outlets_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "outlets.yaml"
    assert load_all(path) == {}
    path.write_text("pi-1: {driver: http, preset: tasmota, address: 192.0.2.7}\n")
    assert set(load_all(path)) == {"pi-1"}
    path.write_text("- pi-1\n")
    with pytest.raises(OutletError, match="must map each node to its outlet"):
        load_all(path)


def test_a_password_is_never_shown() -> None:
    config = {"driver": "http", "preset": "shelly-gen2", "address": "192.0.2.7", "password": "s3cret"}
    assert "s3cret" not in repr(load(config))
    assert "s3cret" not in repr(load({**config, "preset": "tasmota"}))


@pytest.mark.parametrize(
    "config",
    [
        {"preset": "shelly-gen2", "address": "192.0.2.7", "password": 740185},
        {"on_url": "ftp://me:740185@192.0.2.7/on?password=740185"},
        {"on_url": "me:740185@192.0.2.7/on"},
    ],
)
def test_a_wrong_configuration_does_not_show_the_password(config: dict[str, Any]) -> None:
    with pytest.raises(OutletError) as failure:
        load({"driver": "http", **config}, "pi-1")
    assert "740185" not in str(failure.value)
