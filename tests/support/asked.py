"""Objects as the write path makes them, and what validation says of them, without a server."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from picluster.api import defaults, strategy, validation
from picluster.api.resources import Resource
from picluster.api.types import Object

NOW = "2026-01-31T12:00:00Z"


def whole(resource: Resource, body: Object, name: str = "a") -> Object:
    """A new object, with its defaults, as validation sees it; ``body`` may have metadata of its own."""
    obj = deepcopy(body)
    scope: Object = {"namespace": "default"} if resource.namespaced else {}
    obj["metadata"] = {"name": name, **scope, **obj.get("metadata", {})}
    defaults.apply(resource, obj)
    return strategy.prepare_create(resource, obj, NOW)


def failures(resource: Resource, body: Object, name: str = "a") -> list[str]:
    return [str(failure) for failure in validation.create(resource, whole(resource, body, name))]


def changed(resource: Resource, before: Object, change: Object, subresource: str | None = None) -> Object:
    """The object that ``change``, merged into a new ``before``, makes."""
    return _changed(whole(resource, before), resource, change, subresource)


def update_failures(resource: Resource, before: Object, change: Object, *, status: bool = False) -> list[str]:
    """What is said of merging ``change`` into a new ``before``."""
    old = whole(resource, before)
    new = _changed(old, resource, change, "status" if status else None)
    check: Any = validation.status if status else validation.update
    return [str(failure) for failure in check(resource, new, old)]


def _changed(old: Object, resource: Resource, change: Object, subresource: str | None) -> Object:
    new = _merged(deepcopy(old), change)
    defaults.apply(resource, new)
    return strategy.prepare_update(resource, new, old, subresource)


def _merged(target: Any, change: Any) -> Any:
    if not isinstance(change, dict) or not isinstance(target, dict):
        return deepcopy(change)
    for field, value in change.items():
        if value is None:
            target.pop(field, None)
        else:
            target[field] = _merged(target.get(field), value)
    return target
