"""Boards that run: their power, their disks, what they may reach."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import paramiko
import pytest
from click.testing import CliRunner, Result

from picluster.cli import main
from picluster.lab import images
from picluster.lab.lab import Lab, ssh_answers
from picluster.lab.layout import Board
from picluster.rack import Rack

pytestmark = pytest.mark.lab
PI_1 = Board(1)
SSH_BACK_S = 20.0
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


def on_board(rack: Rack, name: str, command: str) -> str:
    with rack.host(name).connect() as connection:
        return str(connection.run(command, hide=True).stdout).strip()


def picluster(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def load_image(key: str, lab: Lab, rack: Rack) -> Any:
    archive = images.build_all(lab.layout.cache)[key]
    return json.loads(picluster("image", "load", str(archive), "-i", str(rack.inventory), "-o", "json").stdout)


def wait_for_ssh(rack: Rack, name: str) -> None:
    deadline = time.monotonic() + SSH_BACK_S
    while not asyncio.run(ssh_answers(rack.host(name).address)):
        assert time.monotonic() < deadline, f"no SSH on {name}"


def processes_of(board: Board) -> list[Path]:
    """Every process of this machine that runs in the board's control group."""
    mark = f"/picluster-lab/{board.name}"
    found = []
    for entry in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            if mark in entry.read_text():
                found.append(entry.parent)
        except OSError:
            continue
    return found


def test_a_board_is_a_debian_with_systemd_ssh_and_podman(rack: Rack) -> None:
    assert on_board(rack, "pi-1", "hostname; cat /proc/1/comm; systemctl is-system-running --wait || true").split() == [
        "pi-1",
        "systemd",
        "running",
    ]
    identities = {on_board(rack, host.name, "cat /etc/machine-id /etc/ssh/*.pub") for host in rack.hosts}
    assert len(identities) == len(rack.hosts)
    assert json.loads(on_board(rack, "pi-1", "podman info --format json"))["host"]["ociRuntime"]["name"]


def test_a_container_with_limits_runs(lab: Lab, rack: Rack) -> None:
    load_image("busybox", lab, rack)
    command = "podman run --rm --network none --memory 64m --cpus 0.5 localhost/picluster/busybox:1 echo ran"
    assert on_board(rack, "pi-1", command) == "ran"


def test_only_the_boards_own_key_is_believed(rack: Rack, tmp_path: Path) -> None:
    swapped = tmp_path / "known_hosts"
    keys = rack.nodes[0].known_hosts
    assert keys is not None
    lines = [line.split() for line in keys.read_text().splitlines()]
    swapped.write_text("".join(f"{lines[i - 1][0]} {line[1]} {line[2]}\n" for i, line in enumerate(lines)))
    with pytest.raises(paramiko.SSHException), replace(rack.nodes[0], known_hosts=swapped).connect() as connection:
        connection.open()


def test_off_kills_the_board_whole_and_on_brings_its_disk_back(lab: Lab, rack: Rack) -> None:
    on_board(rack, "pi-1", "echo kept > /root/kept; echo kept > /var/lib/containers/kept; echo gone > /run/gone")
    identity = on_board(rack, "pi-1", "cat /etc/machine-id")
    on_board(rack, "pi-1", "systemd-run --quiet --unit=canary sleep 600")
    assert processes_of(PI_1)
    off = picluster("lab", "power", "off", "pi-1", "-o", "json")
    assert json.loads(off.stdout) == {"board": "pi-1", "outlet": "off"}
    assert processes_of(PI_1) == []
    assert not asyncio.run(ssh_answers(PI_1.address))
    found = asyncio.run(lab.status())
    assert [(board.name, board.outlet, board.ssh) for board in found.boards][:2] == [
        ("pi-0", "on", True),
        ("pi-1", "off", False),
    ]
    assert picluster("lab", "power", "on", "pi-1").stdout == "pi-1 is on\n"
    wait_for_ssh(rack, "pi-1")
    assert on_board(rack, "pi-1", "cat /root/kept /var/lib/containers/kept; ls /run/gone 2>/dev/null || true") == (
        "kept\nkept"
    )
    assert on_board(rack, "pi-1", "cat /etc/machine-id") == identity
    assert on_board(rack, "pi-1", "systemctl is-active canary || true") == "inactive"


