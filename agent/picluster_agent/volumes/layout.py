"""Where the volumes of a pod are, and what a container's mounts have to know of each. Pure.

The directories are the kubelet's (``pkg/kubelet/kubelet_getters.go``): CSI drivers and people who look for a pod's data
expect them so.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from picluster.api.types import Object

PLUGINS = {
    "configMap": "kubernetes.io~configmap",
    "csi": "kubernetes.io~csi",
    "downwardAPI": "kubernetes.io~downward-api",
    "emptyDir": "kubernetes.io~empty-dir",
    "image": "kubernetes.io~image",
    "local": "kubernetes.io~local-volume",
    "nfs": "kubernetes.io~nfs",
    "projected": "kubernetes.io~projected",
    "secret": "kubernetes.io~secret",
}
"""Kinds of volumes that have a directory in the pod's own; ``hostPath`` is where it is."""
FILES = ("configMap", "secret", "downwardAPI", "projected")
OURS = (*FILES, "emptyDir")
"""Kinds whose content ends with the pod. Everything else is somebody's data."""


@dataclass(frozen=True, slots=True)
class Place:
    """One volume as it stands on the node. ``claim`` is the name of its PersistentVolumeClaim, if it has one."""

    path: Path
    read_only: bool = False
    no_exec: bool = False
    device: bool = False
    """``path`` is a block device."""
    relabel: bool = False
    """Its content is the pod's alone or managed here, so SELinux labels may be put on it."""
    claim: str = ""


def directory(volumes: Path, kind: str, name: str) -> Path:
    """Where a volume of ``kind`` is; ``name`` is the volume's, or its PersistentVolume's."""
    return volumes / PLUGINS[kind] / name


def kind_of(volume: Object) -> str:
    """Which source a volume has; one without any is an emptyDir, as Kubernetes' defaults say."""
    return next((key for key in volume if key != "name" and volume[key] is not None), "emptyDir")
