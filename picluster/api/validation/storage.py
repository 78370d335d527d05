"""What storage kinds have in common. Source: ``pkg/apis/storage/validation``."""

from __future__ import annotations

from collections.abc import Mapping

from picluster.api import names
from picluster.api.errors import FieldError, invalid_value, required, too_long
from picluster.api.validation.common import named

Failures = list[FieldError]

PARAMETERS_MAX = 512
PARAMETERS_MAX_BYTES = 256 * 1024
DRIVER_NAME_MAX = 63


def provisioner(value: str | None, path: str, failures: Failures) -> None:
    if not value:
        failures.append(required(path))
    else:
        named(names.qualified_name(value.lower()), path, value, failures)


def parameters(values: Mapping[str, str] | None, path: str, failures: Failures, *, may_be_empty: bool) -> None:
    values = values or {}
    if len(values) > PARAMETERS_MAX:
        failures.append(too_long(path, PARAMETERS_MAX))
        return
    if "" in values:
        failures.append(invalid_value(path, "", "field can not be empty."))
    if sum(len(key.encode()) + len(value.encode()) for key, value in values.items()) > PARAMETERS_MAX_BYTES:
        failures.append(too_long(path, PARAMETERS_MAX_BYTES))
    if not values and not may_be_empty:
        failures.append(required(path, "must contain at least one key/value pair"))


def driver_name(name: str | None, path: str, failures: Failures) -> None:
    """The name of a CSI driver; letters may be large."""
    if not name:
        failures.append(required(path))
        return
    if len(name) > DRIVER_NAME_MAX:
        failures.append(too_long(path, DRIVER_NAME_MAX))
    named(names.dns1123_subdomain(name.lower()), path, name, failures)
