"""The playbooks on booted boards: what a second run changes, what a bad board is told, what a reset leaves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from picluster import playbook
from picluster.rack import Host, Rack

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(600)]

SECOND_RUN_MAX_S = 30.0
COMMAND_TIMEOUT_S = 60


def provision(inventory: Path, **options: Any) -> playbook.Outcome:
    return playbook.run("site.yml", inventory, lambda phase: None, **options)


def on(host: Host, command: str) -> str:
    """Standard output of a command that must succeed on a board."""
    done = subprocess.run(host.ssh_command(command), capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S)
    assert done.returncode == 0, f"{host.name}: {command}: {done.stderr}"
    return done.stdout


@contextmanager
def meanwhile(host: Host, before: str, after: str) -> Iterator[None]:
    """Something is wrong on a board for a while."""
    on(host, before)
    try:
        yield
    finally:
        on(host, after)


@pytest.fixture
def provisioned(cluster: Rack) -> Rack:
    """The cluster as the playbooks leave it now, whatever an earlier test left."""
    outcome = provision(cluster.inventory)
    assert outcome.ok, outcome.failures
    return cluster


@pytest.fixture
def last_node(cluster: Rack) -> Host:
    return cluster.nodes[-1]


def variant(rack: Rack, tmp_path: Path, host: Host | None = None, **variables: Any) -> Path:
    """The rack's inventory with other variables, of one board or of all."""
    inventory = yaml.safe_load(rack.inventory.read_text())
    if host is None:
        inventory["all"]["vars"] |= variables
    else:
        for group in inventory["all"]["children"].values():
            if host.name in group["hosts"]:
                group["hosts"][host.name] |= variables
    path = tmp_path / "hosts.yml"
    path.write_text(yaml.safe_dump(inventory))
    path.chmod(0o600)
    return path


def refused(inventory: Path, *, says: str, of: Host, cure: str) -> None:
    """The run ends before it has changed anything, and one sentence names the board, the cause and the cure."""
    outcome = provision(inventory)
    assert not outcome.ok and outcome.changed == 0
    sentences = [text for text in outcome.failures if says in text and text.startswith(f"{of.name}: ")]
    assert len(sentences) == 1, outcome.failures
    assert cure in sentences[0] and "\n" not in sentences[0]


def test_a_second_run_changes_nothing_and_is_quick(provisioned: Rack) -> None:
    outcome = provision(provisioned.inventory)
    assert outcome.ok, outcome.failures
    changes = {name: host.changed for name, host in outcome.hosts.items()}
    assert changes == {host.name: 0 for host in provisioned.hosts}
    assert outcome.elapsed_s < SECOND_RUN_MAX_S


def test_only_what_has_drifted_is_put_right(provisioned: Rack, last_node: Host) -> None:
    since = on(provisioned.nodes[0], "systemctl show -P InactiveExitTimestamp picluster-agent")
    on(last_node, "chmod 0644 /etc/picluster/agent.kubeconfig; sysctl -qw net.ipv4.ip_forward=0")
    on(last_node, "systemctl disable -q --now picluster-agent")
    outcome = provision(provisioned.inventory)
    assert outcome.ok, outcome.failures
    assert {name for name, host in outcome.hosts.items() if host.changed} == {last_node.name}
    assert on(last_node, "stat -c %a /etc/picluster/agent.kubeconfig; sysctl -n net.ipv4.ip_forward").split() == [
        "600",
        "1",
    ]
    assert on(last_node, "systemctl is-enabled picluster-agent; systemctl is-active picluster-agent").split() == [
        "enabled",
        "active",
    ]
    assert on(provisioned.nodes[0], "systemctl show -P InactiveExitTimestamp picluster-agent") == since


def test_an_install_that_was_cut_short_is_made_again(provisioned: Rack, last_node: Host) -> None:
    current = on(last_node, "readlink /opt/picluster/venv").strip()
    on(last_node, f"rm /opt/picluster/venv; rm -rf /opt/picluster/{current}/lib; ln -s nowhere /opt/picluster/venv.new")
    outcome = provision(provisioned.inventory, limit=f"{provisioned.control_plane.name},{last_node.name}")
    assert outcome.ok, outcome.failures
    assert on(last_node, "readlink /opt/picluster/venv; ls /opt/picluster").split() == [current, "venv", "venvs"]


def test_a_check_changes_nothing(provisioned: Rack, last_node: Host) -> None:
    on(last_node, "chmod 0640 /etc/picluster/agent.yaml")
    outcome = provision(provisioned.inventory, check=True)
    assert outcome.ok, outcome.failures
    assert outcome.hosts[last_node.name].changed == 1
    assert on(last_node, "stat -c %a /etc/picluster/agent.yaml; chmod 0644 /etc/picluster/agent.yaml").strip() == "640"


