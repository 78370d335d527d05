"""Kernel parameters of a pod, and which of its namespaces they belong to. Pure.

Beside what a pod asks for, its own network lets everybody use low ports and ping, as containerd does since 2.0.
"""

from __future__ import annotations

from picluster.api.types import Object
from picluster_agent.podman.env import ConfigError

PING = "net.ipv4.ping_group_range"
OF_NETWORK = {"net.ipv4.ip_unprivileged_port_start": "0", PING: "0 2147483647"}
_OF_IPC = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")


def dotted(name: str) -> str:
    """``net/ipv4/conf/eth0.1/forwarding`` in the notation with dots (sysctl.d(5))."""
    first = next((mark for mark in name if mark in "./"), ".")
    return name if first == "." else name.translate(str.maketrans("./", "/."))


def sandbox_sysctls(spec: Object) -> dict[str, str]:
    """What is set in the sandbox's namespaces; raises ``ConfigError`` for what would be set on the node itself."""
    found = {} if spec.get("hostNetwork") else dict(OF_NETWORK)
    for one in (spec.get("securityContext") or {}).get("sysctls") or ():
        name = dotted(one["name"])
        of_network, of_ipc = name.startswith("net."), name.startswith(_OF_IPC)
        if (of_network and spec.get("hostNetwork")) or (of_ipc and spec.get("hostIPC")) or not (of_network or of_ipc):
            raise ConfigError(f"sysctl {name} is not in a namespace of the pod's own")
        found[name] = str(one["value"])
    return found
