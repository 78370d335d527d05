"""Pod specs, in Pods and in templates. Source: ``ValidatePodSpec`` in ``pkg/apis/core/validation``."""

from __future__ import annotations

from picluster.api import names, quantity
from picluster.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from picluster.api.podresources import container_requests
from picluster.api.types import Object
from picluster.api.validation import (
    containers,
    metadata,
    placement,
    resource_lists,
    security,
    tolerations,
    volumes,
)
from picluster.api.validation.common import INT32_MAX, in_range, ip, named, one_of

Failures = list[FieldError]

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_NAMESERVERS_MAX = 3
_SEARCHES_MAX = 32
_SEARCH_CHARACTERS_MAX = 2048
_NO_CLAIMS: frozenset[str] = frozenset()
_UNCOMMON = (
    "resources", "resourceClaims", "imagePullSecrets", "dnsConfig", "readinessGates", "schedulingGates",
    "topologySpreadConstraints", "activeDeadlineSeconds", "hostname", "subdomain", "hostAliases", "runtimeClassName",
    "preemptionPolicy", "overhead", "os", "hostUsers",
)  # fmt: skip


def validate(spec: Object, path: str, failures: Failures, *, in_pod: bool) -> None:
    """``in_pod`` tells a Pod's spec from a template's, of which a little less is asked."""
    get = spec.get
    grace_period_s = get("terminationGracePeriodSeconds")
    if grace_period_s is None:
        failures.append(required(f"{path}.terminationGracePeriodSeconds"))
    _containers(spec, grace_period_s, path, failures)
    if get("hostNetwork"):
        _host_network(spec, path, failures, in_pod=in_pod)
    if get("restartPolicy") not in RESTART_POLICIES:
        one_of(get("restartPolicy"), RESTART_POLICIES, f"{path}.restartPolicy", failures)
    if get("dnsPolicy") not in DNS_POLICIES:
        one_of(get("dnsPolicy"), DNS_POLICIES, f"{path}.dnsPolicy", failures)
    elif get("dnsPolicy") == "None" and get("dnsConfig") is None:
        failures.append(required(f"{path}.dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None"))
    if selector := get("nodeSelector"):
        metadata.check_labels(selector, f"{path}.nodeSelector", failures)
    if context := get("securityContext"):
        security.pod(context, spec, f"{path}.securityContext", failures)
    if rules := get("affinity"):
        placement.affinity(rules, f"{path}.affinity", failures)
    if tolerated := get("tolerations"):
        tolerations.validate(tolerated, f"{path}.tolerations", failures)
    for field in ("serviceAccountName", "nodeName", "priorityClassName"):
        if name := get(field):
            for message in names.dns1123_subdomain(name):
                failures.append(invalid_value(f"{path}.{field}", name, message))
    for field in _UNCOMMON:
        if field in spec:
            _rest(spec, path, failures)
            break


def template(body: Object, path: str, failures: Failures) -> None:
    """``spec.template`` of a workload."""
    meta, spec = body.get("metadata") or {}, body.get("spec") or {}
    if labels := meta.get("labels"):
        metadata.check_labels(labels, f"{path}.labels", failures)
    if annotations := meta.get("annotations"):
        metadata.check_annotations(annotations, f"{path}.annotations", failures)
    validate(spec, f"{path}.spec", failures, in_pod=False)
    if spec.get("ephemeralContainers"):
        detail = "ephemeral containers not allowed in pod template"
        failures.append(forbidden_field(f"{path}.spec.ephemeralContainers", detail))


def _containers(spec: Object, grace_period_s: int | None, path: str, failures: Failures) -> None:
    get = spec.get
    claims = get("resourceClaims")
    context = containers.PodContext(
        volumes.validate(get("volumes") or [], f"{path}.volumes", failures),
        frozenset(claim.get("name", "") for claim in claims) if claims else _NO_CLAIMS,
        grace_period_s,
        get("restartPolicy") or "",
    )
    regular, init = get("containers") or [], get("initContainers") or []
    containers.regular(regular, context, f"{path}.containers", failures)
    if init:
        containers.init(init, regular, context, f"{path}.initContainers", failures)
    if ephemeral := get("ephemeralContainers"):
        containers.ephemeral(ephemeral, [*regular, *init], context, f"{path}.ephemeralContainers", failures)


def _host_network(spec: Object, path: str, failures: Failures, *, in_pod: bool) -> None:
    for index, container in enumerate(spec.get("containers") or ()):
        for place, port in enumerate(container.get("ports") or ()):
            host_port = port.get("hostPort", 0)
            if (in_pod or host_port) and host_port != port.get("containerPort"):
                where = f"{path}.containers[{index}].ports[{place}].hostPort"
                detail = "must match `containerPort` when `hostNetwork` is true"
                failures.append(invalid_value(where, host_port, detail))


