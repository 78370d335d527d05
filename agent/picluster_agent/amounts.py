"""Reading amounts in ``agent.yaml``: resource lists, eviction thresholds, durations. Pure; raises ``ValueError``.

Thresholds are the kubelet's (``pkg/kubelet/eviction/helpers.go``): a quantity (``100Mi``) or a share of all there is
(``10%``), by signal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from picluster.api.quantity import nanos, value

SIGNALS = (
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "containerfs.available",
    "containerfs.inodesFree",
    "pid.available",
)
RESERVABLE = ("cpu", "memory", "ephemeral-storage", "pid")
LOG_BYTES_MIN, LOG_BYTES_MAX = 16 << 10, 256 << 20
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_s(text: str) -> float:
    """``1m30s``, as Go writes durations; ``0`` is one too."""
    if text == "0":
        return 0.0
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"must be a duration (30s, 5m, 1h30m), not {text!r}")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def duration(key: str, given: Any) -> str:
    """A duration, checked and kept as it was written."""
    duration_s(str(given))
    return str(given)


def log_size(key: str, given: Any) -> str:
    """A size at which logs are rotated: enough for a line, and far below that where conmon throws one away."""
    try:
        size_bytes = value(str(given))
    except ValueError:
        size_bytes = 0
    if not LOG_BYTES_MIN <= size_bytes <= LOG_BYTES_MAX:
        raise ValueError(f"must be a quantity of bytes from 16Ki to 256Mi, not {given!r}")
    return str(given)


def durations(key: str, given: Any) -> dict[str, str]:
    """Durations by eviction signal."""
    return {signal: duration(key, text) for signal, text in _signals(given).items()}


def resource_list(key: str, given: Any) -> dict[str, str]:
    """Quantities of what may be kept from pods."""
    amounts = _mapping(given, "resources to quantities")
    for name, amount in amounts.items():
        if name not in RESERVABLE:
            raise ValueError(f"may have {', '.join(RESERVABLE)}, not {name!r}")
        _quantity(name, amount)
    return amounts


def thresholds(key: str, given: Any) -> dict[str, str]:
    """Quantities or percentages by eviction signal."""
    amounts = _signals(given)
    for signal, amount in amounts.items():
        if amount.endswith("%"):
            share = amount.removesuffix("%")
            if not share.replace(".", "", 1).isdigit() or not 0 <= float(share) <= 100:
                raise ValueError(f"{signal} must be a quantity or a percentage from 0% to 100%, not {amount!r}")
        else:
            _quantity(signal, amount)
    return amounts


def of(amount: str, capacity: int) -> int:
    """What a threshold means where there is ``capacity``."""
    if amount.endswith("%"):
        return int(capacity * (float(amount.removesuffix("%")) / 100))
    return value(amount)


def _signals(given: Any) -> dict[str, str]:
    amounts = _mapping(given, "eviction signals to amounts")
    if unknown := [signal for signal in amounts if signal not in SIGNALS]:
        raise ValueError(f"may have {', '.join(SIGNALS)}, not {unknown[0]!r}")
    return amounts


def _mapping(given: Any, what: str) -> dict[str, str]:
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise ValueError(f"must map {what}, not {given!r}")
    if wrong := [key for key, amount in given.items() if isinstance(amount, bool | list | dict) or amount is None]:
        raise ValueError(f"{wrong[0]} must be an amount, not {given[wrong[0]]!r}")
    return {key: str(amount) for key, amount in given.items()}


def _quantity(name: str, amount: str) -> None:
    try:
        nano = nanos(amount)
    except ValueError as error:
        raise ValueError(f"{name} must be a quantity (100m, 128Mi), not {amount!r}") from error
    if nano < 0:
        raise ValueError(f"{name} must not be negative, but is {amount!r}")
