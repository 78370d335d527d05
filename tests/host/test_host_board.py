"""What every board of a rack must be."""

from __future__ import annotations

import re
import time
from typing import Any

from testinfra.host import Host

CLOCK_OFFSET_MAX_S = 5.0
CERTIFICATE_LEFT_MIN_S = 30 * 86400
PRIVATE = re.compile(r"\.(key|kubeconfig)$|/outlets\.yaml$|/ssh/restart$")


def test_the_distribution_is_one_link_to_a_whole_environment(board: Host) -> None:
    link = board.file("/opt/picluster/venv")
    assert link.is_symlink and link.linked_to.startswith("/opt/picluster/venvs/")
    assert board.check_output("/opt/picluster/venv/bin/python -c 'import picluster, picluster_agent; print(1)'") == "1"
    assert board.check_output("find /opt/picluster -perm -0002 -not -type l") == ""


def test_nothing_private_is_readable_by_others(board: Host) -> None:
    seen = board.check_output("find /etc/picluster -type f -printf '%m %u %p\\n'").splitlines()
    private = [line for line in seen if PRIVATE.search(line)]
    assert private
    assert [line for line in private if not line.startswith("600 root ")] == []
    assert (
        board.check_output("find /etc/picluster /var/lib/picluster -path '*/pods' -prune -o -perm -0002 -type f -print")
        == ""
    )
    assert board.check_output("find /var/lib/picluster -maxdepth 1 -name pods -perm /0077") == ""


def test_every_certificate_is_of_its_authority_and_lasts(board: Host) -> None:
    """Front proxies have an authority of their own: who is one must not thereby be a user of the API."""
    names = board.check_output("ls /etc/picluster/pki/*.crt").split()
    assert "/etc/picluster/pki/ca.crt" in names
    for name in names:
        board.run_expect([0], f"openssl x509 -noout -checkend {CERTIFICATE_LEFT_MIN_S} -in {name}")
        authority = "front-proxy-ca" if "/front-proxy-" in name else "ca"
        board.run_expect([0], f"openssl verify -CAfile /etc/picluster/pki/{authority}.crt {name}")


def test_keys_fit_their_certificates(board: Host) -> None:
    for key in board.check_output("ls /etc/picluster/pki/*.key").split():
        certificate = key.removesuffix(".key") + ".crt"
        if board.file(certificate).exists:
            public = board.check_output(f"openssl pkey -pubout -in {key}")
            assert public == board.check_output(f"openssl x509 -noout -pubkey -in {certificate}")


def test_the_clock_is_this_machines(board: Host) -> None:
    before_s = time.time()
    there_s = float(board.check_output("date +%s.%N"))
    assert before_s - CLOCK_OFFSET_MAX_S < there_s < time.time() + CLOCK_OFFSET_MAX_S


def test_the_kernel_limits_memory(board: Host) -> None:
    v2 = board.run("grep -qw memory /sys/fs/cgroup/cgroup.controllers").rc == 0
    assert v2 or board.file("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists


def test_a_pi_keeps_its_watchdog_fed(board: Host) -> None:
    if "Raspberry Pi" not in board.run("cat /proc/device-tree/model").stdout:
        assert not board.file("/etc/systemd/system.conf.d/60-picluster.conf").exists
        return
    assert board.check_output("systemctl show -P RuntimeWatchdogUSec") == "14s"
    assert "cgroup_enable=memory" in board.check_output("cat /boot/firmware/cmdline.txt || cat /boot/cmdline.txt")


def test_no_unit_of_ours_has_failed(board: Host, variables: dict[str, Any]) -> None:
    assert board.check_output("systemctl list-units --failed --no-legend --plain 'picluster-*'") == ""
    assert variables["group_names"]
