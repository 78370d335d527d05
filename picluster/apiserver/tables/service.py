"""Services."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, labels, name_of, wide

COLUMNS = (
    NAME,
    Column("Type", description="type determines how the Service is exposed."),
    Column("Cluster-IP", description="clusterIP is the IP address of the service."),
    Column("External-IP", description="externalIPs and the load balancer's addresses."),
    Column("Port(s)", description="The list of ports that are exposed by this service."),
    AGE,
    wide("Selector"),
)


def row(service: Object, now_s: float) -> list[Any]:
    spec = service["spec"]
    cluster_ips = spec.get("clusterIPs") or []
    return [
        name_of(service),
        spec.get("type", "ClusterIP"),
        (cluster_ips[0] if cluster_ips else spec.get("clusterIP")) or "<none>",
        _external_ip(service),
        ",".join(_port(port) for port in spec.get("ports") or []) or "<none>",
        age(service, now_s),
        labels(spec.get("selector")),
    ]


def _external_ip(service: Object) -> str:
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", "<none>"))
    external = list(spec.get("externalIPs") or [])
    if spec.get("type") == "LoadBalancer":
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
        external = [entry.get("ip") or entry.get("hostname", "") for entry in ingress] + external
        return ",".join(external) or "<pending>"
    return ",".join(external) or "<none>"


def _port(port: Object) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node_port}/{port.get('protocol', 'TCP')}"


PRINTER = Printer(COLUMNS, row)
