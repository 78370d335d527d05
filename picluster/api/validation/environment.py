"""The environment of a container."""

from __future__ import annotations

import re

from picluster.api import names, quantity
from picluster.api.errors import FieldError, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation.common import named

Failures = list[FieldError]

ENV_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP",
    "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_RESOURCE_FIELDS = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
    "requests.memory",
)  # fmt: skip
_KNOWN_FIELDS = frozenset({*ENV_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "status.phase"})
_HUGE_PAGES = ("requests.hugepages-", "limits.hugepages-")
_SUBSCRIPT_RE = re.compile(r"(.+)\['(.+)'\]")
_CPU_DIVISORS = ("1m", "1")
_SIZE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_ONE_SOURCE = "may not have more than one field specified at a time"


def variables(env: list[Object], path: str, failures: Failures) -> None:
    for index, variable in enumerate(env):
        name = variable.get("name")
        if not name:
            failures.append(required(f"{path}[{index}].name"))
        else:
            named(names.env_var_name(name), f"{path}[{index}].name", name, failures)
        source = variable.get("valueFrom")
        if source is not None:
            _value_from(source, variable.get("value"), f"{path}[{index}].valueFrom", failures)


def variables_from(sources: list[Object], path: str, failures: Failures) -> None:
    for index, source in enumerate(sources):
        if prefix := source.get("prefix"):
            named(names.env_var_name(prefix), f"{path}[{index}].prefix", prefix, failures)
        given = [kind for kind in ("configMapRef", "secretRef") if source.get(kind) is not None]
        for kind in given:
            name = source[kind].get("name")
            if not name:
                failures.append(required(f"{path}[{index}].{kind}.name"))
            else:
                named(names.dns1123_subdomain(name), f"{path}[{index}].{kind}.name", name, failures)
        if not given:
            failures.append(invalid_value(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            failures.append(invalid_value(path, "", _ONE_SOURCE))


def object_field(selector: Object, allowed: tuple[str, ...], path: str, failures: Failures) -> None:
    """A ``fieldRef``: which field of the pod a variable or a file shows."""
    field = selector.get("fieldPath")
    if not selector.get("apiVersion"):
        failures.append(required(f"{path}.apiVersion"))
    elif not field:
        failures.append(required(f"{path}.fieldPath"))
    elif subscript := _SUBSCRIPT_RE.fullmatch(field):
        base, key = subscript.groups()
        if base in ("metadata.annotations", "metadata.labels"):
            key = key.lower() if base == "metadata.annotations" else key
            named(names.qualified_name(key), path, key, failures)
        else:
            failures.append(invalid_value(path, base, "does not support subscript"))
    elif field not in _KNOWN_FIELDS:
        detail = f"error converting fieldPath: field label not supported: {field}"
        failures.append(invalid_value(f"{path}.fieldPath", field, detail))
    elif field not in allowed:
        failures.append(not_supported(f"{path}.fieldPath", field, allowed))


def resource_field(selector: Object, path: str, failures: Failures, *, in_volume: bool = False) -> None:
    """A ``resourceFieldRef``: which request or limit of a container a variable or a file shows."""
    resource = selector.get("resource", "")
    if in_volume and not selector.get("containerName"):
        failures.append(required(f"{path}.containerName"))
    elif not resource:
        failures.append(required(f"{path}.resource"))
    elif resource not in _RESOURCE_FIELDS and not resource.startswith(_HUGE_PAGES):
        failures.append(not_supported(f"{path}.resource", resource, _RESOURCE_FIELDS))
    divisor = selector.get("divisor", "0")
    if quantity.nanos(divisor) == 0:
        return
    if resource.endswith(".cpu"):
        if divisor not in _CPU_DIVISORS:
            detail = "only divisor's values 1m and 1 are supported with the cpu resource"
            failures.append(invalid_value(f"{path}.divisor", resource, detail))
    elif divisor not in _SIZE_DIVISORS:
        kind = resource.partition(".")[2]
        called = "local ephemeral storage" if kind == "ephemeral-storage" else kind.partition("-")[0]
        detail = f"only divisor's values {', '.join(_SIZE_DIVISORS)} are supported with the {called} resource"
        failures.append(invalid_value(f"{path}.divisor", resource, detail))


def _value_from(source: Object, value: str | None, path: str, failures: Failures) -> None:
    given = 0
    for kind in _SOURCES:
        selector = source.get(kind)
        if selector is None:
            continue
        given += 1
        if kind == "fieldRef":
            object_field(selector, ENV_FIELDS, f"{path}.fieldRef", failures)
        elif kind == "resourceFieldRef":
            resource_field(selector, f"{path}.resourceFieldRef", failures)
        elif kind != "fileKeyRef":
            _key_selector(selector, f"{path}.{kind}", failures)
    if not given:
        listed = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        failures.append(invalid_value(path, "", listed))
    elif value:
        failures.append(invalid_value(path, "", "may not be specified when `value` is not empty"))
    elif given > 1:
        failures.append(invalid_value(path, "", _ONE_SOURCE))


def _key_selector(selector: Object, path: str, failures: Failures) -> None:
    name, key = selector.get("name", ""), selector.get("key")
    named(names.dns1123_subdomain(name), f"{path}.name", name, failures)
    if not key:
        failures.append(required(f"{path}.key"))
    else:
        named(names.config_map_key(key), f"{path}.key", key, failures)
