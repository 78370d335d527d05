"""Nodes."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, duplicate, forbidden_field, invalid_value
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import cidr, named, parse_ip
from picluster.api.validation.resource_lists import quantity_value
from picluster.api.validation.tolerations import taint_effect

Failures = list[FieldError]


def validate(node: Object) -> Failures:
    failures: Failures = []
    metadata.validate(node["metadata"], failures, namespaced=False, name=metadata.subdomain)
    _taints(node, failures)
    _amounts(node, failures)
    _pod_cidrs((node.get("spec") or {}).get("podCIDRs") or [], failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _amounts(new, failures)
    _addresses(new, failures)
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    if old_spec.get("podCIDRs"):
        if spec.get("podCIDRs") != old_spec["podCIDRs"]:
            detail = 'node updates may not change podCIDR except from "" to valid'
            failures.append(forbidden_field("spec.podCIDRs", detail))
    elif spec.get("podCIDRs"):
        _pod_cidrs(spec["podCIDRs"], failures)
    if old_spec.get("providerID") and spec.get("providerID") != old_spec["providerID"]:
        detail = 'node updates may not change providerID except from "" to valid'
        failures.append(forbidden_field("spec.providerID", detail))
    _taints(new, failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    return validate_update(new, old)


def _taints(node: Object, failures: Failures) -> None:
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate((node.get("spec") or {}).get("taints") or ()):
        path = f"metadata.taints[{index}]"  # sic: Kubernetes hangs taints below metadata here
        key, value, effect = taint.get("key", ""), taint.get("value", ""), taint.get("effect", "")
        named(names.qualified_name(key), f"{path}.key", key, failures)
        if messages := names.label_value(value):
            failures.append(invalid_value(f"{path}.value", value, ";".join(messages)))
        taint_effect(effect, f"{path}.effect", failures)
        if (key, effect) in seen:
            failure = duplicate(path, taint)
            detail = f"{failure.message}: taints must be unique by key and effect pair"
            failures.append(FieldError(failure.reason, failure.field, detail))
        seen.add((key, effect))


def _amounts(node: Object, failures: Failures) -> None:
    status = node.get("status") or {}
    for field in ("capacity", "allocatable"):
        for name, amount in (status.get(field) or {}).items():
            quantity_value(name, amount, f"status.{field}.{name}", failures)


def _addresses(node: Object, failures: Failures) -> None:
    seen: set[tuple[str, str]] = set()
    for index, address in enumerate((node.get("status") or {}).get("addresses") or ()):
        key = (address.get("type", ""), address.get("address", ""))
        if key in seen:
            failures.append(duplicate(f"status.addresses[{index}]", address))
        seen.add(key)


def _pod_cidrs(ranges: list[str], failures: Failures) -> None:
    for index, text in enumerate(ranges):
        cidr(text, f"spec.podCIDRs[{index}]", failures)
        if text in ranges[:index]:
            failures.append(duplicate(f"spec.podCIDRs[{index}]", text))
    if len(ranges) > 1:
        families = [address.version for text in ranges if (address := parse_ip(text.partition("/")[0]))]
        if len(set(families)) != len(families) or len(ranges) > 2:
            detail = "may specify no more than one CIDR for each IP family"
            failures.append(invalid_value("spec.podCIDRs", ranges, detail))
