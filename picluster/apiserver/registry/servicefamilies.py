"""Which families of addresses a Service has, in a cluster whose services have one.

Source: ``initIPFamilyFields`` in ``pkg/registry/core/service/storage``. A service without a selector and without an
address may name both, because nothing is allocated for it and its endpoints are somebody else's.
"""

from __future__ import annotations

from picluster.api import errors
from picluster.api.errors import FieldError
from picluster.api.types import Object

BOTH = ("IPv4", "IPv6")
HEADLESS = "None"
_POLICY = "spec.ipFamilyPolicy"


def settle(service: Object, old: Object | None, family: str) -> None:
    """Complete ``ipFamilies`` and ``ipFamilyPolicy``, in place; raises ``ApiError`` 422 if they cannot be had here.

    ``family`` is what the cluster's services have.
    """
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return
    headless = (spec.get("clusterIPs") or [spec.get("clusterIP")])[0] == HEADLESS
    alone = headless and not spec.get("selector")
    policy = spec.setdefault("ipFamilyPolicy", "RequireDualStack" if alone else "SingleStack")
    if old is not None and policy == "SingleStack":
        _release_second(spec, old["spec"])
    families = list(spec.get("ipFamilies") or ())
    failures = [*_against_policy(spec, families, old), *_inferred(spec, families, family)]
    if alone and not failures:
        families = families or [family]
        if len(families) == 1 and policy != "SingleStack":
            families += [other for other in BOTH if other != families[0]]
    elif not failures:
        failures = list(_not_here(policy, families, family))
    if failures:
        raise errors.invalid("", "Service", service["metadata"].get("name", ""), failures)
    spec["ipFamilies"] = families or [family]


def _release_second(spec: Object, old: Object) -> None:
    for field in ("clusterIPs", "ipFamilies"):
        values = spec.get(field) or []
        if len(values) > 1 and values == old.get(field):
            spec[field] = values[:1]


def _against_policy(spec: Object, families: list[str], old: Object | None) -> list[FieldError]:
    policy = spec["ipFamilyPolicy"]
    if policy == "SingleStack":
        many = "must be 'RequireDualStack' or 'PreferDualStack' when multiple {} are specified"
        return [
            errors.invalid_value(_POLICY, policy, many.format(called))
            for field, called in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families"))
            if len(spec.get(field) or ()) == len(BOTH)
        ]
    if old is not None and len(families) == 1 and len(old["spec"].get("ipFamilies") or ()) == len(BOTH):
        detail = "must be 'SingleStack' to release the secondary IP family"
        return [errors.invalid_value(_POLICY, policy, detail)]
    return []


def _inferred(spec: Object, families: list[str], family: str) -> list[FieldError]:
    """Add the families of addresses that go beyond those that are named, to ``families``."""
    addresses = spec.get("clusterIPs") or []
    failures = []
    for index in range(len(families), len(addresses)):
        if addresses[index] == HEADLESS:
            break
        found = BOTH[":" in addresses[index]]
        if found == family:
            families.append(found)
        else:
            detail = f"{found} is not configured on this cluster"
            failures.append(errors.invalid_value(f"spec.clusterIPs[{index}]", addresses, detail))
    return failures


def _not_here(policy: str, families: list[str], family: str) -> list[FieldError]:
    failures = []
    if policy == "RequireDualStack":
        detail = "this cluster is not configured for dual-stack services"
        failures.append(errors.invalid_value(_POLICY, policy, detail))
    for index, wanted in enumerate(families):
        if wanted != family:
            detail = "not configured on this cluster"
            failures.append(errors.invalid_value(f"spec.ipFamilies[{index}]", wanted, detail))
    return failures
