"""What speaks against provisioning, as sentences: pure functions from what was seen on the boards to what to say.

``picluster_findings`` sees all boards at once, so it also finds two boards of one name. Each sentence names the board,
the cause and the cure. The playbook fails with them before it has changed anything anywhere.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Board = Mapping[str, Any]
"""``host`` (inventory name), ``address`` and ``user`` (of SSH), ``node_name``, ``node_ip``, ``hostname_set`` (picluster
will set it), ``reach`` (the result of the first SSH command), ``become`` (the result of the probe's task),
``clock_offset_s`` (board minus operator), and ``probe`` (what ``probe.py`` printed, if it ran)."""

CLOCK_OFFSET_MAX_S = 2.0
PYTHON_MIN = (3, 11)
DEBIAN_SUPPORTED = ("12", "13")
ARCHES = ("aarch64", "x86_64")
FREE_MIN_MIB = {"/": 300, "/opt": 300, "/var/lib": 1024}
MEMORY_MIN_MIB = 450
"""A board sold with 512 MB has a little less left when the firmware has taken its part."""
NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")

SSH_CAUSES: tuple[tuple[str, str, str], ...] = (
    (
        r"permission denied|no more authentication methods|too many authentication",
        "SSH refuses the user '{user}' with the keys offered",
        "set ansible_user to the board's user and run `ssh-copy-id {user}@{address}`",
    ),
    (
        r"identification has changed|host key verification failed",
        "its SSH host key is not the one known for {address}",
        "if the board was flashed anew, run `ssh-keygen -R {address}`",
    ),
    (
        r"connection refused",
        "nothing listens for SSH at {address}",
        "start it on the board with `sudo systemctl enable --now ssh`",
    ),
    (
        r"could not resolve|name or service not known|no address associated",
        "the name {address} does not resolve",
        "set ansible_host to the board's address in the inventory",
    ),
    (
        r"timed out|no route to host|network is unreachable|host is down",
        "no answer from {address}",
        "check its power, its network cable and ansible_host in the inventory",
    ),
)


def findings(boards: Sequence[Board]) -> dict[str, list[str]]:
    """What is wrong with each host, each in one sentence."""
    hosts = {str(board["node_ip"]): str(board["host"]) for board in boards}
    found: dict[str, list[str]] = {}
    for board in boards:
        found[board["host"]] = [f"{board['host']}: {text}." for text in _of_one(board, hosts)]
    for host, text in _duplicates(boards):
        found[host].append(f"{host}: {text}.")
    return found


def _of_one(board: Board, hosts: Mapping[str, str]) -> Iterator[str]:
    if (text := _unreached(board)) is not None:
        yield text
        return
    for check in CHECKS:
        yield from check(board, board["probe"])
    yield from _network(board, hosts)


def _unreached(board: Board) -> str | None:
    """Why nothing more can be said of a board: no SSH, no Python, no root."""
    address, user = board["address"], board["user"]
    reach, become = board["reach"], board.get("become") or {}
    if reach.get("unreachable"):
        said = str(reach.get("msg", ""))
        for pattern, cause, cure in SSH_CAUSES:
            if re.search(pattern, said, re.IGNORECASE):
                return f"{cause.format(address=address, user=user)}; {cure.format(address=address, user=user)}"
        return f"SSH to {address} fails ({_last_line(said)}); `ssh {user}@{address}` must work from this machine"
    if "no-python" in str(reach.get("stdout", "")):
        return "there is no python3 on the board; install it there with `sudo apt-get install python3`"
    if board.get("probe"):
        return None
    said = " ".join(str(become.get(key, "")) for key in ("msg", "module_stderr", "stderr", "module_stdout"))
    if re.search(r"password|sudoers|not allowed|sudo: not found|sudo: command not found", said, re.IGNORECASE):
        return (
            f"the user '{user}' may not become root without a password; "
            f"allow it on the board with `echo '{user} ALL=(ALL) NOPASSWD:ALL' | sudo tee /etc/sudoers.d/{user}`, "
            "or give Ansible the password with --ask-become-pass"
        )
    return f"the board could not be looked at ({_last_line(said)}); `ssh {user}@{address} sudo python3 -V` must work"


def _system(board: Board, probe: Board) -> Iterator[str]:
    system = probe["os"]
    if system["id"] not in {"debian", "raspbian"} or system["version"] not in DEBIAN_SUPPORTED:
        yield f"it runs {system['name']}; flash Raspberry Pi OS or Debian, release 12 or 13"
    elif probe["bits"] != 64 or probe["arch"] not in ARCHES:
        yield f"its system is {probe['bits']}-bit {probe['arch']}; flash the 64-bit image of Raspberry Pi OS or Debian"
    elif tuple(int(part) for part in probe["python"].split(".")) < PYTHON_MIN:
        yield f"its python3 is {probe['python']}; install Python 3.11 or newer as /usr/bin/python3"
    if not probe["systemd"]:
        yield "systemd is not its init; boot the board with systemd, the units of picluster need it"


def _resources(board: Board, probe: Board) -> Iterator[str]:
    if probe["memory_mib"] < MEMORY_MIN_MIB:
        yield f"it has {probe['memory_mib']} MiB of memory; use a board with 512 MB or more"
    for path, least in FREE_MIN_MIB.items():
        free = probe["free_mib"][path]
        if free < least:
            yield f"only {free} MiB are free under {path} and {least} are needed; make room or use a larger card"
            break
    cgroup = probe["cgroup"]
    if not cgroup["memory"] and "Raspberry Pi" not in probe["model"]:
        yield (
            f"its kernel runs without the memory cgroup controller (cgroup v{cgroup['version']}); add "
            "`cgroup_enable=memory cgroup_memory=1` to the kernel's command line and reboot"
        )


def _clock(board: Board, probe: Board) -> Iterator[str]:
    offset_s = board["clock_offset_s"]
    if abs(offset_s) > CLOCK_OFFSET_MAX_S and not probe["clock"]["synchronized"]:
        where = "ahead of" if offset_s > 0 else "behind"
        yield (
            f"its clock is {abs(offset_s):.0f} s {where} this machine's and not synchronised; give it a time server "
            f"(picluster_ntp_servers), or set it: `ssh {board['user']}@{board['address']} sudo date -s @$(date +%s)`"
        )


def _ports(board: Board, probe: Board) -> Iterator[str]:
    for port, listener in sorted(probe["listeners"].items()):
        if listener["unit"].startswith("picluster-"):
            continue
        by = f"{listener['program']} (process {listener['pid']})"
        if listener["unit"]:
            cure = f"stop it with `sudo systemctl disable --now {listener['unit']}`"
        else:
            cure = f"stop that program, for example with `sudo kill {listener['pid']}`"
        yield f"port {port}, which picluster needs, is taken by {by}; {cure}"


def _names(board: Board, probe: Board) -> Iterator[str]:
    name, address = board["node_name"], board["node_ip"]
    if not NODE_NAME.fullmatch(name) or len(name) > 253:
        yield f"{name!r} cannot be a node's name; use lower case letters, digits and '-', or set picluster_node_name"
    if not _is_address(address):
        yield f"its address {address!r} is not an IPv4 address; set picluster_node_ip in the inventory"
    elif address not in probe["addresses"]:
        have = ", ".join(have for have in probe["addresses"] if not have.startswith("127.")) or "none"
        yield f"the board does not have the address {address} (it has {have}); set picluster_node_ip in the inventory"


def _network(board: Board, hosts: Mapping[str, str]) -> Iterator[str]:
    for target, reason in sorted(board["probe"]["unreachable"].items()):
        address, _, port = target.rpartition(":")
        yield (
            f"it cannot reach {hosts.get(address, 'the control plane')} at {target} ({reason}); "
            f"put both on one network and allow TCP port {port} in the firewalls between them"
        )


CHECKS: tuple[Callable[[Board, Board], Iterator[str]], ...] = (_system, _resources, _clock, _ports, _names)


def _duplicates(boards: Sequence[Board]) -> Iterator[tuple[str, str]]:
    """Two entries that would be one node, one board or one host name."""
    probed = [board for board in boards if board.get("probe")]
    for host, others, name in _shared(boards, lambda board: str(board["node_name"])):
        yield host, f"{others} also has the node name '{name}'; give each board its own picluster_node_name"
    for host, others, address in _shared(boards, lambda board: str(board["node_ip"])):
        yield host, f"{others} also has the address {address}; give each board its own in the inventory"
    kept = [board for board in probed if not board.get("hostname_set")]
    for host, others, name in _shared(kept, lambda board: str(board["probe"]["hostname"])):
        yield (
            host,
            (
                f"{others} is called '{name}' too; run `sudo hostnamectl set-hostname {host}` on it, "
                "or let picluster do that with picluster_set_hostname: true"
            ),
        )


def _shared(boards: Sequence[Board], key: Callable[[Board], str]) -> Iterator[tuple[str, str, str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for board in boards:
        if key(board):
            groups[key(board)].append(board["host"])
    for value, hosts in groups.items():
        for host in hosts:
            if others := [other for other in hosts if other != host]:
                yield host, " and ".join(others), value


def _is_address(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 4
    except ValueError:
        return False


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "it said nothing"


def resolve(name: str) -> str:
    """The IPv4 address of ``name``; the name itself when it has none, for ``findings`` to object to."""
    try:
        return str(socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return name


def known_hosts(known: str, keys: Mapping[str, str]) -> str:
    """``known`` with the host keys in ``keys`` (address to key), in the order of addresses."""
    lines = dict(line.split(" ", 1) for line in known.splitlines() if " " in line) | {**keys}
    return "".join(f"{address} {key}\n" for address, key in sorted(lines.items()) if key)


class FilterModule:
    """Ansible's way in."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "picluster_findings": findings,
            "picluster_resolve": resolve,
            "picluster_known_hosts": known_hosts,
        }
