"""VolumeAttachments: no status at first, and a status update leaves the metadata."""

from __future__ import annotations

from picluster.api.strategy.shared import keep_metadata, no_status

create = no_status
update_status = keep_metadata
