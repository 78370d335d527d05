"""Who may write which part of a ResourceClaim's status (``DRAResourceClaimGranularStatusAuthorization``, KEP-4817).

Allocation and reservations need ``resourceclaims/binding``; what a driver says of its devices needs
``resourceclaims/driver`` for that driver's name, with the verb ``associated-node:<verb>`` for service accounts that run
on the claim's node, ``arbitrary-node:<verb>`` for all others. Source: ``pkg/registry/resource`` of 1.36.
"""

from __future__ import annotations

import json

from picluster.api import errors
from picluster.api.errors import FieldError, forbidden_field
from picluster.api.resources import RESOURCE_CLAIMS
from picluster.api.types import Object
from picluster.apiserver.authz.attributes import Attributes
from picluster.apiserver.authz.chain import Chain, refusal
from picluster.apiserver.authz.impersonation import runs_on
from picluster.apiserver.registry.registry import Registry, Write


class Allocation:
    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def install(self, registry: Registry) -> None:
        registry.guards[RESOURCE_CLAIMS] = self.check

    def check(self, write: Write, new: Object, old: Object | None) -> None:
        """Raise ``ApiError`` 422 for a part of the status that is not the writer's."""
        if write.subresource != "status" or old is None:
            return
        status, old_status = new.get("status") or {}, old.get("status") or {}
        failures = [*self._binding(write, status, old_status), *self._devices(write, status, old_status)]
        if failures:
            raise errors.invalid(RESOURCE_CLAIMS.group, RESOURCE_CLAIMS.kind, write.name, failures)

    def _binding(self, write: Write, new: Object, old: Object) -> list[FieldError]:
        if all((new.get(field) or None) == (old.get(field) or None) for field in ("allocation", "reservedFor")):
            return []
        why = self._refused(write, write.verb, "binding", "", "")
        if not why:
            return []
        needed = f'resource="resourceclaims/binding", verb="{write.verb}" permission'
        detail = f"changing status.allocation or status.reservedFor requires {needed}: {why}"
        return [forbidden_field("status", detail)]

    def _devices(self, write: Write, new: Object, old: Object) -> list[FieldError]:
        verbs = [f"arbitrary-node:{write.verb}"]
        node = allocated_node(new.get("allocation") or {})
        if node and runs_on(write.user) == node:
            verbs.insert(0, f"associated-node:{write.verb}")
        failures = []
        for driver in sorted(changed_drivers(new, old)):
            refusals = [self._refused(write, verb, "driver", write.namespace, driver) for verb in verbs]
            if all(refusals):
                needed = f'resource="resourceclaims/driver", verb="[{" ".join(verbs)}]" permission'
                failures.append(forbidden_field("status", f"changing status.devices requires {needed}: {refusals[0]}"))
        return failures

    def _refused(self, write: Write, verb: str, subresource: str, namespace: str, name: str) -> str:
        """Why ``write.user`` may not; empty when it may."""
        group, version = RESOURCE_CLAIMS.group, RESOURCE_CLAIMS.version
        asked = Attributes(write.user, verb, namespace, group, version, RESOURCE_CLAIMS.plural, subresource, name)
        decision = self._chain.decide(asked)
        return "" if decision.allowed else refusal(asked, decision.reason).message


def changed_drivers(new: Object, old: Object) -> set[str]:
    """The drivers of whose devices something is said that was not, or no more. PURE."""
    before, after = _devices_of(old), _devices_of(new)
    return {key[0] for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def allocated_node(allocation: Object) -> str:
    """The one node that an allocation is for, if it is for one. PURE."""
    terms = (allocation.get("nodeSelector") or {}).get("nodeSelectorTerms") or []
    if len(terms) != 1 or terms[0].get("matchExpressions") or len(terms[0].get("matchFields") or ()) != 1:
        return ""
    field = terms[0]["matchFields"][0]
    values: list[str] = field.get("values") or []
    if field.get("key") != "metadata.name" or field.get("operator") != "In" or len(values) != 1:
        return ""
    return values[0]


def _devices_of(status: Object) -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}
    for device in status.get("devices") or ():
        key = tuple(device.get(field) or "" for field in ("driver", "pool", "device", "shareID"))
        found[key] = json.dumps(device, sort_keys=True)
    return found
