"""Which pods stand behind a Service and how: what Endpoints and EndpointSlices have in common. Pure but for its caches.

The rules are those of ``k8s.io/endpointslice/util`` (``ShouldPodBeInEndpoints``, ``FindPort``).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from picluster.api.meta import key_of
from picluster.api.selectors import LabelSelector, from_map
from picluster.api.types import Object
from picluster.client import Informer
from picluster.controllers.shared import indexes, pods

HEADLESS = "service.kubernetes.io/headless"


def is_headless(service: Object) -> bool:
    return bool(service["spec"].get("clusterIP") == "None")


def is_selecting(service: Object) -> bool:
    """Whether its endpoints come from pods; without a selector they are somebody else's to write."""
    return bool(service["spec"].get("selector")) and service["spec"].get("type") != "ExternalName"


def addresses(pod: Object, family: str) -> list[str]:
    """The pod's addresses of one family, ``IPv4`` or ``IPv6``."""
    status = pod.get("status") or {}
    found = [entry["ip"] for entry in status.get("podIPs") or () if entry.get("ip")]
    if not found and status.get("podIP"):
        found = [status["podIP"]]
    return [address for address in found if family_of(address) == family]


def family_of(address: str) -> str:
    return f"IPv{ipaddress.ip_address(address).version}"


def families(service: Object) -> list[str]:
    found: list[str] = service["spec"].get("ipFamilies") or []
    if found:
        return found
    cluster_ip = service["spec"].get("clusterIP") or ""
    return [family_of(cluster_ip)] if cluster_ip not in ("", "None") else ["IPv4"]


def belongs(pod: Object, *, include_terminating: bool) -> bool:
    """Whether the pod may stand in endpoints at all, ready or not: it lives and has an address."""
    if pods.is_finished(pod) or not (pod.get("status") or {}).get("podIP"):
        return False
    return include_terminating or not pods.is_terminating(pod)


def find_port(pod: Object, service_port: Object) -> int | None:
    """The pod's port for ``targetPort``, which may be the name of one of its container ports."""
    target: Any = service_port.get("targetPort", service_port["port"])
    if isinstance(target, int):
        return target or int(service_port["port"])
    protocol = service_port.get("protocol", "TCP")
    spec = pod["spec"]
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    for container in [*(spec.get("containers") or ()), *sidecars]:
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def target_reference(pod: Object) -> Object:
    metadata = pod["metadata"]
    return {
        "kind": "Pod",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


def hostname(pod: Object, service: Object) -> str | None:
    """The pod's own name under a headless service of its subdomain."""
    spec = pod["spec"]
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        return str(spec["hostname"])
    return None


def fingerprint(pod: Object) -> tuple[Any, ...]:
    """What endpoints depend on; a pod that changed in nothing of it changed for nobody."""
    status = pod.get("status") or {}
    return (
        pod["metadata"].get("labels"),
        status.get("podIP"),
        status.get("podIPs"),
        pods.is_ready(pod),
        pods.is_terminating(pod),
        pods.is_finished(pod),
        pods.node_name(pod),
    )


class ServiceFinder:
    """Which Services select a pod; selectors are compiled once per version of a Service."""

    def __init__(self, services: Informer) -> None:
        self._services = services
        self._compiled: dict[str, tuple[str, LabelSelector]] = {}
        indexes.by_namespace(services)
        services.add_handler(self._forget)

    def selector(self, service: Object) -> LabelSelector:
        key, version = key_of(service), service["metadata"].get("resourceVersion", "")
        known = self._compiled.get(key)
        if known is None or known[0] != version:
            known = self._compiled[key] = (version, from_map(service["spec"].get("selector")))
        return known[1]

    def pod_handler(self, add: Callable[[str], None]) -> Callable[[Object | None, Object | None], None]:
        """An informer's handler that adds the keys of the Services for which a change of a pod matters."""

        def on_pod(old: Object | None, new: Object | None) -> None:
            if old is not None and new is not None and fingerprint(old) == fingerprint(new):
                return
            some = new if new is not None else old
            assert some is not None
            labels = [pods.labels(pod) for pod in (old, new) if pod is not None]
            for service in self._services.index(indexes.NAMESPACE, some["metadata"]["namespace"]):
                if is_selecting(service) and any(self.selector(service).matches(one) for one in labels):
                    add(key_of(service))

        return on_pod

    def _forget(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            self._compiled.pop(key_of(old), None)
