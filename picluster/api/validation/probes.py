"""Probes and lifecycle hooks."""

from __future__ import annotations

import re

from picluster.api.errors import FieldError, forbidden_field, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation.common import port_number, port_number_or_name

Failures = list[FieldError]

_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_SCHEMES = ("HTTP", "HTTPS")
_HEADER_RE = re.compile("[-A-Za-z0-9]+")
_HEADER_ERROR = (
    "a valid HTTP header must consist of alphanumeric characters or '-'"
    " (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')"
)


def probes(container: Object, path: str, failures: Failures) -> None:
    """The three probes of a container."""
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(kind)
        if probe is None:
            continue
        _probe(probe, f"{path}.{kind}", failures)
        if kind == "readinessProbe":
            if (grace_s := probe.get("terminationGracePeriodSeconds")) is not None:
                where = f"{path}.{kind}.terminationGracePeriodSeconds"
                failures.append(invalid_value(where, grace_s, "must not be set for readinessProbes"))
        elif probe.get("successThreshold") != 1:
            threshold = probe.get("successThreshold", 0)
            failures.append(invalid_value(f"{path}.{kind}.successThreshold", threshold, "must be 1"))


def lifecycle(hooks: Object, grace_period_s: int | None, path: str, failures: Failures) -> None:
    for name in ("postStart", "preStop"):
        hook = hooks.get(name)
        if hook is not None:
            _handler(hook, _HOOK_HANDLERS, f"{path}.{name}", failures)
            if (sleep := hook.get("sleep")) is not None and grace_period_s is not None:
                _sleep(sleep.get("seconds", 0), grace_period_s, f"{path}.{name}.sleep", failures)


def _probe(probe: Object, path: str, failures: Failures) -> None:
    _handler(probe, _PROBE_HANDLERS, path, failures)
    get = probe.get
    for field in _NUMBERS:
        value = get(field)
        if value is not None and value < 0:
            failures.append(invalid_value(f"{path}.{field}", value, "must be greater than or equal to 0"))
    grace_s = get("terminationGracePeriodSeconds")
    if grace_s is not None and grace_s <= 0:
        failures.append(invalid_value(f"{path}.terminationGracePeriodSeconds", grace_s, "must be greater than 0"))


def _handler(holder: Object, kinds: tuple[str, ...], path: str, failures: Failures) -> None:
    found = False
    for kind in kinds:
        action = holder.get(kind)
        if action is None:
            continue
        where = f"{path}.{kind}"
        if found:
            failures.append(forbidden_field(where, "may not specify more than 1 handler type"))
            continue
        found = True
        if kind == "httpGet":
            _http_get(action, where, failures)
        elif kind == "exec":
            if not action.get("command"):
                failures.append(required(f"{where}.command"))
        elif kind == "tcpSocket":
            port_number_or_name(action.get("port", 0), f"{where}.port", failures)
        elif kind == "grpc":
            port_number(action.get("port", 0), f"{where}.port", failures)
    if not found:
        failures.append(required(path, "must specify a handler type"))


def _http_get(action: Object, path: str, failures: Failures) -> None:
    if not action.get("path"):
        failures.append(required(f"{path}.path"))
    port_number_or_name(action.get("port", 0), f"{path}.port", failures)
    if action.get("scheme") not in _SCHEMES:
        failures.append(not_supported(f"{path}.scheme", action.get("scheme", ""), _SCHEMES))
    for header in action.get("httpHeaders") or ():
        name = header.get("name", "")
        if not _HEADER_RE.fullmatch(name):
            failures.append(invalid_value(f"{path}.httpHeaders", name, _HEADER_ERROR))


def _sleep(seconds: int, grace_period_s: int, path: str, failures: Failures) -> None:
    if not 0 <= seconds <= grace_period_s:
        detail = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_period_s})"
        failures.append(invalid_value(path, seconds, detail))
