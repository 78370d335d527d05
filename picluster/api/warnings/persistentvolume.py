"""PersistentVolumes: what is deprecated about them (``pkg/api/persistentvolume``)."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.api.warnings.common import BETA_STORAGE_CLASS, SINCE_V1_8, selector_term

RECYCLE = (
    "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated."
    " Instead, the recommended approach is to use dynamic provisioning."
)
PLUGINS = {
    "cephfs": "spec.cephfs: deprecated in v1.28, non-functional in v1.31+",
    "photonPersistentDisk": "spec.photonPersistentDisk: deprecated in v1.11, non-functional in v1.16+",
    "scaleIO": "spec.scaleIO: deprecated in v1.16, non-functional in v1.22+",
    "storageos": "spec.storageOS: deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "spec.glusterfs: deprecated in v1.25, non-functional in v1.26+",
    "rbd": "spec.rbd: deprecated in v1.28, non-functional in v1.31+",
}


def create(volume: Object) -> list[str]:
    spec, found = volume["spec"], []
    if BETA_STORAGE_CLASS in (volume["metadata"].get("annotations") or {}):
        found.append(f"metadata.annotations[{BETA_STORAGE_CLASS}]: {SINCE_V1_8}")
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        found.append(RECYCLE)
    required = (spec.get("nodeAffinity") or {}).get("required") or {}
    for index, term in enumerate(required.get("nodeSelectorTerms") or ()):
        found += selector_term(term, f"spec.nodeAffinity.required.nodeSelectorTerms[{index}]", values=False)
    return found + [said for plugin, said in PLUGINS.items() if spec.get(plugin) is not None]


def update(new: Object, old: Object) -> list[str]:
    return create(new)
