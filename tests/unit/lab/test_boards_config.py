"""What the lab writes and runs, without running it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import yaml

from picluster import rack
from picluster.lab import cgroups, inventory, network, nspawn, rootfs
from picluster.lab.layout import Board, LabError, Layout, boards
from picluster.lab.record import Record


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(state=tmp_path / "state", cache=tmp_path / "cache")


def test_boards_have_names_and_addresses() -> None:
    found = [(board.name, board.role, board.address) for board in boards(2)]
    assert found == [
        ("pi-0", "control-plane", "10.77.0.10"),
        ("pi-1", "node", "10.77.0.11"),
        ("pi-2", "node", "10.77.0.12"),
    ]


def test_the_inventory_is_a_racks(layout: Layout) -> None:
    inventory.write(boards(2), layout, "s3cret")
    assert stat.S_IMODE(layout.inventory.stat().st_mode) == 0o600
    read = rack.load(layout.inventory)
    assert read.control_plane.name == "pi-0"
    assert [node.name for node in read.nodes] == ["pi-1", "pi-2"]
    node = read.nodes[0]
    assert (node.address, node.user, node.key, node.known_hosts) == (
        "10.77.0.11",
        "root",
        layout.key,
        layout.known_hosts,
    )
    assert node.outlet == {
        "driver": "http",
        "preset": "shelly-gen2",
        "address": "10.77.0.1",
        "channel": 1,
        "username": "admin",
        "password": "s3cret",
    }
    assert read.control_plane.outlet is not None
    assert read.state_dir == layout.inventory.parent / ".picluster"
    assert list(yaml.safe_load(layout.inventory.read_text())["all"]["children"]) == ["control_plane", "nodes"]


def test_a_board_boots_with_its_disk_and_dies_with_its_parent(layout: Layout) -> None:
    disk = layout.disk(Board(1))
    argv = nspawn.command(Board(1), disk, Path("/image"), [Path("/sys/fs/cgroup/picluster-lab/pi-1/cgroup.procs")])
    text = " ".join(argv)
    assert argv[:3] == ["setpriv", "--pdeathsig", "KILL"]
    assert "--kill-child=SIGKILL" in argv
    for option in (
        "--register=no",
        "--keep-unit",
        "--network-bridge=picluster0",
        "--machine=pi-1",
        f"--bind={disk}/containers:/var/lib/containers",
        "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE",
    ):
        assert option in argv
    assert text.index(" -- ") < text.index("systemd-nspawn")


@pytest.mark.parametrize("legacy", [True, False])
def test_a_disk_is_made_once_with_its_own_identity(layout: Layout, legacy: bool) -> None:
    for board in boards(1):
        nspawn.make_disk(board, layout, authorized_key="ssh-ed25519 AAAA lab\n", cgroup_v1=legacy)
    one, other = (layout.disk(board) / "upper" for board in boards(1))
    assert (one / "etc/hostname").read_text() == "pi-0\n"
    assert "10.77.0.11/24" in (other / "etc/systemd/system/lab-network.service").read_text()
    assert (one / "etc/machine-id").read_text() != (other / "etc/machine-id").read_text()
    assert nspawn.public_host_key(Board(0), layout) != nspawn.public_host_key(Board(1), layout)
    assert stat.S_IMODE((one / "root/.ssh/authorized_keys").stat().st_mode) == 0o600
    assert stat.S_IMODE((one / "root").stat().st_mode) == 0o700
    assert (one / "etc/containers").exists() is legacy
    assert (one / "etc/systemd/system/sysinit.target.wants/lab-cgroups.service").is_symlink() is legacy
    before = (one / "etc/machine-id").read_text()
    nspawn.make_disk(Board(0), layout, authorized_key="", cgroup_v1=legacy)
    assert (one / "etc/machine-id").read_text() == before


def test_the_bridge_refuses_what_is_addressed_out_of_it() -> None:
    text = network.ruleset()
    assert 'iifname "picluster0" ether daddr 02:70:69:00:00:01 ip daddr != 10.77.0.0/24 reject' in text
    commands = network.commands(4711)
    assert ("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "picluster0", "netns", "4711") in commands
    on_host = [command for command in commands if command[0] == "nsenter"]
    assert any("net.ipv4.conf.picluster0.forwarding=0" in command for command in on_host)
    assert all("10.77.0.1/24" not in command for command in on_host)


def test_the_image_holds_what_the_playbooks_install() -> None:
    settings = Path(__file__).parents[3] / "playbooks/roles/settings/defaults/main.yml"
    listed = yaml.safe_load(settings.read_text())["picluster_packages"]
    wanted = {word.strip("'[],() ") for word in listed.split() if word.startswith(("'", "['", "(['"))}
    assert "podman" in wanted
    assert wanted <= set(rootfs.PACKAGES)


def test_the_image_is_named_by_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rootfs.image_path(tmp_path)
    monkeypatch.setattr(rootfs, "PACKAGES", (*rootfs.PACKAGES, "vim"))
    assert rootfs.image_path(tmp_path) != first
    argv = rootfs.command(
        tmp_path / "new", tmp_path / "debs", ["deb http://m/debian bookworm main"], ['Acquire::X "1";']
    )
    assert argv[-3:] == ["bookworm", str(tmp_path / "new"), "deb http://m/debian bookworm main"]
    assert '--aptopt=Acquire::X "1";' in argv


def test_a_record_survives_and_a_spoilt_one_is_said(layout: Layout) -> None:
    assert Record.read(layout) is None
    layout.state.mkdir()
    record = Record(3, "nspawn", Path("/image"))
    record.write(layout)
    assert Record.read(layout) == record
    layout.record.write_text(json.dumps({"nodes": "many"}))
    with pytest.raises(LabError, match="lab down"):
        Record.read(layout)


@pytest.mark.parametrize(
    ("mounts", "bases", "v2"),
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", ["/sys/fs/cgroup/picluster-lab"], True),
        (
            "c /sys/fs/cgroup/memory cgroup rw 0 0\nc /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
            ["/sys/fs/cgroup/memory/picluster-lab", "/sys/fs/cgroup/unified/picluster-lab"],
            False,
        ),
        ("proc /proc proc rw 0 0\n", [], False),
    ],
)
def test_groups_are_found_on_either_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str, bases: list[str], v2: bool
) -> None:
    monkeypatch.setattr(cgroups, "MOUNTS", tmp_path / "mounts")
    (tmp_path / "mounts").write_text(mounts)
    assert cgroups.find() == cgroups.Groups(tuple(map(Path, bases)), v2)


def test_under_systemd_groups_are_below_the_delegated_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "MOUNTS", tmp_path / "mounts")
    (tmp_path / "mounts").write_text("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n")
    groups = cgroups.find("/system.slice/picluster-lab.service")
    assert groups.bases == (Path("/sys/fs/cgroup/system.slice/picluster-lab.service"),)
