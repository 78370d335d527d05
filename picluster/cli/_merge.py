"""The three-way merge of ``apply``: what the manifest says now, what it said last time, what the server holds. PURE.

As ``kubectl apply`` does on the client's side for JSON merge patches: fields that the manifest dropped since last
time are removed, fields it names are set, everything else (defaults, status, other writers) is left alone. Lists are
replaced whole.
"""

from __future__ import annotations

import json
from typing import Any

from picluster.api.types import Object

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def with_last_applied(manifest: Object) -> Object:
    """``manifest`` with itself in the annotation that kubectl uses too, so that both can take turns."""
    metadata = dict(manifest["metadata"])
    annotations = {k: v for k, v in (metadata.pop("annotations", None) or {}).items() if k != LAST_APPLIED}
    bare = {**manifest, "metadata": {**metadata, "annotations": annotations}}
    said = json.dumps(bare, separators=(",", ":"), sort_keys=True) + "\n"
    return {**manifest, "metadata": {**metadata, "annotations": {**annotations, LAST_APPLIED: said}}}


def three_way(last: Object | None, wanted: Object, live: Object) -> Object:
    """The JSON merge patch (RFC 7386) that takes ``live`` to what ``wanted`` says; empty when it is there already."""
    patch: dict[str, Any] = {}
    for key, value in wanted.items():
        previous = (last or {}).get(key)
        if isinstance(value, dict) and isinstance(live.get(key), dict):
            inner = three_way(previous if isinstance(previous, dict) else None, value, live[key])
            if inner:
                patch[key] = inner
        elif value != live.get(key):
            patch[key] = value
    for key in last or {}:
        if key not in wanted and key in live:
            patch[key] = None
    return patch


def last_applied(live: Object) -> Object | None:
    """What the manifest said last time, or ``None`` when nobody noted it."""
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    try:
        said = json.loads(text) if text else None
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
