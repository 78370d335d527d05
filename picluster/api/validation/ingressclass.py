"""IngressClasses. Source: ``pkg/apis/networking/validation``."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_supported, required, too_long
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import named
from picluster.api.validation.ingress import typed_reference

Failures = list[FieldError]

CONTROLLER_MAX = 250
SCOPES = ("Cluster", "Namespace")


def validate(ingressclass: Object) -> Failures:
    failures: Failures = []
    metadata.validate(ingressclass["metadata"], failures, namespaced=False, name=metadata.subdomain)
    _spec(ingressclass.get("spec") or {}, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    metadata.immutable(spec.get("controller", ""), old_spec.get("controller", ""), "spec.controller", failures)
    _spec(spec, failures)
    return failures


def _spec(spec: Object, failures: Failures) -> None:
    controller = spec.get("controller") or ""
    if not controller:
        failures.append(required("spec.controller"))
    else:
        if len(controller) > CONTROLLER_MAX:
            failures.append(too_long("spec.controller", CONTROLLER_MAX))
        _domain_prefixed_path(controller, "spec.controller", failures)
    parameters = spec.get("parameters")
    if parameters is not None:
        _parameters(parameters, "spec.parameters", failures)


def _domain_prefixed_path(value: str, path: str, failures: Failures) -> None:
    host, _, rest = value.partition("/")
    if not host or not rest:
        failures.append(invalid_value(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")'))
        return
    named(names.dns1123_subdomain(host), path, host, failures)
    named(names.http_path(rest), path, rest, failures)


def _parameters(parameters: Object, path: str, failures: Failures) -> None:
    typed_reference(parameters, path, failures)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        failures.append(required(f"{path}.scope"))
    elif scope not in SCOPES:
        failures.append(not_supported(f"{path}.scope", scope, SCOPES))
    elif scope == "Namespace" and namespace is None:
        failures.append(required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'"))
    elif scope == "Namespace":
        named(names.dns1123_label(namespace), f"{path}.namespace", namespace, failures)
    elif namespace is not None:
        failures.append(forbidden_field(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'"))
