"""Defaults of Secrets."""

from __future__ import annotations

from base64 import b64encode

from picluster.api.types import Object


def apply(secret: Object) -> None:
    """``stringData`` is for writing only: it goes into ``data`` and is never read back."""
    if not secret.get("type"):
        secret["type"] = "Opaque"
    plain = secret.pop("stringData", None)
    if plain:
        data = secret.setdefault("data", {})
        data.update({key: b64encode(text.encode()).decode() for key, text in plain.items()})
