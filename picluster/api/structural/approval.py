"""Leave to define resources in the groups of Kubernetes' community (``apihelpers``, KEP-1111)."""

from __future__ import annotations

from urllib.parse import urlsplit

from picluster.api.types import Object

ANNOTATION = "api-approved.kubernetes.io"
INVALID, APPROVED, BYPASSED, MISSING = "Invalid", "Approved", "Bypassed", "Missing"
_SUFFIXES = (".k8s.io", ".kubernetes.io")
_GROUPS = ("k8s.io", "kubernetes.io")


def is_protected(group: str) -> bool:
    return group in _GROUPS or group.endswith(_SUFFIXES)


def state(metadata: Object) -> tuple[str, str]:
    """What the annotation says, and why."""
    given = (metadata.get("annotations") or {}).get(ANNOTATION, "")
    if not given:
        link = "https://github.com/kubernetes/enhancements/pull/1111"
        return MISSING, f'protected groups must have approval annotation "{ANNOTATION}", see {link}'
    if given.startswith("unapproved"):
        return BYPASSED, f'not approved: "{given}"'
    parts = urlsplit(given)
    if parts.hostname and parts.scheme:
        return APPROVED, f"approved in {given}"
    why = f'protected groups must have approval annotation "{ANNOTATION}" with either a URL or a reason starting with'
    return INVALID, f'{why} "unapproved", see https://github.com/kubernetes/enhancements/pull/1111'
