"""CSI drivers."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("AttachRequired", "boolean", description="attachRequired indicates this CSI volume driver requires an"
           " attach operation, and that Kubernetes should call attach and wait for any attach operation to complete."),
    Column("PodInfoOnMount", "boolean", description="podInfoOnMount indicates this CSI volume driver requires"
           " additional pod information during mount operations."),
    Column("StorageCapacity", "boolean", description="storageCapacity indicates that the CSI volume driver wants pod"
           " scheduling to consider the storage capacity that the driver deployment will report."),
    Column("TokenRequests", description="tokenRequests indicates the CSI driver needs pods' service account tokens."),
    Column("RequiresRepublish", "boolean", description="requiresRepublish indicates the CSI driver wants"
           " NodePublishVolume being periodically called to reflect any possible change in the mounted volume."),
    Column("Modes", description="volumeLifecycleModes defines what kind of volumes this CSI volume driver supports."),
    AGE,
)  # fmt: skip


def row(csidriver: Object, now_s: float) -> list[Any]:
    spec = csidriver.get("spec") or {}
    audiences = [request.get("audience", "") for request in spec.get("tokenRequests") or ()]
    return [
        name_of(csidriver),
        spec.get("attachRequired", True),
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        ",".join(audiences) or "<unset>",
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or ()) or "<none>",
        age(csidriver, now_s),
    ]


PRINTER = Printer(COLUMNS, row)
