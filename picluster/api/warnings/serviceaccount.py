"""ServiceAccounts: an annotation that separate namespaces serve better than."""

from __future__ import annotations

from picluster.api.types import Object

ENFORCE = "kubernetes.io/enforce-mountable-secrets"
ADVICE = (
    f"metadata.annotations[{ENFORCE}]: deprecated in v1.32+;"
    " prefer separate namespaces to isolate access to mounted secrets"
)


def create(account: Object) -> list[str]:
    return [ADVICE] if _enforces(account) else []


def update(new: Object, old: Object) -> list[str]:
    return [] if _enforces(old) else create(new)


def _enforces(account: Object) -> bool:
    return ENFORCE in (account["metadata"].get("annotations") or {})
