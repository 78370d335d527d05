"""The nftables ruleset of a node, as a value, and the difference between two. PURE.

One table, ``ip picluster``. A packet to a Service finds its chain by one map lookup (address, protocol, port), and
the chain picks an endpoint with one ``numgen`` map: the cost does not grow with the number of Services. What matches
no Service but lies in the service range is rejected at once, on its way through the node and out of it.

``render`` gives the whole table as one transaction, ``diff`` only what differs, also as one: an endpoint that dies
touches one chain. Both end in the same kernel state; the tests hold that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from picluster_agent.network.services import Endpoint, ServicePort

TABLE = "ip picluster"
ENTRY_CHAIN = "prerouting"
MASQUERADE_MARK = "0x4000"
_PORTED = "meta l4proto { tcp, udp, sctp }"


@dataclass(frozen=True, slots=True)
class Ranges:
    """Address ranges of the cluster; ``pod_cidr`` is this node's, empty until the node has one."""

    cluster_cidr: str
    service_cidr: str
    pod_cidr: str = ""


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Chains by name with their rules, affinity sets by name with their timeout in seconds, and the maps' elements."""

    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sets: dict[str, int] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    node_ports: dict[str, str] = field(default_factory=dict)
    hairpins: dict[str, str] = field(default_factory=dict)


_MAPS = (
    ("services", "map services", "type ipv4_addr . inet_proto . inet_service : verdict"),
    ("node_ports", "map node-ports", "type inet_proto . inet_service : verdict"),
    ("hairpins", "set hairpins", "type ipv4_addr . ipv4_addr"),
)


def build(ports: Iterable[ServicePort], ranges: Ranges) -> Ruleset:
    """The ruleset that makes ``ports`` reachable; a port without endpoints has no chain and so is rejected."""
    rules = Ruleset()
    rules.chains.update(_base_chains(ranges))
    for port in ports:
        if port.cluster_endpoints:
            chain = f"svc-{_tag(port.name)}"
            _add_balancer(rules, chain, port.cluster_endpoints, port.affinity_s)
            for address in port.addresses:
                rules.services[f"{address} . {port.protocol} . {port.port}"] = f"goto {chain}"
        if port.node_port and port.external_endpoints:
            _add_node_port(rules, port)
        for endpoint in {*port.cluster_endpoints, *port.external_endpoints}:
            if endpoint.local:
                rules.hairpins[f"{endpoint.ip} . {endpoint.ip}"] = ""
    return rules


def _add_node_port(rules: Ruleset, port: ServicePort) -> None:
    chain = f"ext-{_tag(port.name)}"
    if port.external_local:
        _add_balancer(rules, chain, port.external_endpoints, port.affinity_s)
    else:
        target = f"svc-{_tag(port.name)}"
        if port.external_endpoints != port.cluster_endpoints:
            target = f"ebl-{_tag(port.name)}"
            _add_balancer(rules, target, port.external_endpoints, port.affinity_s)
        rules.chains[chain] = (f"meta mark set meta mark or {MASQUERADE_MARK}", f"goto {target}")
    rules.node_ports[f"{port.protocol} . {port.node_port}"] = f"goto {chain}"


def _add_balancer(rules: Ruleset, chain: str, endpoints: Sequence[Endpoint], affinity_s: int) -> None:
    if not affinity_s:
        targets = ", ".join(f"{i} : {endpoint.ip} . {endpoint.port}" for i, endpoint in enumerate(endpoints))
        rules.chains[chain] = (f"{_PORTED} dnat ip to numgen random mod {len(endpoints)} map {{ {targets} }}",)
        return
    sticky, choices = [], []
    for i, endpoint in enumerate(endpoints):
        tag = _tag(f"{chain} {endpoint.ip} {endpoint.port}")
        rules.sets[f"aff-{tag}"] = affinity_s
        rules.chains[f"sep-{tag}"] = (
            f"update @aff-{tag} {{ ip saddr }}",
            f"{_PORTED} dnat ip to {endpoint.ip}:{endpoint.port}",
        )
        sticky.append(f"ip saddr @aff-{tag} goto sep-{tag}")
        choices.append(f"{i} : goto sep-{tag}")
    rules.chains[chain] = (*sticky, f"numgen random mod {len(endpoints)} vmap {{ {', '.join(choices)} }}")


