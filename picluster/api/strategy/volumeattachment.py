"""VolumeAttachments: nothing is attached at first, and a status update leaves the metadata."""

from __future__ import annotations

from picluster.api.strategy.shared import keep_metadata, status_at_first

create = status_at_first({"attached": False})
update_status = keep_metadata
