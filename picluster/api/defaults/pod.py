"""Defaults of Pods: those of every pod spec, and what is filled in a Pod but not in a template."""

from __future__ import annotations

from picluster.api.defaults import podspec
from picluster.api.podresources import container_requests
from picluster.api.quantity import Style, render
from picluster.api.types import Object


def apply(pod: Object) -> None:
    spec = pod.setdefault("spec", {})
    podspec.apply(spec)
    for container in spec.get("containers") or ():
        _requests_from_limits(container)
    for container in spec.get("initContainers") or ():
        _requests_from_limits(container)
    if spec.get("resources"):
        _pod_level_resources(spec)
    spec.setdefault("enableServiceLinks", True)
    if spec.get("hostNetwork"):
        _host_ports(spec)
    status = pod.get("status")
    if status:
        _addresses(status)


def _requests_from_limits(container: Object) -> None:
    resources = container["resources"]
    limits = resources.get("limits")
    if limits:
        requests = resources.setdefault("requests", {})
        for name, amount in limits.items():
            requests.setdefault(name, amount)


def _pod_level_resources(spec: Object) -> None:
    """Requests of the whole pod follow those of its containers, then the limits (KEP-2837)."""
    resources = spec["resources"]
    limits = resources.get("limits")
    if not limits:
        return
    requests = dict(resources.get("requests") or {})
    for name, nano in container_requests(spec).items():
        if name in ("cpu", "memory"):
            requests.setdefault(name, render(nano, Style.BINARY if name == "memory" else Style.DECIMAL))
    for name, amount in limits.items():
        if name in ("cpu", "memory") or name.startswith("hugepages-"):
            requests.setdefault(name, amount)
    if requests:
        resources["requests"] = requests


def _host_ports(spec: Object) -> None:
    for group in ("containers", "initContainers"):
        for container in spec.get(group) or ():
            for port in container.get("ports") or ():
                if not port.get("hostPort") and "containerPort" in port:
                    port["hostPort"] = port["containerPort"]


def _addresses(status: Object) -> None:
    """``podIP`` is the first of ``podIPs``, and the one that counts where they differ (``conversion.go``)."""
    address, addresses = status.get("podIP"), status.get("podIPs")
    if address and (not addresses or addresses[0].get("ip") != address):
        status["podIPs"] = [{"ip": address}]
    elif addresses and addresses[0].get("ip"):
        status["podIP"] = addresses[0]["ip"]
