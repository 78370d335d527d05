"""Every sentence of the preflight: that it is said, of the right board, in one line with its cure, and only then."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

PLUGIN = Path(__file__).parents[3] / "playbooks" / "filter_plugins" / "preflight.py"
spec = importlib.util.spec_from_file_location("preflight_filters", PLUGIN)
assert spec is not None and spec.loader is not None
preflight = importlib.util.module_from_spec(spec)
spec.loader.exec_module(preflight)

Change = dict[str, Any]


def a_probe(**changes: Any) -> Change:
    probe = {
        "hostname": "pi-1",
        "os": {"id": "debian", "like": "", "version": "12", "name": "Debian GNU/Linux 12 (bookworm)"},
        "python": "3.11",
        "arch": "aarch64",
        "bits": 64,
        "model": "Raspberry Pi 4 Model B Rev 1.5",
        "systemd": True,
        "cgroup": {"version": 2, "memory": True},
        "memory_mib": 3792,
        "free_mib": {"/": 20000, "/opt": 20000, "/var/lib": 20000},
        "addresses": ["127.0.0.1", "10.0.0.11"],
        "listeners": {},
        "unreachable": {},
        "clock": {"synchronized": False},
    }
    return probe | changes


def a_board(name: str = "pi-1", address: str = "10.0.0.11", *, probe: Change | None = None, **changes: Any) -> Change:
    board = {
        "host": name,
        "address": address,
        "user": "pi",
        "node_name": name,
        "node_ip": address,
        "hostname_set": False,
        "reach": {"stdout": "", "rc": 0},
        "become": {"rc": 0},
        "clock_offset_s": 0.2,
        "probe": a_probe(hostname=name, addresses=["127.0.0.1", address]) | (probe or {}),
    }
    return board | changes


def said(*boards: Change) -> dict[str, list[str]]:
    found: dict[str, list[str]] = preflight.findings(boards)
    return found


def test_fit_boards_hear_nothing() -> None:
    boards = [a_board(), a_board("pi-2", "10.0.0.12", probe={"os": {"id": "debian", "version": "13", "name": "x"}})]
    assert said(*boards) == {"pi-1": [], "pi-2": []}


@pytest.mark.parametrize(
    ("probe", "cause", "cure"),
    [
        ({"os": {"id": "ubuntu", "version": "24.04", "name": "Ubuntu 24.04 LTS"}}, "Ubuntu 24.04 LTS", "flash"),
        ({"os": {"id": "debian", "version": "11", "name": "Debian 11"}}, "Debian 11", "flash"),
        ({"bits": 32, "arch": "armv7l"}, "32-bit armv7l", "64-bit image"),
        ({"bits": 32, "arch": "aarch64"}, "32-bit", "64-bit image"),
        ({"python": "3.9"}, "python3 is 3.9", "install Python 3.11"),
        ({"systemd": False}, "systemd", "boot the board with systemd"),
        ({"memory_mib": 400}, "400 MiB of memory", "512 MB"),
        ({"free_mib": {"/": 90, "/opt": 90, "/var/lib": 90}}, "only 90 MiB are free under /", "make room"),
        ({"free_mib": {"/": 900, "/opt": 900, "/var/lib": 20}}, "20 MiB are free under /var/lib", "make room"),
        (
            {"model": "", "cgroup": {"version": 2, "memory": False}},
            "without the memory cgroup controller (cgroup v2)",
            "cgroup_enable=memory",
        ),
        (
            {"listeners": {"10250": {"program": "kubelet", "pid": 812, "unit": "kubelet.service"}}},
            "port 10250, which picluster needs, is taken by kubelet (process 812)",
            "systemctl disable --now kubelet.service",
        ),
        ({"listeners": {"6443": {"program": "nc", "pid": 9, "unit": ""}}}, "port 6443", "sudo kill 9"),
        (
            {"unreachable": {"10.0.0.10:6443": "no answer within 3 s"}},
            "cannot reach the control plane at 10.0.0.10:6443 (no answer within 3 s)",
            "allow TCP port 6443",
        ),
        ({"addresses": ["127.0.0.1", "10.0.0.99"]}, "(it has 10.0.0.99)", "set picluster_node_ip"),
    ],
)
def test_what_was_seen_on_a_board(probe: Change, cause: str, cure: str) -> None:
    [sentence] = said(a_board(probe=probe))["pi-1"]
    assert_sentence(sentence, "pi-1", cause, cure)


def assert_sentence(sentence: str, host: str, cause: str, cure: str) -> None:
    assert sentence.startswith(f"{host}: ")
    assert "\n" not in sentence and sentence.endswith(".") and not sentence.endswith("..")
    assert cause in sentence and cure in sentence


def test_a_pi_without_memory_cgroup_is_not_refused_because_it_is_cured() -> None:
    assert said(a_board(probe={"cgroup": {"version": 2, "memory": False}})) == {"pi-1": []}


def test_ports_of_its_own_units_are_free_for_it() -> None:
    listener = {"program": "picluster-agent", "pid": 5, "unit": "picluster-agent.service"}
    assert said(a_board(probe={"listeners": {"10250": listener}})) == {"pi-1": []}


@pytest.mark.parametrize(
    ("offset_s", "synchronized", "refused"),
    [
        (1.9, False, ""),
        (-1.9, False, ""),
        (3600.0, True, ""),
        (3600.0, False, "3600 s ahead of"),
        (-5.0, False, "5 s behind"),
    ],
)
def test_clocks(offset_s: float, synchronized: bool, refused: str) -> None:
    found = said(a_board(probe={"clock": {"synchronized": synchronized}}, clock_offset_s=offset_s))["pi-1"]
    assert len(found) == (1 if refused else 0)
    assert all(refused in sentence and "picluster_ntp_servers" in sentence for sentence in found)


@pytest.mark.parametrize(
    ("message", "cause", "cure"),
    [
        (
            "root@10.0.0.11: Permission denied (publickey,password).",
            "refuses the user 'pi'",
            "ssh-copy-id pi@10.0.0.11",
        ),
        ("ssh: connect to host 10.0.0.11 port 22: Connection refused", "nothing listens for SSH", "enable --now ssh"),
        ("ssh: connect to host 10.0.0.11 port 22: Connection timed out", "no answer", "check its power"),
        ("ssh: connect to host 10.0.0.11 port 22: No route to host", "no answer", "check its power"),
        ("ssh: Could not resolve hostname pi-1: Name or service not known", "does not resolve", "set ansible_host"),
        ("@@@ REMOTE HOST IDENTIFICATION HAS CHANGED! @@@\nHost key verification failed.", "host key", "ssh-keygen -R"),
        ("kex_exchange_identification: read: broken", "kex_exchange_identification: read: broken", "must work"),
    ],
)
def test_no_way_in(message: str, cause: str, cure: str) -> None:
    reach = {"unreachable": True, "msg": f"Task failed: Failed to connect to the host via ssh: {message}"}
    [sentence] = said(a_board(reach=reach, become={"skipped": True}))["pi-1"]
    assert_sentence(sentence, "pi-1", cause, cure)


@pytest.mark.parametrize(
    ("become", "cause", "cure"),
    [
        ({"failed": True, "msg": "Missing sudo password"}, "may not become root", "NOPASSWD:ALL"),
        (
            {"failed": True, "msg": "x", "module_stderr": "pi is not in the sudoers file."},
            "may not become root",
            "sudoers.d",
        ),
        (
            {"failed": True, "msg": "non-zero", "stderr": "Traceback\nOSError: no space"},
            "(OSError: no space)",
            "must work",
        ),
    ],
)
def test_no_root(become: Change, cause: str, cure: str) -> None:
    [sentence] = preflight.findings([a_board(become=become) | {"probe": {}}])["pi-1"]
    assert_sentence(sentence, "pi-1", cause, cure)


def test_no_python() -> None:
    [sentence] = preflight.findings([a_board(reach={"stdout": "no-python\r\n"}) | {"probe": {}}])["pi-1"]
    assert_sentence(sentence, "pi-1", "no python3", "apt-get install python3")


def test_two_boards_of_one_host_name_are_both_named() -> None:
    found = said(
        a_board(probe={"hostname": "raspberrypi"}), a_board("pi-2", "10.0.0.12", probe={"hostname": "raspberrypi"})
    )
    assert_sentence(found["pi-1"][0], "pi-1", "pi-2 is called 'raspberrypi' too", "hostnamectl set-hostname pi-1")
    assert_sentence(found["pi-2"][0], "pi-2", "pi-1 is called 'raspberrypi' too", "picluster_set_hostname: true")


def test_one_host_name_does_not_matter_when_picluster_sets_it() -> None:
    one = a_board(probe={"hostname": "raspberrypi"}, hostname_set=True)
    other = a_board("pi-2", "10.0.0.12", probe={"hostname": "raspberrypi"}, hostname_set=True)
    assert said(one, other) == {"pi-1": [], "pi-2": []}


def test_two_boards_of_one_node_name_or_address() -> None:
    one, other = a_board(), a_board("pi-2", "10.0.0.11", node_name="pi-1")
    found = said(one, other)["pi-2"]
    assert any("pi-1 also has the node name 'pi-1'" in sentence for sentence in found)
    assert any("pi-1 also has the address 10.0.0.11" in sentence for sentence in found)


@pytest.mark.parametrize("name", ["Pi_1", "-pi", "pi-", "a" * 254, "pi 1"])
def test_names_that_no_node_can_have(name: str) -> None:
    [sentence] = said(a_board(node_name=name))["pi-1"]
    assert_sentence(sentence, "pi-1", "cannot be a node's name", "set picluster_node_name")


def test_an_address_that_is_none() -> None:
    [sentence] = said(a_board(node_ip="pi-1.local"))["pi-1"]
    assert_sentence(sentence, "pi-1", "'pi-1.local' is not an IPv4 address", "set picluster_node_ip")


def test_the_unreachable_target_is_named() -> None:
    control_plane = a_board("pi-0", "10.0.0.10", probe={"unreachable": {"10.0.0.11:10250": "No route to host"}})
    [sentence] = said(control_plane, a_board())["pi-0"]
    assert_sentence(sentence, "pi-0", "cannot reach pi-1 at 10.0.0.11:10250 (No route to host)", "TCP port 10250")


def test_known_hosts_keep_what_this_run_did_not_see() -> None:
    known = "10.0.0.12 ssh-ed25519 OLD2\n10.0.0.11 ssh-ed25519 OLD1\n"
    merged = preflight.known_hosts(known, {"10.0.0.11": "ssh-ed25519 NEW1", "10.0.0.13": ""})
    assert merged == "10.0.0.11 ssh-ed25519 NEW1\n10.0.0.12 ssh-ed25519 OLD2\n"
    assert preflight.known_hosts(merged, {}) == merged


def test_a_name_without_an_address_stays_for_the_findings() -> None:
    assert preflight.resolve("127.0.0.1") == "127.0.0.1"
    assert preflight.resolve("no-such-board.invalid") == "no-such-board.invalid"
