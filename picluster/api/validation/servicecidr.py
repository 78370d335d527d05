"""ServiceCIDRs. Source: ``pkg/apis/networking/validation``."""

from __future__ import annotations

from picluster.api.errors import FieldError, invalid_value, required
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.addresses import strict_cidr
from picluster.api.validation.common import named

Failures = list[FieldError]

CIDRS_MAX = 2


def validate(servicecidr: Object) -> Failures:
    failures: Failures = []
    metadata.validate(servicecidr["metadata"], failures, namespaced=False, name=metadata.subdomain)
    _cidrs(servicecidr.get("spec") or {}, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    """A network never changes; one of the other family may be added."""
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    spec, path = new.get("spec") or {}, "spec.cidrs"
    cidrs, old_cidrs = spec.get("cidrs") or [], (old.get("spec") or {}).get("cidrs") or []
    if len(cidrs) not in (len(old_cidrs), len(old_cidrs) + 1) or len(cidrs) > CIDRS_MAX:
        failures.append(invalid_value(path, cidrs, metadata.IMMUTABLE))
        return failures
    for index, (cidr, old_cidr) in enumerate(zip(cidrs, old_cidrs, strict=False)):
        metadata.immutable(cidr, old_cidr, f"{path}[{index}]", failures)
    if len(cidrs) > len(old_cidrs):
        _cidrs(spec, failures)
    return failures


def _cidrs(spec: Object, failures: Failures) -> None:
    cidrs, path = spec.get("cidrs") or [], "spec.cidrs"
    if not cidrs:
        failures.append(required(path, "at least one CIDR required"))
    elif len(cidrs) > CIDRS_MAX:
        failures.append(invalid_value(path, spec, "may only hold up to 2 values"))
    else:
        for index, cidr in enumerate(cidrs):
            named(strict_cidr(cidr), f"{path}[{index}]", cidr, failures)
        if len(cidrs) == CIDRS_MAX and (":" in cidrs[0]) == (":" in cidrs[1]):
            detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
            failures.append(invalid_value(path, cidrs, detail))