def _rest(spec: Object, path: str, failures: Failures) -> None:
    """The fields that few pods have."""
    get = spec.get
    if resources := get("resources"):
        _pod_resources(spec, resources, f"{path}.resources", failures)
    _claims(get("resourceClaims") or (), f"{path}.resourceClaims", failures)
    for index, secret in enumerate(get("imagePullSecrets") or ()):
        if not secret.get("name"):
            failures.append(required(f"{path}.imagePullSecrets[{index}].name"))
    if dns := get("dnsConfig"):
        _dns_config(dns, get("dnsPolicy"), f"{path}.dnsConfig", failures)
    for index, gate in enumerate(get("readinessGates") or ()):
        kind = gate.get("conditionType", "")
        named(names.qualified_name(kind), f"{path}.readinessGates[{index}].conditionType", kind, failures)
    _scheduling_gates(get("schedulingGates") or (), f"{path}.schedulingGates", failures)
    if constraints := get("topologySpreadConstraints"):
        placement.topology_spread(constraints, f"{path}.topologySpreadConstraints", failures)
    if (deadline_s := get("activeDeadlineSeconds")) is not None:
        in_range(deadline_s, 1, INT32_MAX, f"{path}.activeDeadlineSeconds", failures)
    for field in ("hostname", "subdomain"):
        if name := get(field):
            named(names.dns1123_label(name), f"{path}.{field}", name, failures)
    _host_aliases(get("hostAliases") or (), f"{path}.hostAliases", failures)
    if (name := get("runtimeClassName")) is not None:
        named(names.dns1123_subdomain(name), f"{path}.runtimeClassName", name, failures)
    if (policy := get("preemptionPolicy")) is not None:
        one_of(policy, ("PreemptLowerPriority", "Never"), f"{path}.preemptionPolicy", failures)
    if overhead := get("overhead"):
        resource_lists.requirements({"limits": overhead}, f"{path}.overhead", failures)
    if (system := get("os")) is not None:
        one_of(system.get("name"), ("linux", "windows"), f"{path}.os.name", failures)
    security.host_users(spec, path, failures)


def _pod_resources(spec: Object, resources: Object, path: str, failures: Failures) -> None:
    if resources.get("claims"):
        failures.append(forbidden_field(f"{path}.claims", "claims cannot be set for Resources at pod-level"))
    amounts = {side: amounts for side, amounts in resources.items() if side != "claims"}
    resource_lists.requirements(amounts, path, failures, pod_level=True)
    requests = resources.get("requests") or {}
    for name, nano in container_requests(spec).items():
        if nano > quantity.nanos(requests.get(name, "0")):
            total = quantity.render(nano)
            detail = f"must be greater than or equal to aggregate container requests of {total}"
            failures.append(invalid_value(f"{path}.requests[{name}]", requests.get(name, "0"), detail))


def _claims(claims: list[Object] | tuple[()], path: str, failures: Failures) -> None:
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        name, where = claim.get("name"), f"{path}[{index}]"
        if not name:
            failures.append(required(f"{where}.name"))
        elif name in seen:
            failures.append(duplicate(f"{where}.name", name))
        else:
            named(names.dns1123_label(name), f"{where}.name", name, failures)
            seen.add(name)
        given = [field for field in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(field) is not None]
        if len(given) > 1:
            detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            failures.append(invalid_value(where, claim, detail))
        if not given:
            detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            failures.append(invalid_value(where, claim, detail))
        for field in given:
            named(names.dns1123_subdomain(claim[field]), f"{where}.{field}", claim[field], failures)


def _dns_config(config: Object, policy: str | None, path: str, failures: Failures) -> None:
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if policy == "None" and not servers:
        detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        failures.append(required(f"{path}.nameservers", detail))
        return
    if len(servers) > _NAMESERVERS_MAX:
        detail = f"must not have more than {_NAMESERVERS_MAX} nameservers"
        failures.append(invalid_value(f"{path}.nameservers", servers, detail))
    for index, server in enumerate(servers):
        ip(server, f"{path}.nameservers[{index}]", failures)
    if len(searches) > _SEARCHES_MAX:
        detail = f"must not have more than {_SEARCHES_MAX} search paths"
        failures.append(invalid_value(f"{path}.searches", searches, detail))
    if len(" ".join(searches)) > _SEARCH_CHARACTERS_MAX:
        detail = f"must not have more than {_SEARCH_CHARACTERS_MAX} characters (including spaces) in the search list"
        failures.append(invalid_value(f"{path}.searches", searches, detail))
    for index, search in enumerate(searches):
        if search != ".":
            domain = search.removesuffix(".")
            relaxed = domain.replace("_", "a")
            named(names.dns1123_subdomain(relaxed), f"{path}.searches[{index}]", domain, failures)
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            failures.append(required(f"{path}.options[{index}]", "must not be empty"))


def _scheduling_gates(gates: list[Object] | tuple[()], path: str, failures: Failures) -> None:
    seen: set[str] = set()
    for index, gate in enumerate(gates):
        name = gate.get("name", "")
        named(names.qualified_name(name), f"{path}[{index}]", name, failures)
        if name in seen:
            failures.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)


def _host_aliases(aliases: list[Object] | tuple[()], path: str, failures: Failures) -> None:
    for index, alias in enumerate(aliases):
        ip(alias.get("ip", ""), f"{path}[{index}].ip", failures)
        for place, name in enumerate(alias.get("hostnames") or ()):
            named(names.dns1123_subdomain(name), f"{path}[{index}].hostnames[{place}]", name, failures)
