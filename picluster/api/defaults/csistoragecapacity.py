"""CSIStorageCapacities have no defaults, but quantities in canonical form."""

from __future__ import annotations

from picluster.api.quantity import canonical
from picluster.api.types import Object


def apply(csistoragecapacity: Object) -> None:
    for field in ("capacity", "maximumVolumeSize"):
        if csistoragecapacity.get(field) is not None:
            csistoragecapacity[field] = canonical(csistoragecapacity[field])
