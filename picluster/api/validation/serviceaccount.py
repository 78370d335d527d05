"""ServiceAccounts."""

from __future__ import annotations

from picluster.api.errors import FieldError
from picluster.api.types import Object
from picluster.api.validation import metadata

Failures = list[FieldError]


def validate(account: Object) -> Failures:
    failures: Failures = []
    metadata.validate(account["metadata"], failures, namespaced=True, name=metadata.subdomain)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    return failures
