"""Reading a rack: most cases on what ansible-inventory would print, the way there with the real program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from picluster import rack
from picluster.rack import RackError

WHERE = Path("/racks/home/hosts.yml")
OUTLET = {"driver": "http", "preset": "shelly-gen2", "address": "10.0.0.5", "channel": 1}


def listing(**hosts: dict[str, Any]) -> dict[str, Any]:
    """As printed by ansible-inventory: cp is the control plane, the others are nodes."""
    named = {name.replace("_", "-"): variables for name, variables in hosts.items()}
    return {
        "_meta": {"hostvars": named},
        "control_plane": {"hosts": ["cp"] if "cp" in named else []},
        "nodes": {"hosts": [name for name in named if name != "cp"]},
    }


CP = {"ansible_host": "10.0.0.10", "ansible_user": "pi"}


def test_a_rack_has_hosts_with_all_that_reaches_them() -> None:
    node = {
        "ansible_host": "10.0.0.11",
        "ansible_user": "pi",
        "ansible_port": "2222",
        "ansible_ssh_private_key_file": "{{ inventory_dir }}/id",
        "ansible_ssh_common_args": "-o UserKnownHostsFile=/known -o StrictHostKeyChecking=yes",
        "picluster_outlet": OUTLET,
    }
    found = rack.parse(WHERE, listing(cp=CP, pi_1=node))
    assert [host.name for host in found.hosts] == ["cp", "pi-1"]
    assert found.state_dir == Path("/racks/home/.picluster")
    assert found.kubeconfig == Path("/racks/home/.picluster/admin.kubeconfig")
    host = found.host("pi-1")
    assert (host.role, host.address, host.user, host.port) == ("node", "10.0.0.11", "pi", 2222)
    assert (host.key, host.known_hosts) == (Path("/racks/home/id"), Path("/known"))
    assert found.outlet("pi-1") == OUTLET
    assert host.as_root("podman load") == "sudo -n sh -c 'podman load'"
    assert host.ssh_command("uptime") == [
        *("ssh", "-i", "/racks/home/id", "-oIdentitiesOnly=yes"),
        *("-oUserKnownHostsFile=/known", "-oStrictHostKeyChecking=yes", "-oConnectTimeout=5", "-p", "2222"),
        *("pi@10.0.0.11", "--", "uptime"),
    ]


def test_groups_may_hold_groups() -> None:
    listed = listing(cp=CP, pi_1={}, pi_2={})
    listed["nodes"] = {"children": ["shelf"]}
    listed["shelf"] = {"hosts": ["pi-2", "pi-1"]}
    assert [node.name for node in rack.parse(WHERE, listed).nodes] == ["pi-2", "pi-1"]


def test_a_control_plane_may_be_a_node_too() -> None:
    listed = listing(cp=CP)
    listed["nodes"]["hosts"] = ["cp"]
    assert [host.name for host in rack.parse(WHERE, listed).hosts] == ["cp"]


def test_a_secret_may_be_a_reference_to_a_variable() -> None:
    node = {"picluster_outlet": OUTLET | {"password": "{{ strip_password }}"}, "strip_password": "hush"}
    assert rack.parse(WHERE, listing(cp=CP, pi_1=node)).outlet("pi-1")["password"] == "hush"


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        (listing(pi_1={}), "control_plane has no board"),
        (listing(cp=CP), "nodes has no board"),
        (listing(cp=CP, pi_1={"ansible_port": "ssh"}), "pi-1: ansible_port is 'ssh'"),
        (listing(cp=CP, pi_1={"ansible_host": "10.0.0.10"}), "cp and pi-1 have one address, 10.0.0.10"),
        (listing(cp=CP, pi_1={"picluster_outlet": "http"}), "pi-1: picluster_outlet must be a mapping"),
        (
            listing(cp=CP, pi_1={"picluster_outlet": {"driver": "http", "address": "{{ x }}"}}),
            "picluster_outlet.address",
        ),
    ],
)
def test_a_wrong_inventory_is_named_with_host_and_key(listed: dict[str, Any], words: str) -> None:
    with pytest.raises(RackError) as caught:
        rack.parse(WHERE, listed)
    assert words in str(caught.value)
    assert "/racks/home/hosts.yml" in str(caught.value)


def test_who_is_not_there_and_who_has_no_outlet_is_said() -> None:
    found = rack.parse(WHERE, listing(cp=CP, pi_1={}))
    with pytest.raises(RackError, match="no board pi-9; it has cp, pi-1"):
        found.outlet("pi-9")
    with pytest.raises(RackError, match="pi-1 has no picluster_outlet"):
        found.outlet("pi-1")


def test_a_board_may_serve_images() -> None:
    assert rack.parse(WHERE, listing(cp=CP, pi_1={})).registry is None
    place = rack.parse(
        WHERE, listing(cp=CP | {"picluster_registry": "pi-1"}, pi_1={"ansible_host": "10.0.0.11"})
    ).registry
    assert place is not None and (place.board.address, place.host_port) == ("10.0.0.11", "registry.internal:5000")
    named = {"picluster_registry": "cp", "picluster_registry_name": "images.home", "picluster_registry_port": "443"}
    place = rack.parse(WHERE, listing(cp=CP | named, pi_1={})).registry
    assert place is not None and (place.board.name, place.host_port) == ("cp", "images.home:443")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"picluster_registry": "pi-9"}, "picluster_registry is 'pi-9', which is no board; it has cp, pi-1"),
        ({"picluster_registry": "cp", "picluster_registry_port": "http"}, "picluster_registry_port is 'http'"),
    ],
)
def test_a_wrong_registry_is_said(variables: dict[str, Any], words: str) -> None:
    with pytest.raises(RackError) as error:
        rack.parse(WHERE, listing(cp=CP | variables, pi_1={}))
    assert words in str(error.value)


def test_ansible_reads_the_file(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.yml"
    hosts.write_text(
        "control_plane: {hosts: {pi-0: {ansible_host: 10.0.0.10}}}\n"
        "nodes: {hosts: {'pi-[1:2]': {}}, vars: {ansible_user: pi}}\n"
    )
    found = rack.load(hosts)
    assert [host.name for host in found.hosts] == ["pi-0", "pi-1", "pi-2"]
    assert found.nodes[0].user == "pi"


@pytest.mark.parametrize("text", ["nodes: [", "nodes: {hosts: {pi-1: {}, pi-1: {}}}\n"])
def test_a_file_that_ansible_refuses_is_named(tmp_path: Path, text: str) -> None:
    hosts = tmp_path / "hosts.yml"
    hosts.write_text(text)
    with pytest.raises(RackError, match=r"cannot read .*hosts\.yml"):
        rack.load(hosts)


def test_which_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rack, "LAB_INVENTORY", tmp_path / "lab.yml")
    with pytest.raises(RackError, match="picluster lab up"):
        rack.resolve_inventory(None)
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory/hosts.yml").touch()
    assert rack.resolve_inventory(None) == Path("inventory/hosts.yml")
    (tmp_path / "lab.yml").touch()
    assert rack.resolve_inventory(None) == tmp_path / "lab.yml"
    with pytest.raises(RackError, match="does not exist"):
        rack.resolve_inventory(tmp_path / "other.yml")
