"""Ingresses."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Class", description="The name of the IngressClass resource that should be used for additional"
           " configuration"),
    Column("Hosts", description="Hosts that incoming requests are matched against before the ingress rule"),
    Column("Address", description="Address is a list containing ingress points for the load-balancer"),
    Column("Ports", description="Ports of TLS configurations that open"),
    AGE,
)  # fmt: skip
HOSTS_MAX = 3


def row(ingress: Object, now_s: float) -> list[Any]:
    spec, status = ingress.get("spec") or {}, ingress.get("status") or {}
    class_name = spec.get("ingressClassName")
    points = (status.get("loadBalancer") or {}).get("ingress") or ()
    addresses = [point.get("ip") or point.get("hostname") for point in points]
    return [
        name_of(ingress),
        "<none>" if class_name is None else class_name,
        _hosts(spec.get("rules") or ()),
        ",".join(address for address in addresses if address),
        "80, 443" if spec.get("tls") else "80",
        age(ingress, now_s),
    ]


def _hosts(rules: Any) -> str:
    hosts = [rule["host"] for rule in rules if rule.get("host")]
    if not hosts:
        return "*"
    listed, more = ",".join(hosts[:HOSTS_MAX]), len(hosts) - HOSTS_MAX
    return f"{listed} + {more} more..." if more > 0 else listed


PRINTER = Printer(COLUMNS, row)
