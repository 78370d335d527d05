"""Pods that use more of the node's disk than they may (``localStorageEviction`` of the kubelet). PURE."""

from __future__ import annotations

from picluster.api.podresources import pod_limits
from picluster.api.quantity import Style, canonical, render, value
from picluster.api.types import Object
from picluster_agent.eviction import texts
from picluster_agent.eviction.usage import NANO, DiskUse

RESOURCE = "ephemeral-storage"


def limited(spec: Object) -> bool:
    """Whether anything of the pod's is limited: only then its directories need be measured."""
    volumes = [volume.get("emptyDir") or {} for volume in spec.get("volumes") or ()]
    return any(one.get("sizeLimit") for one in volumes) or RESOURCE in pod_limits(spec)


def exceeded(spec: Object, disk: DiskUse, *, split: bool) -> tuple[str, str]:
    """What the pod has too much of: the signal that evictions are counted by, and a sentence; both empty for nothing.

    ``split``: writable layers are on a file system of their own, and do not count.
    """
    for volume in spec.get("volumes") or ():
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        used = disk.volumes.get(volume["name"], (0, 0))[0]
        if limit and 0 < value(limit) < used:
            return "emptydirfs.limit", texts.empty_dir(volume)
    kinds = ("logs", "volumes") if split else ("roots", "logs", "volumes")
    whole = pod_limits(spec).get(RESOURCE)
    if whole is not None and disk.total(*kinds)[0] * NANO > whole:
        return "ephemeralpodfs.limit", texts.whole_pod(render(whole, Style.BINARY))
    for one in spec.get("containers") or ():
        limit = ((one.get("resources") or {}).get("limits") or {}).get(RESOURCE)
        used = disk.logs.get(one["name"], (0, 0))[0] + (0 if split else disk.roots.get(one["name"], (0, 0))[0])
        if limit and 0 < value(limit) < used:
            return "ephemeralcontainerfs.limit", texts.container(one["name"], canonical(limit))
    return "", ""
