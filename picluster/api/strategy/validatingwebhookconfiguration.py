"""ValidatingWebhookConfigurations: a generation that counts changes of the webhooks."""

from __future__ import annotations

from picluster.api.types import Object


def changed(new: Object, old: Object) -> bool:
    return bool((new.get("webhooks") or []) != (old.get("webhooks") or []))
