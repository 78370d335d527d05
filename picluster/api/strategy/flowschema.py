"""FlowSchemas: a generation that counts changes of the spec; a status update leaves the metadata."""

from __future__ import annotations

from picluster.api.strategy.shared import keep_metadata, no_status, spec_changed

create = no_status
changed = spec_changed
update_status = keep_metadata
