"""Who was heard of when: leases seen changing, by one monotonic clock. PURE."""

from __future__ import annotations

from dataclasses import dataclass

from picluster.api.types import Object


@dataclass(slots=True)
class _Beat:
    marker: str
    seen_s: float


class Freshness:
    """``canary`` names a lease that this process renews itself, by the same way as the nodes renew theirs.

    When the canary is not seen changing either, the trouble is ours (the API server is away, its disk stalls, the watch
    broke): nobody counts as silent then, and everybody has a full grace from when the canary is seen again.
    """

    def __init__(self, canary: str, blind_after_s: float) -> None:
        self._canary = canary
        self._blind_after_s = blind_after_s
        self._beats: dict[str, _Beat] = {}
        self._canary_seen_s: float | None = None
        self._grace_from_s = 0.0

    def expect(self, node: str, now_s: float) -> None:
        """A node that exists is silent from the moment on that it is expected, not from ever."""
        self._beats.setdefault(node, _Beat("", now_s))

    def see(self, lease: Object, now_s: float) -> None:
        """A lease as the watch told it; only a changed renewTime is a sign of life."""
        node = lease["metadata"]["name"]
        if node == self._canary:
            if self._is_blind(now_s):
                self._grace_from_s = now_s
            self._canary_seen_s = now_s
            return
        spec = lease.get("spec") or {}
        marker = f"{spec.get('holderIdentity')} {spec.get('renewTime')}"
        beat = self._beats.get(node)
        if beat is None or beat.marker != marker:
            self._beats[node] = _Beat(marker, now_s)

    def forget(self, node: str) -> None:
        self._beats.pop(node, None)

    def silent_s(self, node: str, now_s: float) -> float:
        """Seconds since the last sign of life; 0 for a node that is not expected, and while we are blind."""
        beat = self._beats.get(node)
        if beat is None or self._is_blind(now_s):
            return 0.0
        return now_s - max(beat.seen_s, self._grace_from_s)

    def _is_blind(self, now_s: float) -> bool:
        return self._canary_seen_s is None or now_s - self._canary_seen_s > self._blind_after_s
