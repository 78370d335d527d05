"""What a pod was given: apart from what it asks for now, and from what its containers have in fact (KEP-1287).

``allocated`` is what the node granted, ``actuated`` what was last given to the control groups. Both are kept in a small
file of the pod's directory, written when one of them changes, so that an agent that starts anew grants nobody what it
has not. Where the file is lost, the pod's status says what was granted and given.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from picluster.api.quantity import nanos
from picluster.api.types import Object
from picluster_agent.sync import spec

WHOLE_POD = ""
"""Names the pod's own resources (KEP-2837) among those of its containers."""

Resources = dict[str, Object]
"""``resources`` by the name of the container."""


@dataclass(slots=True)
class Allocation:
    allocated: Resources
    actuated: Resources = field(default_factory=dict)


def of_pod(pod: Object) -> Resources:
    """What the specification asks for."""
    asked = {one["name"]: one.get("resources") or {} for one in spec.all_containers(pod)}
    if own := pod["spec"].get("resources"):
        asked[WHOLE_POD] = own
    return asked


def of_status(pod: Object) -> Allocation | None:
    """What the API server was told last; ``None`` of a pod whose containers were never reported on."""
    status = pod.get("status") or {}
    listed = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    known = {one["name"]: one for one in listed if one.get("resources") is not None}
    if not known:
        return None
    asked = of_pod(pod)
    allocated, actuated = dict(asked), {}
    for name, one in known.items():
        if name in asked:
            actuated[name] = one["resources"]
            given = one.get("allocatedResources") or {}
            requests = {**(one["resources"].get("requests") or {}), **given}
            allocated[name] = {**one["resources"], **({"requests": requests} if requests else {})}
    return Allocation(allocated, actuated)


def applied(pod: Object, resources: Resources) -> Object:
    """``pod`` as if it asked for ``resources``: itself, or a copy where that differs."""
    if all(same(resources.get(name), asked) for name, asked in of_pod(pod).items() if name in resources):
        return pod
    changed = dict(pod["spec"])
    for group in ("initContainers", "containers"):
        if group in changed:
            changed[group] = [{**one, "resources": resources.get(one["name"], {})} for one in changed[group]]
    if WHOLE_POD in resources:
        changed["resources"] = resources[WHOLE_POD]
    return {**pod, "spec": changed}


def same(one: Object | None, other: Object | None) -> bool:
    """Whether two ``resources`` mean the same amounts."""
    return _amounts(one) == _amounts(other)


def _amounts(resources: Object | None) -> dict[str, dict[str, int]]:
    kinds = {kind: (resources or {}).get(kind) or {} for kind in ("requests", "limits")}
    return {kind: {name: nanos(amount) for name, amount in listed.items()} for kind, listed in kinds.items()}


def read(path: Path) -> Allocation | None:
    """What was kept; ``None`` where nothing was, or nothing that can be read."""
    try:
        kept = json.loads(path.read_bytes())
        return Allocation(dict(kept["allocated"]), dict(kept["actuated"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(path: Path, allocation: Allocation, *, durable: bool = True) -> None:
    """Keep it: whole or not at all; ``durable`` when it returns, whatever happens to the power. Raises ``OSError``."""
    draft = path.with_suffix(".new")
    text = json.dumps({"allocated": allocation.allocated, "actuated": allocation.actuated}, separators=(",", ":"))
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        if durable:
            os.fdatasync(file.fileno())
    draft.replace(path)
