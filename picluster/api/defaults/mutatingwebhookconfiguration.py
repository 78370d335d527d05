"""Defaults of MutatingWebhookConfigurations."""

from __future__ import annotations

from picluster.api.defaults import admission
from picluster.api.types import Object


def apply(configuration: Object) -> None:
    for hook in configuration.get("webhooks") or ():
        admission.webhook(hook)
        hook.setdefault("reinvocationPolicy", "Never")
