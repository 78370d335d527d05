"""How a pod's claims would get their volumes on one node, or why they would not. PURE.

Source: ``FindPodVolumes`` in ``pkg/scheduler/framework/plugins/volumebinding/binder.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from picluster.api import volumebinding as binding
from picluster.api.quantity import nanos
from picluster.api.selectors import from_object
from picluster.api.types import Object
from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.volumes import Plan, Volumes, fits

AFFINITY = "node(s) didn't match PersistentVolume's node affinity"
NO_MATCH = "node(s) didn't find available persistent volumes to bind"
NO_SPACE = "node(s) did not have enough free storage"
NO_VOLUME = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"


def plan_for(pod: PodInfo, node: NodeInfo, volumes: Volumes) -> Plan | Refusal:
    """For a pod that has no obstacle."""
    claims, labels = volumes.claims(pod), dict(node.labels)
    reasons = list(dict.fromkeys(_bound_elsewhere(claims.bound, labels, volumes)))
    bindings: list[tuple[Object, Object]] = []
    provisions: list[Object] = []
    for claim in claims.delayed:
        chosen = binding.annotations_of(claim).get(binding.SELECTED_NODE)
        if chosen is not None and chosen != node.name:
            reasons.append(NO_MATCH)
            break
        found = None if chosen is not None else _match(claim, bindings, labels, volumes)
        if found is not None:
            bindings.append((claim, found))
            continue
        why = _unprovidable(claim, labels, volumes)
        if why is not None:
            reasons.append(why)
            break
        provisions.append(claim)
    return Refusal(tuple(reasons), final=True) if reasons else Plan(tuple(bindings), tuple(provisions))


def _bound_elsewhere(claims: Sequence[Object], labels: dict[str, str], volumes: Volumes) -> Iterable[str]:
    for claim in claims:
        volume = volumes.volume(claim["spec"]["volumeName"])
        if volume is None:
            yield NO_VOLUME
        elif not fits(volume, labels):
            yield AFFINITY


def _match(
    claim: Object, bindings: Sequence[tuple[Object, Object]], labels: dict[str, str], volumes: Volumes
) -> Object | None:
    taken = {volume["metadata"]["name"] for _, volume in bindings}
    return binding.find_match(
        claim, volumes.volumes(), delayed=True, fits_node=lambda volume: fits(volume, labels), taken=taken
    )


def _unprovidable(claim: Object, labels: dict[str, str], volumes: Volumes) -> str | None:
    """Why no volume can be made for the claim on a node with ``labels``."""
    storage_class = volumes.storage_class(binding.class_of(claim)) or {}
    provisioner = storage_class.get("provisioner", "")
    if provisioner in ("", binding.NO_PROVISIONER) or not _allowed(storage_class.get("allowedTopologies"), labels):
        return NO_MATCH
    driver = volumes.csi_driver(provisioner)
    if driver is None or not (driver.get("spec") or {}).get("storageCapacity"):
        return None
    return None if _has_capacity(claim, labels, volumes) else NO_SPACE


def _allowed(terms: Sequence[Object] | None, labels: Mapping[str, str]) -> bool:
    """Topology terms are alternatives; an empty one matches nothing."""
    return not terms or any(
        bool(entries := term.get("matchLabelExpressions") or ())
        and all(labels.get(entry["key"]) in (entry.get("values") or ()) for entry in entries)
        for term in terms
    )


def _has_capacity(claim: Object, labels: dict[str, str], volumes: Volumes) -> bool:
    """Whether the driver says that there is room for it where the node is (KEP-1472)."""
    size, name = binding.requested_size(claim), binding.class_of(claim)
    for capacity in volumes.capacities():
        limit = capacity.get("maximumVolumeSize") or capacity.get("capacity")
        topology = capacity.get("nodeTopology")
        if capacity.get("storageClassName") != name or limit is None or nanos(limit) < size or topology is None:
            continue
        if from_object(topology).matches(labels):
            return True
    return False
