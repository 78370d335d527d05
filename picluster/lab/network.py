"""The lab's bridge, in a network namespace of its own.

The strip's process lives in that namespace, and so do the bridge, the boards' plugs and the rules: they are gone with
it, and neither this machine's firewall nor its forwarding has any part in what boards say to each other. This machine
has one link into it, which does not forward:

    this machine                    the lab's namespace
      picluster0  10.77.0.254 ────── uplink ─┐
                                             picluster0 (bridge)  10.77.0.1  the strip
      pi-0  host0 10.77.0.10 ─────── vb-pi-0 ┤
      pi-1  host0 10.77.0.11 ─────── vb-pi-1 ┘

Whatever a board sends to an address outside the bridge is refused at once: there is no way out. Service and pod
addresses that no board answers for are claimed by proxy ARP, so that they are refused just as fast, and not after
the seconds that an unanswered ARP request takes.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from picluster.lab.layout import BRIDGE, HOST_ADDRESS, NETWORK, PREFIX_BITS, STRIP_ADDRESS, LabError

UPLINK = "uplink"
BRIDGE_MAC = "02:70:69:00:00:01"
CLUSTER_RANGES = ("10.42.0.0/16", "10.43.0.0/16")
COMMAND_TIMEOUT_S = 20

Run = Sequence[str]


def ruleset() -> str:
    """What the bridge refuses; frames between boards are not addressed to the bridge and pass."""
    return f"""table inet picluster_lab {{
	chain prerouting {{
		type filter hook prerouting priority raw; policy accept;
		iifname "{BRIDGE}" ether daddr {BRIDGE_MAC} ip daddr != {NETWORK} reject with icmp net-unreachable
	}}
	chain forward {{
		type filter hook forward priority filter; policy accept;
		iifname "{BRIDGE}" ether daddr {BRIDGE_MAC} drop
	}}
}}
"""


def sysctls() -> dict[str, str]:
    """Settings of the lab's namespace; a key that this kernel lacks is left out."""
    return {
        "net/ipv6/conf/all/disable_ipv6": "1",
        "net/ipv6/conf/default/disable_ipv6": "1",
        "net/bridge/bridge-nf-call-iptables": "0",
        "net/bridge/bridge-nf-call-ip6tables": "0",
        "net/bridge/bridge-nf-call-arptables": "0",
        "net/ipv4/icmp_ratelimit": "0",  # every refused packet is told so
        f"net/ipv4/conf/{BRIDGE}/forwarding": "1",  # proxy ARP asks for it; the rules refuse what it would forward
        f"net/ipv4/conf/{BRIDGE}/proxy_arp": "1",
        f"net/ipv4/neigh/{BRIDGE}/proxy_delay": "0",
    }


def commands(host_pid: int) -> list[Run]:
    """What makes the bridge, run in the lab's namespace; ``host_pid`` is a process in this machine's."""
    on_host = ("nsenter", f"--net=/proc/{host_pid}/ns/net", "--")
    return [
        ("ip", "link", "set", "lo", "up"),
        ("ip", "link", "add", BRIDGE, "address", BRIDGE_MAC, "type", "bridge", "stp_state", "0"),
        ("ip", "address", "add", f"{STRIP_ADDRESS}/{PREFIX_BITS}", "dev", BRIDGE),
        ("ip", "link", "set", BRIDGE, "up"),
        *(("ip", "route", "add", cidr, "dev", "lo") for cidr in CLUSTER_RANGES),
        ("ip", "link", "add", UPLINK, "type", "veth", "peer", "name", BRIDGE, "netns", str(host_pid)),
        ("ip", "link", "set", UPLINK, "master", BRIDGE, "up"),
        (*on_host, "sysctl", "-q", f"net.ipv6.conf.{BRIDGE}.disable_ipv6=1", f"net.ipv4.conf.{BRIDGE}.forwarding=0"),
        (*on_host, "ip", "address", "add", f"{HOST_ADDRESS}/{PREFIX_BITS}", "dev", BRIDGE),
        (*on_host, "ip", "link", "set", BRIDGE, "up"),
    ]


def build(host_pid: int) -> None:
    """Make the bridge in this process's namespace, and this machine's link into it. Raises ``LabError``."""
    for command in commands(host_pid):
        run(command)
    for key, value in sysctls().items():
        with contextlib.suppress(FileNotFoundError):
            (Path("/proc/sys") / key).write_text(value)
    run(("nft", "-f", "-"), ruleset())


def remove() -> None:
    """Remove this machine's link; the rest goes with the namespace. Fine when it is gone, or goes with it meanwhile."""
    try:
        run(("ip", "link", "delete", BRIDGE))
    except LabError:
        if any(link["ifname"] == BRIDGE for link in json.loads(run(("ip", "-json", "link", "show")))):
            raise


def link_exists() -> bool:
    return (Path("/sys/class/net") / BRIDGE).exists()


def conflict() -> str | None:
    """The route of this machine that overlaps the lab's network without being its own."""
    lab = ipaddress.ip_network(NETWORK)
    for route in json.loads(run(("ip", "-json", "route", "show", "table", "all"))):
        destination = route.get("dst", "default")
        if destination == "default" or route.get("dev") == BRIDGE or ":" in destination:
            continue
        network = ipaddress.ip_network(destination, strict=False)
        if network.prefixlen >= PREFIX_BITS and network.overlaps(lab):
            return f"{destination} dev {route.get('dev', '?')}"
    return None


def run(command: Run, text: str | None = None) -> str:
    """Standard output of ``command``; raises ``LabError`` with what it said."""
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S)
    except FileNotFoundError:
        raise LabError(f"{command[0]} is missing; apt-get install iproute2 nftables util-linux procps") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(command)} did not end within {COMMAND_TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout
