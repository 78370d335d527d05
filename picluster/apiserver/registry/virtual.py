"""Kinds that are looked at but not stored: what there is of them is found out when somebody asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import orjson

from picluster.api import errors
from picluster.api.resources import Resource
from picluster.api.selectors import parse_fields, parse_labels
from picluster.api.types import Object

Find = Callable[[str, str], Awaitable[list[Object]]]
"""What there is of a kind at this moment: in a namespace, or in all for an empty one; of a name, or of all."""


async def get(find: Find, resource: Resource, namespace: str, name: str) -> bytes:
    """One object's wire bytes; raises ``ApiError`` 404."""
    for obj in await find(namespace, name):
        if obj["metadata"]["name"] == name:
            return orjson.dumps(obj)
    raise errors.not_found(resource.group, resource.plural, name)


async def select(find: Find, resource: Resource, namespace: str, query: Mapping[str, str]) -> list[bytes]:
    """The wire bytes of what the selectors of ``query`` select; raises ``ApiError`` 400."""
    labels = parse_labels(query.get("labelSelector", ""))
    fields = parse_fields(resource, query.get("fieldSelector", ""))
    found = await find(namespace, "")
    return [orjson.dumps(obj) for obj in found if labels.matches_object(obj) and fields.matches_object(obj)]


def component_statuses(checks: Mapping[str, Callable[[], bool]]) -> Find:
    """The health of the server's own parts as ComponentStatuses, by name."""

    async def find(namespace: str, name: str) -> list[Object]:
        return [_component(name, healthy=check()) for name, check in checks.items()]

    return find


def _component(name: str, *, healthy: bool) -> Object:
    said = {"message": "ok"} if healthy else {"error": f"{name} is not ready"}
    return {
        "kind": "ComponentStatus",
        "apiVersion": "v1",
        "metadata": {"name": name, "creationTimestamp": None},
        "conditions": [{"type": "Healthy", "status": "True" if healthy else "False", **said}],
    }