def test_a_board_that_reboots_comes_up_and_one_that_shuts_down_stays_down(lab: Lab, rack: Rack) -> None:
    before = on_board(rack, "pi-1", BOOT_ID)
    on_board(rack, "pi-1", "systemd-run --quiet --on-active=0.1 --timer-property=AccuracySec=10ms reboot")
    deadline = time.monotonic() + SSH_BACK_S
    while True:
        wait_for_ssh(rack, "pi-1")
        try:
            if on_board(rack, "pi-1", BOOT_ID) != before:
                break
        except (OSError, EOFError):
            pass
        assert time.monotonic() < deadline
    on_board(rack, "pi-1", "systemd-run --quiet --on-active=0.1 --timer-property=AccuracySec=10ms poweroff")
    deadline = time.monotonic() + SSH_BACK_S
    while asyncio.run(lab.outlets().look(PI_1)).running:
        assert time.monotonic() < deadline
    assert asyncio.run(lab.status()).state == "broken"
    asyncio.run(lab.up(None, "nspawn", lambda text: None))
    assert asyncio.run(lab.status()).state == "up"


REACH = """python3 -c '
import socket, time
started = time.monotonic()
client = socket.socket()
client.settimeout(2)
try:
    client.connect(("{address}", 80))
    print("connected")
except OSError as error:
    print("refused" if time.monotonic() - started < 1 else "late", error)
'"""


@pytest.mark.parametrize(
    ("address", "route"),
    [
        ("192.0.2.1", ""),
        ("192.0.2.1", "via 10.77.0.1"),
        ("192.0.2.1", "via 10.77.0.254"),
        ("10.42.200.9", "via 10.77.0.1"),
        ("10.43.200.9", "via 10.77.0.1"),
        ("10.43.200.9", "dev host0"),
    ],
)
def test_there_is_no_way_out(rack: Rack, address: str, route: str) -> None:
    """Refused at once, except by this machine's own link, which drops what it does not forward."""
    board = rack.hosts[0].name
    add = f"ip route add {address}/32 {route}; " if route else ""
    remove = f"; ip route del {address}/32" if route else ""
    said = on_board(rack, board, add + REACH.format(address=address) + remove)
    assert said.split()[0] in (("late", "refused") if route.endswith(".254") else ("refused",))


def test_boards_cannot_set_this_machines_clock(rack: Rack) -> None:
    assert "not permitted" in on_board(rack, "pi-1", "date -s @1 2>&1 >/dev/null || true")


def test_images_are_loaded_and_listed(lab: Lab, rack: Rack) -> None:
    loaded = load_image("web", lab, rack)
    assert {name: found["loaded"] for name, found in loaded.items()} == {
        node.name: ["localhost/picluster/web:1"] for node in rack.nodes
    }
    listed = json.loads(picluster("image", "ls", "-o", "json").stdout)
    assert [node.name for node in rack.nodes] in [
        row["nodes"] for row in listed if row["image"] == "localhost/picluster/web:1"
    ]
    run = "podman run -d --rm --network none --name web-test localhost/picluster/web:1"
    asked = "until podman exec web-test wget -qO- http://127.0.0.1:8080/healthz; do sleep 0.05; done 2>/dev/null"
    assert on_board(rack, "pi-1", f"{run} >/dev/null && timeout 10 sh -c '{asked}'; podman stop web-test") == (
        "ok\nweb-test"
    )


def test_ssh_passes_the_commands_output_and_exit_code(rack: Rack) -> None:
    argv = rack.host("pi-1").ssh_command("hostname; exit 7")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (7, "pi-1\n")
