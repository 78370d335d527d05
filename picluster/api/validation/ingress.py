"""Ingresses. Source: ``pkg/apis/networking/validation``."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import ip, named, parse_ip, port_number

Failures = list[FieldError]

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_NOT_AT_END = ("/..", "/.")


def validate(ingress: Object) -> Failures:
    failures: Failures = []
    metadata.validate(ingress["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _spec(ingress.get("spec") or {}, {}, failures)
    annotation = (ingress["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    class_name = (ingress.get("spec") or {}).get("ingressClassName")
    if annotation is not None and class_name is not None and annotation != class_name:
        detail = "must match `ingressClassName` when both are specified"
        failures.append(invalid_value(f"annotations.{CLASS_ANNOTATION}", annotation, detail))
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _spec(new.get("spec") or {}, old.get("spec") or {}, failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    known = {point.get("ip") for point in _points(old)}
    for index, point in enumerate(_points(new)):
        path, address, hostname = f"status.loadBalancer.ingress[{index}]", point.get("ip"), point.get("hostname")
        if address and address not in known:
            ip(address, f"{path}.ip", failures)
        if hostname:
            named(names.dns1123_subdomain(hostname), f"{path}.hostname", hostname, failures)
            _not_an_address(hostname, f"{path}.hostname", failures)
    return failures


def _points(ingress: Object) -> list[Object]:
    found: list[Object] = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return found


def _spec(spec: Object, old: Object, failures: Failures) -> None:
    rules, default = spec.get("rules") or [], spec.get("defaultBackend")
    if not rules and default is None:
        failures.append(invalid_value("spec", None, "either `defaultBackend` or `rules` must be specified"))
    if default is not None:
        _backend(default, "spec.defaultBackend", failures)
    for index, rule in enumerate(rules):
        _rule(rule, f"spec.rules[{index}]", failures)
    secrets = {entry.get("secretName") for entry in old.get("tls") or ()}
    for index, entry in enumerate(spec.get("tls") or ()):
        _tls(entry, f"spec.tls[{index}]", secrets, failures)
    class_name = spec.get("ingressClassName")
    if class_name is not None:
        named(names.dns1123_subdomain(class_name), "spec.ingressClassName", class_name, failures)


def _rule(rule: Object, path: str, failures: Failures) -> None:
    host = rule.get("host") or ""
    if host:
        _not_an_address(host, f"{path}.host", failures)
        _host(host, f"{path}.host", failures)
    http = rule.get("http")
    if http is None:
        return
    if not http.get("paths"):
        failures.append(required(f"{path}.http.paths"))
    for index, entry in enumerate(http.get("paths") or ()):
        _path(entry, f"{path}.http.paths[{index}]", failures)


def _host(host: str, path: str, failures: Failures) -> None:
    rule = names.wildcard_subdomain if "*" in host else names.dns1123_subdomain
    named(rule(host), path, host, failures)


def _not_an_address(host: str, path: str, failures: Failures) -> None:
    if parse_ip(host) is not None:
        failures.append(invalid_value(path, host, "must be a DNS name, not an IP address"))


def _path(entry: Object, path: str, failures: Failures) -> None:
    kind, value = entry.get("pathType"), entry.get("path") or ""
    if kind is None:
        failures.append(required(f"{path}.pathType", "pathType must be specified"))
        return
    if kind not in PATH_TYPES:
        failures.append(not_supported(f"{path}.pathType", kind, PATH_TYPES))
    elif not value.startswith("/") and (value or kind != "ImplementationSpecific"):
        failures.append(invalid_value(f"{path}.path", value, "must be an absolute path"))
    if kind in ("Exact", "Prefix"):
        for part in _NOT_IN_PATHS:
            if part in value:
                failures.append(invalid_value(f"{path}.path", value, f"must not contain '{part}'"))
        for end in _NOT_AT_END:
            if value.endswith(end):
                failures.append(invalid_value(f"{path}.path", value, f"cannot end with '{end}'"))
    _backend(entry.get("backend") or {}, f"{path}.backend", failures)


def _backend(backend: Object, path: str, failures: Failures) -> None:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        failures.append(invalid_value(path, "", "cannot set both resource and service backends"))
    elif resource is not None:
        typed_reference(resource, f"{path}.resource", failures)
    elif service is not None:
        _service(service, path, failures)
    else:
        failures.append(invalid_value(path, "", "resource or service backend is required"))


def _service(service: Object, path: str, failures: Failures) -> None:
    name = service.get("name") or ""
    if not name:
        failures.append(required(f"{path}.service.name"))
    else:
        named(names.dns1123_label(name), f"{path}.service.name", name, failures)
    port = service.get("port") or {}
    port_name, number = port.get("name") or "", port.get("number") or 0
    if port_name and number:
        failures.append(invalid_value(path, "", "cannot set both port name & port number"))
    elif port_name:
        named(names.port_name(port_name), f"{path}.service.port.name", port_name, failures)
    elif number:
        port_number(number, f"{path}.service.port.number", failures)
    else:
        failures.append(required(path, "port name or number is required"))


def typed_reference(reference: Object, path: str, failures: Failures) -> None:
    """A reference to an object of any kind, by names that fit into a URL."""
    group = reference.get("apiGroup")
    if group is not None:
        named(names.dns1123_subdomain(group), f"{path}.apiGroup", group, failures)
    for field in ("kind", "name"):
        value = reference.get(field) or ""
        if not value:
            failures.append(required(f"{path}.{field}"))
        else:
            named(names.path_segment_name(value), f"{path}.{field}", value, failures)


def _tls(entry: Object, path: str, known_secrets: set[str | None], failures: Failures) -> None:
    for index, host in enumerate(entry.get("hosts") or ()):
        _host(host, f"{path}.hosts[{index}]", failures)
    secret = entry.get("secretName") or ""
    if secret and secret not in known_secrets:
        named(names.dns1123_subdomain(secret), f"{path}.secretName", secret, failures)
