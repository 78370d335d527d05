"""Says of a claim that wants to grow who makes it grow (``pkg/controller/volume/expand``).

No volume is grown by Kubernetes itself any more: a driver's external resizer does that, and the node its file system.
"""

from __future__ import annotations

from picluster.api.meta import key_of
from picluster.api.quantity import nanos
from picluster.api.resources import PERSISTENT_VOLUME_CLAIMS
from picluster.api.types import Object
from picluster.api.volumebinding import requested_size
from picluster.runtime import Controller, Manager

WAITING = (
    "Ignoring the PVC: didn't find a plugin capable of expanding the volume; waiting for an external controller to "
    "process this PVC."
)


class ExpandController(Controller):
    """Keys are claims."""

    name = "volume_expand"
    workers = 1

    def setup(self, manager: Manager) -> None:
        self._claims = manager.informer(PERSISTENT_VOLUME_CLAIMS)
        self._claims.add_handler(self._on_claim)

    def _on_claim(self, old: Object | None, new: Object | None) -> None:
        if new is not None and wants_more(new) and (old is None or requested_size(old) < requested_size(new)):
            self.queue.add(key_of(new))

    async def reconcile(self, key: str) -> float | None:
        claim = self._claims.get(key)
        if claim is not None and wants_more(claim):
            self.recorder.event(claim, "Normal", "ExternalExpanding", WAITING)
        return None


def wants_more(claim: Object) -> bool:
    """Whether a bound claim asks for more than it has. PURE."""
    status = claim.get("status") or {}
    has = (status.get("capacity") or {}).get("storage")
    return status.get("phase") == "Bound" and has is not None and nanos(has) < requested_size(claim)
