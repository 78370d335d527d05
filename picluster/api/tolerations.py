"""Whether a pod bears a taint (``ToleratesTaint`` of the core API). PURE."""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.types import Object


def tolerates(tolerations: Iterable[Object], taint: Object) -> bool:
    """Whether any of ``tolerations`` bears ``taint``; an empty key with Exists bears everything."""
    return any(bears(toleration, taint) for toleration in tolerations)


def bears(toleration: Object, taint: Object) -> bool:
    """Whether this one toleration bears ``taint``."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if (toleration.get("operator") or "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")
