"""The texts of a pod's ``/etc/resolv.conf`` and ``/etc/hosts``. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from picluster.api.types import Object
from picluster_agent.sync import spec

NAMESERVERS_MAX = 3
SEARCHES_MAX = 32
SEARCH_LINE_MAX = 2048


class Resolving(NamedTuple):
    text: str
    warnings: tuple[str, ...]
    """What had to be left out; the kubelet's words for events ``DNSConfigForming``."""


def resolv_conf(pod: Object, of_host: str, *, servers: Sequence[str], domain: str) -> Resolving:
    """By ``dnsPolicy`` and ``dnsConfig``; without a cluster DNS, ClusterFirst means the node's own."""
    policy = pod["spec"].get("dnsPolicy", "ClusterFirst")
    nameservers, searches, options = _parse(of_host)
    if policy == "None":
        nameservers, searches, options = [], [], []
    elif servers and (policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not spec.host_network(pod))):
        namespace = pod["metadata"]["namespace"]
        nameservers = list(servers)
        searches = [f"{namespace}.svc.{domain}", f"svc.{domain}", domain, *searches]
        options = ["ndots:5"]
    extra = pod["spec"].get("dnsConfig") or {}
    nameservers += extra.get("nameservers") or []
    searches += extra.get("searches") or []
    named = {option["name"]: option.get("value") for option in extra.get("options") or ()}
    options = [one for one in options if one.partition(":")[0] not in named]
    options += [f"{name}:{value}" if value is not None else name for name, value in named.items()]
    nameservers, searches = list(dict.fromkeys(nameservers)), list(dict.fromkeys(searches))
    warnings = []
    if len(nameservers) > NAMESERVERS_MAX:
        nameservers = nameservers[:NAMESERVERS_MAX]
        why = "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is"
        warnings.append(f"{why}: {' '.join(nameservers)}")
    if len(searches) > SEARCHES_MAX or len(" ".join(searches)) > SEARCH_LINE_MAX:
        searches = searches[:SEARCHES_MAX]
        while len(" ".join(searches)) > SEARCH_LINE_MAX:
            searches.pop()
        why = "Search Line limits were exceeded, some search paths have been omitted, the applied search line is"
        warnings.append(f"{why}: {' '.join(searches)}")
    lines = [f"nameserver {server}" for server in nameservers]
    if searches:
        lines.append("search " + " ".join(searches))
    if options:
        lines.append("options " + " ".join(options))
    return Resolving("".join(line + "\n" for line in lines), tuple(warnings))


def _parse(text: str) -> tuple[list[str], list[str], list[str]]:
    nameservers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        word, *rest = line.split() or [""]
        if word == "nameserver":
            nameservers += rest[:1]
        elif word == "search":
            searches = rest
        elif word == "options":
            options += rest
    return nameservers, searches, options


def hosts(pod: Object, pod_ip: str, of_host: str, domain: str) -> str:
    """The kubelet's managed hosts file; ``of_host`` is the node's own, for pods on its network."""
    aliases = "".join(
        "\t".join([alias["ip"], *(alias.get("hostnames") or ())]) + "\n"
        for alias in pod["spec"].get("hostAliases") or ()
    )
    if aliases:
        aliases = "\n# Entries added by HostAliases.\n" + aliases
    if spec.host_network(pod):
        return "# Kubernetes-managed hosts file (host network).\n" + of_host + aliases
    name, below = spec.hostname(pod), spec.host_domain(pod, domain)
    full = f"{name}.{below}\t" if below else ""
    return (
        "# Kubernetes-managed hosts file.\n"
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\n"
        "fe00::0\tip6-mcastprefix\n"
        "fe00::1\tip6-allnodes\n"
        "fe00::2\tip6-allrouters\n"
        f"{pod_ip}\t{full}{name}\n" + aliases
    )
