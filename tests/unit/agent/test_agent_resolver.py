"""How a pod is called and whom it asks for names: ``/etc/hosts``, ``/etc/resolv.conf``, its host name."""

from __future__ import annotations

from typing import Any

import pytest

from picluster_agent.sync import spec
from picluster_agent.sync.resolver import hosts, resolv_conf

DOMAIN = "cluster.local"
OF_HOST = "nameserver 192.168.1.1\nsearch home lan\noptions edns0\n"
CLUSTER = "search ns.svc.cluster.local svc.cluster.local cluster.local home lan"
HEAD = (
    "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
)


def pod(**of: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web-1", "namespace": "ns"}, "spec": of}


@pytest.mark.parametrize(
    ("of", "name", "kernel"),
    [
        ({}, "web-1", "web-1"),
        ({"hostname": "db"}, "db", "db"),
        ({"hostname": "db", "subdomain": "set"}, "db", "db"),
        ({"hostname": "db", "subdomain": "set", "setHostnameAsFQDN": True}, "db", "db.set.ns.svc.cluster.local"),
        ({"setHostnameAsFQDN": True}, "web-1", "web-1"),
        ({"hostname": "db", "subdomain": "set", "hostnameOverride": "my.own.name"}, "my.own.name", "my.own.name"),
    ],
)
def test_host_names(of: dict[str, Any], name: str, kernel: str) -> None:
    assert spec.hostname(pod(**of)) == name
    assert spec.kernel_hostname(pod(**of), DOMAIN) == kernel


def test_a_long_name_is_cut_and_a_long_full_name_refused() -> None:
    long = {"metadata": {"name": "x" * 62 + "-y" * 5, "namespace": "ns"}, "spec": {}}
    assert spec.hostname(long) == "x" * 62
    fqdn = pod(hostname="h" * 40, subdomain="set", setHostnameAsFQDN=True)
    with pytest.raises(ValueError, match=r"too long \(64 characters is the max, 66 characters requested\)"):
        spec.kernel_hostname(fqdn, "cluster.localx")


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ({}, HEAD + "10.0.0.5\tweb-1\n"),
        ({"subdomain": "set"}, HEAD + "10.0.0.5\tweb-1.set.ns.svc.cluster.local\tweb-1\n"),
        ({"subdomain": "set", "hostnameOverride": "own"}, HEAD + "10.0.0.5\town\n"),
        (
            {"hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}, {"ip": "5.6.7.8", "hostnames": ["c"]}]},
            HEAD + "10.0.0.5\tweb-1\n\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n5.6.7.8\tc\n",
        ),
        ({"hostNetwork": True}, "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n"),
    ],
)
def test_the_hosts_file(of: dict[str, Any], expected: str) -> None:
    assert hosts(pod(**of), "10.0.0.5", "127.0.0.1 localhost\n", DOMAIN) == expected


@pytest.mark.parametrize(
    ("of", "lines"),
    [
        ({}, ["nameserver 10.43.0.10", CLUSTER, "options ndots:5"]),
        ({"dnsPolicy": "Default"}, OF_HOST.splitlines()),
        ({"hostNetwork": True}, OF_HOST.splitlines()),
        (
            {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
            ["nameserver 10.43.0.10", CLUSTER, "options ndots:5"],
        ),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"]}}, ["nameserver 1.1.1.1"]),
        (
            {
                "dnsConfig": {
                    "nameservers": ["1.1.1.1"],
                    "searches": ["own", "lan"],
                    "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
                }
            },
            ["nameserver 10.43.0.10", "nameserver 1.1.1.1", CLUSTER + " own", "options ndots:2 edns0"],
        ),
    ],
)
def test_the_resolver(of: dict[str, Any], lines: list[str]) -> None:
    found = resolv_conf(pod(**of), OF_HOST, servers=("10.43.0.10",), domain=DOMAIN)
    assert (found.text.splitlines(), found.warnings) == (lines, ())


def test_what_is_too_much_for_a_resolver_is_left_out_and_said() -> None:
    servers = [f"1.1.1.{number}" for number in range(5)]
    searches = [f"domain-{number:02}.example" for number in range(40)]
    config = {"dnsPolicy": "None", "dnsConfig": {"nameservers": servers, "searches": searches}}
    found = resolv_conf(pod(**config), "", servers=(), domain=DOMAIN)
    assert found.text.count("nameserver") == 3
    assert len(found.text.splitlines()[3].split()) == 33
    assert [warning.partition(":")[2].split()[0] for warning in found.warnings] == ["1.1.1.0", "domain-00.example"]
    config["dnsConfig"] = {"nameservers": ["1.1.1.1"], "searches": ["x" * 200 + str(number) for number in range(20)]}
    wide = resolv_conf(pod(**config), "", servers=(), domain=DOMAIN)
    assert len(wide.text.splitlines()[1]) <= len("search ") + 2048
