"""What a driver is told of a volume: access modes, contexts, what it wants to know of the pod. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from picluster.api.types import Object
from picluster_agent.volumes import ownership
from picluster_agent.volumes.claims import Volume
from picluster_agent.volumes.csi.messages import SINGLE_NODE_MULTI_WRITER, VOLUME_MOUNT_GROUP

_MODES = {"ReadWriteOnce": 1, "ReadOnlyMany": 3, "ReadWriteMany": 5, "ReadWriteOncePod": 1}
_MODES_OF_NEW_DRIVERS = {"ReadWriteOnce": 7, "ReadOnlyMany": 3, "ReadWriteMany": 5, "ReadWriteOncePod": 6}
"""SINGLE_NODE_MULTI_WRITER and SINGLE_NODE_SINGLE_WRITER, for drivers that know them."""
DEFAULT_FILE_SYSTEM = "ext4"
POD_INFO = "csi.storage.k8s.io/"


def access_mode(modes: Sequence[str], capabilities: Collection[int]) -> int:
    """The one mode that stands for a volume's access modes: the widest."""
    table = _MODES_OF_NEW_DRIVERS if SINGLE_NODE_MULTI_WRITER in capabilities else _MODES
    for mode in ("ReadWriteMany", "ReadOnlyMany", "ReadWriteOnce", "ReadWriteOncePod"):
        if mode in modes:
            return table[mode]
    return table["ReadWriteOnce"]


def capability(volume: Volume, pod: Object, capabilities: Collection[int]) -> dict[str, Any]:
    """The VolumeCapability: how the volume is used."""
    wanted: dict[str, Any] = {"access_mode": {"mode": access_mode(volume.access_modes, capabilities)}}
    if volume.device:
        return {**wanted, "block": {}}
    mount: dict[str, Any] = {"fs_type": volume.source.get("fsType") or "", "mount_flags": volume.mount_options}
    gid = ownership.fs_group(pod)
    if gid >= 0 and VOLUME_MOUNT_GROUP in capabilities:
        mount["volume_mount_group"] = str(gid)
    return {**wanted, "mount": mount}


def context(volume: Volume, pod: Object, driver: Object, tokens: Mapping[str, Object]) -> dict[str, str]:
    """The volume's attributes, with what the CSIDriver says that the driver wants: the pod's names, tokens."""
    spec = driver.get("spec") or {}
    found = {**(volume.source.get("volumeAttributes") or {})}
    if spec.get("podInfoOnMount"):
        metadata = pod["metadata"]
        found |= {
            f"{POD_INFO}pod.name": metadata["name"],
            f"{POD_INFO}pod.namespace": metadata["namespace"],
            f"{POD_INFO}pod.uid": metadata["uid"],
            f"{POD_INFO}serviceAccount.name": pod["spec"].get("serviceAccountName") or "default",
            f"{POD_INFO}ephemeral": str(volume.persistent is None).lower(),
        }
    if tokens:
        found[f"{POD_INFO}serviceAccount.tokens"] = json.dumps(tokens, separators=(",", ":"), sort_keys=True)
    return found


def lifecycle_problem(volume: Volume, driver: Object) -> str:
    """Why the driver does not do this kind of volume; nothing if it does."""
    mode = "Ephemeral" if volume.persistent is None else "Persistent"
    modes = (driver.get("spec") or {}).get("volumeLifecycleModes") or ["Persistent"]
    if mode in modes:
        return ""
    known = f"only supports [{' '.join(json.dumps(one) for one in modes)}]" if driver else "no CSIDriver object"
    return f'volume mode "{mode}" not supported by driver {volume.source["driver"]} ({known})'


def applies_fs_group(volume: Volume, driver: Object, capabilities: Collection[int]) -> bool:
    """Whether the node changes owners, by the driver's ``fsGroupPolicy`` (KEP-1682)."""
    if VOLUME_MOUNT_GROUP in capabilities or volume.device or volume.read_only:
        return False
    policy = (driver.get("spec") or {}).get("fsGroupPolicy") or "ReadWriteOnceWithFSType"
    if policy != "ReadWriteOnceWithFSType":
        return str(policy) == "File"
    return bool(volume.source.get("fsType")) and any(
        mode in volume.access_modes for mode in ("ReadWriteOnce", "ReadWriteOncePod")
    )
