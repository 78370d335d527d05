"""``status.images``: names and sizes of what is stored here, the largest first. PURE."""

from __future__ import annotations

from collections.abc import Sequence

from picluster.api.types import Object

IMAGES_MAX = 50
NAMES_MAX = 5


def images(listed: Sequence[Object]) -> list[Object]:
    """From Podman's list; digests before tags, as the kubelet has them (``nodestatus.Images``)."""
    found: list[Object] = []
    for image in listed:
        names = [*(image.get("RepoDigests") or ()), *(image.get("RepoTags") or image.get("Names") or ())]
        if names:
            found.append({"names": list(dict.fromkeys(names))[:NAMES_MAX], "sizeBytes": int(image.get("Size") or 0)})
    return sorted(found, key=lambda one: -one["sizeBytes"])[:IMAGES_MAX]
