"""Which control group is whose, and which of those that could be are there.

The tree is the kubelet's (``pkg/kubelet/cm``, driver cgroupfs): ``kubepods``, below it guaranteed pods and the groups
of the two other classes, below those their pods. Podman puts a container into ``libpod-<id>`` below its parent.
"""

from __future__ import annotations

from picluster_agent.cgroups.hierarchy import Hierarchy

CLASSES = {"Guaranteed": "", "Burstable": "/burstable", "BestEffort": "/besteffort"}
POD_PREFIX = "pod"

_FORMER = ("libpod_parent/libpod-{id}", "machine.slice/libpod-{id}.scope", "system.slice/libpod-{id}.scope")
"""Where Podman puts a container that nobody chose a parent for: those of an agent that knew no pod groups."""


def of_class(hierarchy: Hierarchy, quality: str) -> str:
    return hierarchy.root + CLASSES[quality]


def of_pod(hierarchy: Hierarchy, uid: str, quality: str) -> str:
    return f"{of_class(hierarchy, quality)}/{POD_PREFIX}{uid}"


def find_pod(hierarchy: Hierarchy, uid: str) -> str | None:
    """The group that the pod has, whatever its class is or was."""
    return next((group for quality in CLASSES if hierarchy.exists(group := of_pod(hierarchy, uid, quality))), None)


def of_container(hierarchy: Hierarchy, pod_group: str | None, container_id: str) -> str | None:
    """The group of a running container; ``None`` when it has none, because it does not run."""
    candidates = [one.format(id=container_id) for one in _FORMER]
    if pod_group is not None:
        candidates.insert(0, f"{pod_group}/libpod-{container_id}")
    top = hierarchy.trees["memory" if "memory" in hierarchy.trees else "cpu"]
    return next((one for one in candidates if (top / one).is_dir()), None)