def _base_chains(ranges: Ranges) -> dict[str, tuple[str, ...]]:
    lookup = (
        "ip daddr . meta l4proto . th dport vmap @services",
        "fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @node-ports",
    )
    postrouting = [
        "ct status dnat ip saddr . ip daddr @hairpins masquerade",
        f"meta mark and {MASQUERADE_MARK} == {MASQUERADE_MARK} masquerade fully-random",
    ]
    if ranges.pod_cidr:
        outside = f"ip daddr != {{ {ranges.cluster_cidr}, 224.0.0.0/4 }}"
        postrouting.append(f"ip saddr {ranges.pod_cidr} {outside} masquerade fully-random")
    refuse = (
        f"ip daddr {ranges.service_cidr} meta l4proto tcp reject with tcp reset",
        f"ip daddr {ranges.service_cidr} reject with icmp type port-unreachable",
    )
    return {
        ENTRY_CHAIN: ("type nat hook prerouting priority dstnat; policy accept;", *lookup),
        "output": ("type nat hook output priority -100; policy accept;", *lookup),
        "postrouting": ("type nat hook postrouting priority srcnat; policy accept;", *postrouting),
        "filter-forward": ("type filter hook forward priority filter; policy accept;", *refuse),
        "filter-output": ("type filter hook output priority filter; policy accept;", *refuse),
    }


def render(rules: Ruleset) -> list[str]:
    """Commands of one transaction that replace the whole table."""
    return [f"add table {TABLE}", f"delete table {TABLE}", f"add table {TABLE}", *diff(Ruleset(), rules, fresh=True)]


def diff(old: Ruleset, new: Ruleset, *, fresh: bool = False) -> list[str]:
    """Commands of one transaction from ``old`` to ``new``; ``fresh`` also declares the maps, for an empty table.

    The order matters to the kernel: what is pointed at exists before the pointer, and goes after it.
    """
    commands: list[str] = []
    if fresh:
        commands += [
            f"add {kind.split()[0]} {TABLE} {kind.split()[1]} {{ {declared}; }}" for _, kind, declared in _MAPS
        ]
    commands += [
        f"add set {TABLE} {name} {{ type ipv4_addr; flags dynamic,timeout; timeout {timeout_s}s; size 65535; }}"
        for name, timeout_s in new.sets.items()
        if name not in old.sets
    ]
    commands += _removed_elements(old, new)
    changed = {name: rules for name, rules in new.chains.items() if old.chains.get(name) != rules}
    for name, rules in changed.items():
        if name not in old.chains:
            hook = f" {{ {rules[0]} }}" if _is_base(rules) else ""
            commands.append(f"add chain {TABLE} {name}{hook}")
        else:
            commands.append(f"flush chain {TABLE} {name}")
    for name, rules in changed.items():
        commands += [f"add rule {TABLE} {name} {rule}" for rule in (rules[1:] if _is_base(rules) else rules)]
    gone = [name for name in old.chains if name not in new.chains]
    commands += [f"flush chain {TABLE} {name}" for name in gone]
    commands += _added_elements(old, new)
    commands += [f"delete chain {TABLE} {name}" for name in gone]
    commands += [f"delete set {TABLE} {name}" for name in old.sets if name not in new.sets]
    return commands


def _is_base(rules: Sequence[str]) -> bool:
    return rules[0].startswith("type ")


def _removed_elements(old: Ruleset, new: Ruleset) -> list[str]:
    commands = []
    for attribute, kind, _ in _MAPS:
        before, after = getattr(old, attribute), getattr(new, attribute)
        keys = [key for key, value in before.items() if after.get(key) != value]
        if keys:
            commands.append(f"delete element {TABLE} {kind.split()[1]} {{ {', '.join(keys)} }}")
    return commands


def _added_elements(old: Ruleset, new: Ruleset) -> list[str]:
    commands = []
    for attribute, kind, _ in _MAPS:
        before, after = getattr(old, attribute), getattr(new, attribute)
        pairs = [f"{key} : {value}" if value else key for key, value in after.items() if before.get(key) != value]
        if pairs:
            commands.append(f"add element {TABLE} {kind.split()[1]} {{ {', '.join(pairs)} }}")
    return commands


def _tag(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
