"""VolumeAttachments: nothing is attached at first, and a status update leaves the metadata."""

from __future__ import annotations

from picluster.api.strategy.shared import keep_metadata, never_absent
from picluster.api.types import Object

create, _complete = never_absent({"attached": False})


def update_status(new: Object, old: Object) -> None:
    keep_metadata(new, old)
    _complete(new, old)
