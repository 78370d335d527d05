"""Up, up again, broken, repaired, down: and nothing is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from picluster.lab import cgroups, network
from picluster.lab.lab import Lab
from picluster.lab.layout import LabError
from picluster.rack import load

pytestmark = pytest.mark.lab


def quiet(text: str) -> None:
    """Progress is for people."""


def up(lab: Lab, nodes: int | None = 1) -> None:
    asyncio.run(lab.up(nodes, "nspawn", quiet))


def left(lab: Lab) -> list[str]:
    """Traces of a lab on this machine."""
    found = [str(base) for base in cgroups.find().bases if base.exists()]
    found += [str(lab.layout.state)] if lab.layout.state.exists() else []
    found += ["bridge"] if Path("/sys/class/net/picluster0").exists() else []
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if "picluster-lab" in line]
    rules = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    found += [line for line in rules.splitlines() if "picluster_lab" in line]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_text().replace("\0", " ")
        except OSError:
            continue
        if "picluster.lab.supervisor" in command or "--network-bridge=picluster0" in command:
            found.append(command)
    return found


def kill_strip(lab: Lab) -> None:
    pid = int(lab.layout.lock.read_text())
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while asyncio.run(lab.status()).state != "broken":
        assert time.monotonic() < deadline


def test_up_twice_then_down_leaves_nothing(own_lab: Lab) -> None:
    up(own_lab)
    strip = own_lab.layout.lock.read_text()
    up(own_lab, None)
    up(own_lab, 1)
    assert own_lab.layout.lock.read_text() == strip
    with pytest.raises(LabError, match="a lab with 1 nodes is already up; picluster lab down first for one with 2"):
        up(own_lab, 2)
    assert asyncio.run(own_lab.status()).state == "up"
    assert left(own_lab)
    assert asyncio.run(own_lab.down(quiet)) is True
    assert left(own_lab) == []
    assert asyncio.run(own_lab.down(quiet)) is False


def test_a_killed_strip_takes_every_board_along_and_up_repairs_it(own_lab: Lab) -> None:
    up(own_lab)
    host = load(own_lab.layout.inventory).host("pi-1")
    with host.connect() as connection:
        connection.run("echo kept > /root/kept", hide=True)
    kill_strip(own_lab)
    found = asyncio.run(own_lab.status())
    assert "strip's process is dead" in found.problem
    up(own_lab)
    assert asyncio.run(own_lab.status()).state == "up"
    with host.connect() as connection:
        assert connection.run("cat /root/kept", hide=True).stdout == "kept\n"


def test_down_after_a_crash_leaves_nothing(own_lab: Lab) -> None:
    up(own_lab)
    kill_strip(own_lab)
    assert asyncio.run(own_lab.down(quiet)) is True
    assert left(own_lab) == []


def test_a_link_that_went_with_its_namespace_is_removed_all_the_same(own_lab: Lab) -> None:
    network.remove()
    assert not network.link_exists()


def test_down_after_half_an_up_leaves_nothing(own_lab: Lab) -> None:
    own_lab.layout.state.mkdir(parents=True)
    (own_lab.layout.state / "boards/pi-1").mkdir(parents=True)
    assert asyncio.run(own_lab.status()).state == "broken"
    assert asyncio.run(own_lab.down(quiet)) is True
    assert left(own_lab) == []
