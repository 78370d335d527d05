"""Events are stored once, as core/v1, and shown in two versions: the conversion both ways.

The field pairs are those of ``pkg/apis/events/v1/conversion.go`` in Kubernetes.
"""

from __future__ import annotations

from picluster.api.resources import CORE_EVENTS, EVENTS
from picluster.api.types import Object

RENAMED = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
RENAMED_BACK = {new: old for old, new in RENAMED.items()}


def from_stored(event: Object) -> Object:
    """The events.k8s.io/v1 Event of a core one; shares its parts."""
    return _renamed(event, RENAMED, EVENTS.api_version)


def to_stored(event: Object) -> Object:
    """The core/v1 Event of an events.k8s.io one; shares its parts."""
    return _renamed(event, RENAMED_BACK, CORE_EVENTS.api_version)


def _renamed(event: Object, names: dict[str, str], api_version: str) -> Object:
    converted = {names.get(name, name): value for name, value in event.items()}
    converted["apiVersion"] = api_version
    return converted
