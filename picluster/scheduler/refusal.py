"""Why a node cannot take a pod."""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    """``reasons`` in Kubernetes' words; ``final`` when removing other pods from the node would not help."""

    reasons: tuple[str, ...]
    final: bool = False
