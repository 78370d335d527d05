"""Which images may go: unused ones, the longest unused first (``image_gc_manager.go``). PURE.

When an image was used last is remembered in memory alone; an agent that starts counts from its start. Images of
``localhost`` can be pulled from nowhere, so they are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from picluster.api.types import Object

PINNED_PREFIX = "localhost/"
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Known:
    """``detected_s`` is when it was first seen here, 0 for what was here before this agent."""

    id: str
    size_bytes: int
    detected_s: float
    used_s: float
    in_use: bool = False
    pinned: bool = False


def detect(
    listed: Iterable[Object], used: frozenset[str], before: Mapping[str, Known], now_s: float, *, first: bool
) -> dict[str, Known]:
    """Podman's list as it is known now; ``used`` are ids of images that containers run from."""
    known = {}
    for image in listed:
        key = str(image["Id"])
        old = before.get(key)
        in_use = key in used or bool(image.get("Containers"))
        tags = image.get("RepoTags") or image.get("Names") or ()
        known[key] = Known(
            key,
            int(image.get("Size") or 0),
            old.detected_s if old else (0.0 if first else now_s),
            now_s if in_use else (old.used_s if old else 0.0),
            in_use,
            bool(tags) and all(str(tag).startswith(PINNED_PREFIX) for tag in tags),
        )
    return known


def removable(known: Iterable[Known], now_s: float, minimum_age_s: float) -> list[Known]:
    """Unused ones that have been here for a while, the longest unused first."""
    free = [one for one in known if not one.in_use and not one.pinned and now_s - one.detected_s >= minimum_age_s]
    return sorted(free, key=lambda one: (one.used_s, one.detected_s))


def too_old(known: Iterable[Known], now_s: float, maximum_age_s: float, started_s: float) -> list[Known]:
    """Unused for longer than ``maximum_age_s`` (0 is for ever), as far as this agent can know."""
    if maximum_age_s <= 0:
        return []
    return [one for one in removable(known, now_s, 0.0) if now_s - max(one.used_s, started_s) > maximum_age_s]


def to_free_bytes(capacity: int, available: int, high: int, low: int) -> int:
    """How much must go so that no more than ``low`` percent are in use; nothing below ``high`` percent."""
    if capacity <= 0 or used_percent(capacity, available) < high:
        return 0
    return max(capacity * (100 - low) // 100 - available, 0)


def used_percent(capacity: int, available: int) -> int:
    return 100 - available * 100 // capacity


def insufficient(capacity: int, available: int, freed: int) -> str:
    """The kubelet's FreeDiskSpaceFailed."""
    return (
        f"Insufficient free disk space on the node's image filesystem ({used_percent(capacity, available)}% of "
        f"{capacity / GIB:.1f} GiB used). Failed to free sufficient space by deleting unused images (freed {freed} "
        "bytes). Investigate disk usage, as it could be used by active images, logs, volumes, or other data."
    )