def test_the_wrong_user(cluster: Rack, tmp_path: Path) -> None:
    inventory = variant(cluster, tmp_path, ansible_user="somebody")
    refused(inventory, says="SSH refuses the user 'somebody'", of=cluster.nodes[0], cure="ssh-copy-id somebody@")


def test_no_ssh(cluster: Rack, last_node: Host, tmp_path: Path) -> None:
    inventory = variant(cluster, tmp_path, last_node, ansible_port=2222)
    refused(inventory, says="nothing listens for SSH", of=last_node, cure="systemctl enable --now ssh")


def test_a_board_that_is_not_there(cluster: Rack, last_node: Host, tmp_path: Path) -> None:
    absent = last_node.address.rpartition(".")[0] + ".199"
    inventory = variant(cluster, tmp_path, last_node, ansible_host=absent)
    refused(inventory, says=f"no answer from {absent}", of=last_node, cure="check its power")


def test_a_port_that_somebody_else_has(cluster: Rack, last_node: Host) -> None:
    squat = "systemd-run -q --unit=squatter python3 -m http.server 10250"
    before = f"systemctl stop picluster-agent && {squat} && sleep 0.5 && ss -Hltn sport = 10250 | grep -q ."
    with meanwhile(last_node, before, "systemctl stop squatter; systemctl start picluster-agent"):
        refused(cluster.inventory, says="port 10250", of=last_node, cure="systemctl disable --now squatter.service")


def test_a_control_plane_behind_a_firewall(cluster: Rack, last_node: Host) -> None:
    wall = (
        "nft add table ip wall && nft add chain ip wall in '{ type filter hook input priority 0; }' && "
        f"nft add rule ip wall in ip saddr {last_node.address} tcp dport 6443 drop"
    )
    with meanwhile(cluster.control_plane, wall, "nft delete table ip wall"):
        target = f"cannot reach {cluster.control_plane.name} at {cluster.control_plane.address}:6443"
        refused(cluster.inventory, says=target, of=last_node, cure="allow TCP port 6443")


def test_two_boards_of_one_host_name(cluster: Rack, last_node: Host) -> None:
    first = cluster.nodes[0]
    with meanwhile(last_node, f"hostname {first.name}", f"hostname {last_node.name}"):
        refused(cluster.inventory, says=f"{first.name} is called", of=last_node, cure="hostnamectl set-hostname")


def test_two_nodes_of_one_name(cluster: Rack, last_node: Host, tmp_path: Path) -> None:
    inventory = variant(cluster, tmp_path, last_node, picluster_node_name=cluster.nodes[0].name)
    refused(inventory, says="also has the node name", of=last_node, cure="picluster_node_name")


def test_a_reset_board_has_nothing_of_ours_and_comes_back(provisioned: Rack, last_node: Host) -> None:
    sure = {"picluster_reset": "yes"}
    reset = playbook.run("reset.yml", provisioned.inventory, lambda phase: None, limit=last_node.name, variables=sure)
    left, known = traces(last_node), node_names(provisioned)
    again = provision(provisioned.inventory)

    assert reset.ok, reset.failures
    assert left == []
    assert last_node.name not in known
    assert again.ok, again.failures
    assert last_node.name in node_names(provisioned)
    assert provision(provisioned.inventory).changed == 0


def traces(host: Host) -> list[str]:
    """What of picluster is still on a board."""
    return on(
        host,
        "ls -d /etc/picluster /var/lib/picluster /run/picluster /opt/picluster /etc/systemd/system/picluster-* "
        "/etc/cni/net.d/10-picluster.conflist /etc/sysctl.d/60-picluster.conf 2> /dev/null; "
        "grep ' picluster-restart$' /root/.ssh/authorized_keys; "
        "findmnt -lno TARGET | grep -E '^(/var/lib|/run)/picluster/'; "
        "nft list tables | grep picluster; ip -o link show cni0 2> /dev/null; ip route show proto 142; "
        "podman ps --all --quiet --filter label=io.kubernetes.pod.uid; pgrep -a picluster-agent; true",
    ).splitlines()


def node_names(rack: Rack) -> set[str]:
    """As the API server has them, asked on the control plane itself."""
    pki = "/etc/picluster/pki"
    command = f"curl -sS --cacert {pki}/ca.crt --cert {pki}/admin.crt --key {pki}/admin.key https://127.0.0.1:6443/api/v1/nodes"
    return {node["metadata"]["name"] for node in json.loads(on(rack.control_plane, command))["items"]}
