"""Services."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, duplicate, forbidden_field, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import (
    PROTOCOLS,
    cidr,
    ip,
    named,
    not_special_ip,
    one_of,
    parse_ip,
    port_number,
    port_number_or_name,
)

Failures = list[FieldError]

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
FAMILIES = ("IPv4", "IPv6")
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
TRAFFIC_POLICIES = ("Cluster", "Local")
IP_MODES = ("Proxy", "VIP")
KUBELET_PORT = 10250
DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
AFFINITY_TIMEOUT_MAX_S = 86400


def validate(service: Object) -> Failures:
    failures: Failures = []
    metadata.validate(service["metadata"], failures, namespaced=True, name=names.dns1035_label)
    _spec(service, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    _addresses_stay(spec, old_spec, failures)
    if "LoadBalancer" == spec.get("type") == old_spec.get("type"):
        kind, old_kind = spec.get("loadBalancerClass"), old_spec.get("loadBalancerClass")
        if kind != old_kind:
            failures.append(invalid_value("spec.loadBalancerClass", kind, "may not change once set"))
    health_port, old_health_port = spec.get("healthCheckNodePort"), old_spec.get("healthCheckNodePort")
    if _checks_health(spec) and _checks_health(old_spec) and health_port != old_health_port:
        failures.append(forbidden_field("spec.healthCheckNodePort", "field is immutable"))
    _spec(new, failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    balancer = (new.get("status") or {}).get("loadBalancer") or {}
    if balancer.get("ingress") and new["spec"].get("type") != "LoadBalancer":
        detail = "may only be used when `spec.type` is LoadBalancer"
        failures.append(forbidden_field("status.loadBalancer.ingress", detail))
        return failures
    for index, ingress in enumerate(balancer.get("ingress") or ()):
        path = f"status.loadBalancer.ingress[{index}]"
        if ingress.get("ip"):
            ip(ingress["ip"], f"{path}.ip", failures)
        _ip_mode(ingress, f"{path}.ipMode", failures)
        if hostname := ingress.get("hostname"):
            named(names.dns1123_subdomain(hostname), f"{path}.hostname", hostname, failures)
            if parse_ip(hostname):
                detail = "must be a DNS name, not an IP address"
                failures.append(invalid_value(f"{path}.hostname", hostname, detail))
    return failures


def _ip_mode(ingress: Object, path: str, failures: Failures) -> None:
    mode = ingress.get("ipMode")
    if ingress.get("ip") and mode is None:
        failures.append(required(path, "must be specified when `ip` is set"))
    elif mode is not None and not ingress.get("ip"):
        failures.append(forbidden_field(path, "may not be specified when `ip` is not set"))
    elif mode is not None and mode not in IP_MODES:
        failures.append(not_supported(path, mode, IP_MODES))


def _spec(service: Object, failures: Failures) -> None:
    spec = service.get("spec") or {}
    get = spec.get
    kind, ports = get("type"), get("ports") or []
    if not ports and not _headless(spec) and kind != "ExternalName":
        failures.append(required("spec.ports"))
    if kind in ("LoadBalancer", "NodePort") and _headless(spec):
        detail = f"may not be set to 'None' for {kind} services"
        failures.append(invalid_value("spec.clusterIPs[0]", "None", detail))
    for index, port in enumerate(ports if kind == "LoadBalancer" else ()):
        if port.get("port") == KUBELET_PORT:
            detail = f"may not expose port {KUBELET_PORT} externally since it is used by kubelet"
            failures.append(invalid_value(f"spec.ports[{index}]", KUBELET_PORT, detail))
    if kind == "ExternalName":
        _external_name(spec, failures)
    _ports(spec, ports, failures)
    if selector := get("selector"):
        metadata.check_labels(selector, "spec.selector", failures)
    _session_affinity(spec, failures)
    _addresses(spec, failures)
    for index, address in enumerate(get("externalIPs") or ()):
        path = f"spec.externalIPs[{index}]"
        ip(address, path, failures)
        if parse_ip(address):
            not_special_ip(address, path, failures)
    one_of(kind, TYPES, "spec.type", failures)
    _load_balancer(spec, failures)
    _traffic(spec, failures)


def _ports(spec: Object, ports: list[Object], failures: Failures) -> None:
    seen_names: set[str] = set()
    seen_ports: set[tuple[str, int]] = set()
    seen_node_ports: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        _port(port, path, len(ports) > 1, seen_names, failures)
        protocol, number, node_port = port.get("protocol", ""), port.get("port", 0), port.get("nodePort")
        if node_port:
            if spec.get("type") == "ClusterIP":
                detail = "may not be used when `type` is 'ClusterIP'"
                failures.append(forbidden_field(f"{path}.nodePort", detail))
            if (protocol, node_port) in seen_node_ports:
                failures.append(duplicate(f"{path}.nodePort", node_port))
            seen_node_ports.add((protocol, node_port))
        if (protocol, number) in seen_ports:
            failures.append(duplicate(path, {"protocol": protocol, "port": number}))
        seen_ports.add((protocol, number))


def _port(port: Object, path: str, needs_name: bool, seen: set[str], failures: Failures) -> None:
    name = port.get("name")
    if name:
        named(names.dns1123_label(name), f"{path}.name", name, failures)
        if name in seen:
            failures.append(duplicate(f"{path}.name", name))
        seen.add(name)
    elif needs_name:
        failures.append(required(f"{path}.name"))
    port_number(port.get("port", 0), f"{path}.port", failures)
    one_of(port.get("protocol"), PROTOCOLS, f"{path}.protocol", failures)
    port_number_or_name(port.get("targetPort", 0), f"{path}.targetPort", failures)
    if (protocol := port.get("appProtocol")) is not None:
        named(names.qualified_name(protocol), f"{path}.appProtocol", protocol, failures)


def _external_name(spec: Object, failures: Failures) -> None:
    for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(field):
            failures.append(forbidden_field(f"spec.{field}", "may not be set for ExternalName services"))
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        failures.append(required("spec.externalName"))
    else:
        named(names.dns1123_subdomain(name), "spec.externalName", name, failures)


def _session_affinity(spec: Object, failures: Failures) -> None:
    affinity, config = spec.get("sessionAffinity"), spec.get("sessionAffinityConfig")
    one_of(affinity, ("ClientIP", "None"), "spec.sessionAffinity", failures)
    path = "spec.sessionAffinityConfig"
    if affinity == "None" and config is not None:
        failures.append(forbidden_field(path, "must not be set when session affinity is None"))
    if affinity != "ClientIP":
        return
    timeout_s = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
    if timeout_s is None:
        failures.append(required(f"{path}.clientIP.timeoutSeconds", "when session affinity type is ClientIP"))
    elif not 0 < timeout_s <= AFFINITY_TIMEOUT_MAX_S:
        detail = f"must be greater than 0 and less than {AFFINITY_TIMEOUT_MAX_S}"
        failures.append(invalid_value(f"{path}.clientIP.timeoutSeconds", timeout_s, detail))


def _addresses(spec: Object, failures: Failures) -> None:
    """``clusterIP``, ``clusterIPs``, ``ipFamilies`` and ``ipFamilyPolicy`` fit together."""
    if spec.get("type") == "ExternalName":
        return
    address, addresses = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    families, policy = spec.get("ipFamilies") or [], spec.get("ipFamilyPolicy")
    if addresses and not address:
        failures.append(forbidden_field("spec.clusterIPs", "must be empty when `clusterIP` is not specified"))
    elif addresses and addresses[0] != address:
        failures.append(invalid_value("spec.clusterIPs", addresses, "first value must match `clusterIP`"))
    if policy is not None and policy not in FAMILY_POLICIES:
        failures.append(not_supported("spec.ipFamilyPolicy", policy, FAMILY_POLICIES))
    for index, family in enumerate(families):
        if family not in FAMILIES:
            failures.append(not_supported(f"spec.ipFamilies[{index}]", family, FAMILIES))
        if family in families[:index]:
            failures.append(duplicate(f"spec.ipFamilies[{index}]", family))
    if "None" in addresses[1:] or (addresses[:1] == ["None"] and len(addresses) > 1):
        place = len(addresses) - 1 - addresses[::-1].index("None")
        failures.append(invalid_value(f"spec.clusterIPs[{place}]", "None", "may not be specified more than once"))
    if len(addresses) > 2:
        detail = "may only hold up to 2 values"
        failures.append(invalid_value("spec.clusterIPs", addresses, detail))
    for index, text in enumerate(addresses):
        if text in ("None", ""):
            continue
        ip(text, f"spec.clusterIPs[{index}]", failures)
        parsed = parse_ip(text)
        if parsed and index < len(families) and f"IPv{parsed.version}" != families[index]:
            detail = f"expected an {families[index]} value as indicated by `ipFamilies[{index}]`"
            failures.append(invalid_value(f"spec.clusterIPs[{index}]", text, detail))


def _addresses_stay(spec: Object, old: Object, failures: Failures) -> None:
    """An address that was given once stays, unless the service becomes or was an ExternalName."""
    if "ExternalName" in (spec.get("type"), old.get("type")):
        return
    for field in ("clusterIPs", "ipFamilies"):
        values, old_values = spec.get(field) or [], old.get(field) or []
        if not old_values:
            continue
        if not values:
            called = "clusterIP" if field == "clusterIPs" else "ipFamily"
            failures.append(invalid_value(f"spec.{field}[0]", values, f"primary {called} can not be unset"))
            continue
        for place, (value, old_value) in enumerate(zip(values, old_values, strict=False)):
            if value != old_value:
                failures.append(invalid_value(f"spec.{field}[{place}]", values, "may not change once set"))


def _load_balancer(spec: Object, failures: Failures) -> None:
    is_balancer = spec.get("type") == "LoadBalancer"
    only = "may only be used when `type` is 'LoadBalancer'"
    ranges = spec.get("loadBalancerSourceRanges") or ()
    if ranges and not is_balancer:
        failures.append(forbidden_field("spec.LoadBalancerSourceRanges", only))
    for index, text in enumerate(ranges):
        cidr(text.strip(), f"spec.LoadBalancerSourceRanges[{index}]", failures)
    if spec.get("allocateLoadBalancerNodePorts") is not None and not is_balancer:
        failures.append(forbidden_field("spec.allocateLoadBalancerNodePorts", only))
    kind = spec.get("loadBalancerClass")
    if kind is not None:
        if is_balancer:
            named(names.qualified_name(kind), "spec.loadBalancerClass", kind, failures)
        else:
            failures.append(forbidden_field("spec.loadBalancerClass", only))


def _traffic(spec: Object, failures: Failures) -> None:
    external = spec.get("externalTrafficPolicy")
    if _externally_accessible(spec):
        one_of(external, TRAFFIC_POLICIES, "spec.externalTrafficPolicy", failures)
    elif external:
        detail = "may only be set for externally-accessible services"
        failures.append(invalid_value("spec.externalTrafficPolicy", external, detail))
    health_port = spec.get("healthCheckNodePort") or 0
    if not _checks_health(spec):
        if health_port:
            detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            failures.append(invalid_value("spec.healthCheckNodePort", health_port, detail))
    elif health_port:
        port_number(health_port, "spec.healthCheckNodePort", failures)
    internal = spec.get("internalTrafficPolicy")
    if internal is not None or spec.get("type") in ("ClusterIP", "NodePort", "LoadBalancer"):
        one_of(internal, TRAFFIC_POLICIES, "spec.internalTrafficPolicy", failures)
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in DISTRIBUTIONS:
        failures.append(not_supported("spec.trafficDistribution", distribution, DISTRIBUTIONS))


def _headless(spec: Object) -> bool:
    return spec.get("clusterIP") == "None" or (spec.get("clusterIPs") or [""])[0] == "None"


def _externally_accessible(spec: Object) -> bool:
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def _checks_health(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
