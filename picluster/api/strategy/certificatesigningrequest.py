"""CertificateSigningRequests: nothing of the request ever changes; who may approve is not who may sign.

``approval`` changes conditions and nothing else of the status; ``status`` leaves conditions of approval as they are.
Source: ``pkg/registry/certificates/certificates``.
"""

from __future__ import annotations

from picluster.api.strategy import keep
from picluster.api.strategy.shared import no_status
from picluster.api.types import Object

APPROVALS = ("Approved", "Denied")

create = no_status


def requested_by(csr: Object, name: str, uid: str, groups: list[str], extra: dict[str, list[str]]) -> None:
    """Write into a new request who made it, whatever it says itself."""
    spec = csr.setdefault("spec", {})
    for field, value in (("username", name), ("uid", uid), ("groups", groups), ("extra", extra)):
        spec.pop(field, None)
        if value:
            spec[field] = value


def update(new: Object, old: Object) -> None:
    keep(new, old, ("spec",))


def update_status(new: Object, old: Object) -> None:
    conditions = (new.get("status") or {}).get("conditions") or []
    for kind in APPROVALS:
        before = [c for c in (old.get("status") or {}).get("conditions") or () if c.get("type") == kind]
        places = [index for index, condition in enumerate(conditions) if condition.get("type") == kind]
        if len(places) == len(before):
            for place, condition in zip(places, before, strict=True):
                conditions[place] = condition


def update_approval(new: Object, old: Object) -> None:
    keep(new.setdefault("status", {}), old.get("status") or {}, ("certificate",))


def stamp(new: Object, old: Object, now: str) -> None:
    """Times of conditions that carry none; one that keeps its status keeps the time of its last transition."""
    before = {
        (condition.get("type"), condition.get("status")): condition["lastTransitionTime"]
        for condition in reversed((old.get("status") or {}).get("conditions") or ())
        if condition.get("lastTransitionTime")
    }
    for condition in (new.get("status") or {}).get("conditions") or ():
        condition.setdefault("lastUpdateTime", now)
        condition.setdefault("lastTransitionTime", before.get((condition.get("type"), condition.get("status")), now))
