"""Which kernel parameters a pod may set (``pkg/kubelet/sysctl``): the safe ones, and what the settings allow. PURE.

A parameter must belong to a namespace that the pod has for itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.types import Object

SAFE = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
)
IPC, NET = "IPC", "net"
_NAMESPACES = {"kernel.sem": IPC}
_PREFIXES = {"kernel.shm": IPC, "kernel.msg": IPC, "fs.mqueue.": IPC, "net.": NET}


def namespace_of(name: str) -> str:
    """The namespace that a parameter belongs to; empty for one of the whole machine."""
    if name in _NAMESPACES:
        return _NAMESPACES[name]
    return next((namespace for prefix, namespace in _PREFIXES.items() if name.startswith(prefix)), "")


def dotted(name: str) -> str:
    """``net/ipv4/tcp_syncookies`` as ``net.ipv4.tcp_syncookies``; a dot in a part is a slash then."""
    dot, slash = name.find("."), name.find("/")
    if slash < 0 or (0 <= dot < slash):
        return name
    return name.translate(str.maketrans("./", "/."))


def forbidden(spec: Object, unsafe_allowed: Iterable[str]) -> str:
    """Why the pod may not set what it wants to set; empty when it may."""
    wanted = (spec.get("securityContext") or {}).get("sysctls") or ()
    patterns = [*SAFE, *(dotted(one) for one in unsafe_allowed)]
    for one in wanted:
        name = dotted(one["name"])
        if not any(name.startswith(p[:-1]) if p.endswith("*") else name == p for p in patterns):
            return f'forbidden sysctl: "{name}" not allowlisted'
        namespace = namespace_of(name)
        if (namespace == IPC and spec.get("hostIPC")) or (namespace == NET and spec.get("hostNetwork")):
            return f'forbidden sysctl: "{name}" not allowed with host {namespace} enabled'
    return ""
