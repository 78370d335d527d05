"""ValidatingWebhookConfigurations."""

from __future__ import annotations

from picluster.api.validation.webhooks import create, update

validate = create
validate_update = update
