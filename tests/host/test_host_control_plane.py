"""What the control plane's board must be."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from testinfra.host import Host

UNITS = ("picluster-apiserver", "picluster-scheduler", "picluster-controllers")
MEMORY_MAX_MIB = 160
CURL = "curl -sS --max-time 5 --cacert /etc/picluster/pki/ca.crt"
ADMIN = "--cert /etc/picluster/pki/admin.crt --key /etc/picluster/pki/admin.key"
SERVER = "https://127.0.0.1:6443"


@pytest.mark.parametrize("unit", UNITS)
def test_its_units_run_now_and_after_a_boot(board: Host, unit: str) -> None:
    service = board.service(unit)
    assert service.is_running and service.is_enabled


def test_the_api_server_listens_and_is_ready(board: Host) -> None:
    assert board.socket("tcp://0.0.0.0:6443").is_listening
    assert board.check_output(f"{CURL} {ADMIN} {SERVER}/readyz").startswith("ok")


@pytest.mark.parametrize("path", ["/api/v1/secrets", "/api/v1/nodes", "/metrics"])
def test_nobody_gets_in_without_a_certificate(board: Host, path: str) -> None:
    status = board.check_output(f"{CURL} -o /dev/null -w '%{{http_code}}' {SERVER}{path} || true")
    assert status in ("401", "403", "000")


def test_the_administrator_sees_every_node_of_the_inventory(board: Host, variables: dict[str, Any]) -> None:
    nodes = json.loads(board.check_output(f"{CURL} {ADMIN} {SERVER}/api/v1/nodes"))["items"]
    assert {node["metadata"]["name"] for node in nodes} >= set(variables["groups"]["nodes"])


def test_the_store_is_private(board: Host) -> None:
    store = board.file("/var/lib/picluster/store")
    assert store.is_directory and store.mode & 0o077 == 0
    assert board.check_output("find /var/lib/picluster/store -type f -perm /0077") == ""


def test_an_outlet_for_every_node_that_has_one(board: Host, variables: dict[str, Any]) -> None:
    outlets = yaml.safe_load(board.file("/etc/picluster/outlets.yaml").content_string)
    assert set(outlets) <= set(variables["groups"]["nodes"])
    assert all(outlet["driver"] in ("http", "command") for outlet in outlets.values())


def test_its_key_restarts_agents_and_does_nothing_else(board: Host, variables: dict[str, Any]) -> None:
    node = variables["groups"]["nodes"][0]
    said = board.run(f"ssh -F /etc/picluster/ssh/config {node} cat /etc/picluster/pki/agent.key")
    assert (said.rc, said.stdout) == (0, "")


def test_idle_memory_of_the_control_plane(board: Host) -> None:
    used_kib = sum(pss_kib(board, unit) for unit in UNITS)
    assert used_kib / 1024 <= MEMORY_MAX_MIB


def pss_kib(board: Host, unit: str) -> int:
    """Proportional set size of a unit's main process: shared pages count once."""
    pid = board.check_output(f"systemctl show -P MainPID {unit}")
    return int(board.check_output(f"awk '/^Pss:/ {{ print $2 }}' /proc/{pid}/smaps_rollup"))
