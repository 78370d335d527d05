"""MutatingWebhookConfigurations: a generation that counts changes of the webhooks."""

from __future__ import annotations

from picluster.api.strategy.validatingwebhookconfiguration import changed

__all__ = ["changed"]
