"""How CertificateSigningRequests stand."""

from __future__ import annotations

from picluster.api.types import Object


def conditions(request: Object) -> set[str]:
    """The types of conditions that a request has, whatever their status: these are never false."""
    return {condition.get("type", "") for condition in (request.get("status") or {}).get("conditions") or ()}


def key_of_pending(request: Object | None) -> str | None:
    """The key of a request that has no certificate yet; ``None`` for any other."""
    if request is None or (request.get("status") or {}).get("certificate"):
        return None
    return str(request["metadata"]["name"])
