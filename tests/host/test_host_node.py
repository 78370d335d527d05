"""What a board that runs pods must be."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from testinfra.host import Host

MEMORY_MAX_MIB = 70
READY_MAX_S = 15.0
"""Another check restarts this board's agent with the control plane's key."""
AGENT = "--cert /etc/picluster/pki/agent.crt --key /etc/picluster/pki/agent.key --cacert /etc/picluster/pki/ca.crt"


def test_its_agent_runs_now_and_after_a_boot(board: Host) -> None:
    service = board.service("picluster-agent")
    assert service.is_running and service.is_enabled


def test_containers_outlive_the_agent(board: Host) -> None:
    shown = board.check_output("systemctl show -p KillMode -p Delegate -p Restart picluster-agent").split()
    assert {"KillMode=process", "Delegate=yes", "Restart=always"} <= set(shown)


def test_the_agent_lets_nobody_in_without_a_certificate(board: Host, variables: dict[str, Any]) -> None:
    assert board.check_output("ss -Hltn 'sport = 10250'")
    address = variables.get("picluster_node_ip") or variables["ansible_host"]
    answer = board.run(f"curl -sSk --max-time 5 -o /dev/null -w '%{{http_code}}' https://{address}:10250/pods")
    assert answer.rc != 0 or answer.stdout in ("401", "403")


def test_the_node_is_ready_and_says_so_under_its_own_name(board: Host) -> None:
    lines = board.file("/etc/picluster/agent.kubeconfig").content_string.split()
    server = lines[lines.index("server:") + 1]
    name = next(
        line.split()[1]
        for line in board.file("/etc/picluster/agent.yaml").content_string.splitlines()
        if "node_name" in line
    )
    ready: dict[str, str] = {}
    deadline_s = time.monotonic() + READY_MAX_S
    while ready.get("status") != "True" and time.monotonic() < deadline_s:
        node = json.loads(board.check_output(f"curl -sS --max-time 5 {AGENT} {server}/api/v1/nodes/{name}"))
        ready = next(condition for condition in node["status"]["conditions"] if condition["type"] == "Ready")
    assert ready["status"] == "True", ready


def test_the_authoritys_key_is_not_here(board: Host, variables: dict[str, Any]) -> None:
    assert "control_plane" in variables["group_names"] or not board.file("/etc/picluster/pki/ca.key").exists


def test_podman_answers_on_its_socket(board: Host) -> None:
    assert board.service("podman.socket").is_running and board.service("podman.socket").is_enabled
    ping = "curl -sS --max-time 20 --unix-socket /run/podman/podman.sock http://d/v4.0.0/libpod/_ping"
    assert board.check_output(ping) == "OK"


def test_podman_stores_in_layers_and_asks_nobody_for_a_registry(board: Host) -> None:
    info = json.loads(board.check_output("podman info --format json"))
    assert info["store"]["graphDriverName"] == "overlay"
    assert info["host"]["ociRuntime"]["name"] == "runc"
    v1 = info["host"]["cgroupVersion"] == "v1"
    assert info["host"]["cgroupManager"] == ("cgroupfs" if v1 else "systemd")
    assert "permissive" in board.check_output("cat /etc/containers/registries.conf.d/50-picluster.conf")


@pytest.mark.parametrize("plugin", ["bridge", "host-local", "loopback"])
def test_cni_plugins_are_there(board: Host, plugin: str) -> None:
    assert board.run(f"test -x /opt/cni/bin/{plugin} -o -x /usr/lib/cni/{plugin}").rc == 0


def test_no_network_but_the_agents_is_configured(board: Host) -> None:
    assert not board.file("/etc/cni/net.d/87-podman-bridge.conflist").exists


@pytest.mark.parametrize("name", ["net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables"])
def test_pods_are_routed(board: Host, name: str) -> None:
    assert board.sysctl(name) == 1


def test_nothing_is_swapped_to_a_card(board: Host, variables: dict[str, Any]) -> None:
    swaps = [line.split()[0] for line in board.check_output("cat /proc/swaps").splitlines()[1:]]
    container = board.run("systemd-detect-virt --container --quiet").rc == 0
    assert container or variables.get("picluster_keep_swap") or all(swap.startswith("/dev/zram") for swap in swaps)


def test_the_control_planes_key_may_restart_the_agent_only(board: Host) -> None:
    keys = board.file("/root/.ssh/authorized_keys")
    assert keys.mode == 0o600
    [line] = [line for line in keys.content_string.splitlines() if line.endswith(" picluster-restart")]
    options = line.partition(" ssh-ed25519 ")[0]
    assert options.startswith('restrict,from="') and options.endswith('command="systemctl restart picluster-agent"')


def test_idle_memory_of_the_agent(board: Host) -> None:
    pid = board.check_output("systemctl show -P MainPID picluster-agent")
    used_kib = int(board.check_output(f"awk '/^Pss:/ {{ print $2 }}' /proc/{pid}/smaps_rollup"))
    assert used_kib / 1024 <= MEMORY_MAX_MIB
