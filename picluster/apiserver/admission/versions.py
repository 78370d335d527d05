"""An object in the version that a webhook or policy asked for, and back."""

from __future__ import annotations

from collections.abc import Callable

from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import Attributes
from picluster.apiserver.registry.kinds import Kind


class Versions:
    """``kind`` finds what is known of a row."""

    def __init__(self, kind: Callable[[Resource], Kind]) -> None:
        self.kind = kind

    async def shown(self, obj: Object | None, attributes: Attributes, matched: Resource) -> Object | None:
        """``obj`` in the version of ``matched``; bodies of subresources have a version of their own."""
        if obj is None or matched is attributes.resource or not is_whole(obj, attributes):
            return obj
        return await self.kind(matched).read(await self.kind(attributes.resource).keep(obj))

    async def taken_back(self, obj: Object, attributes: Attributes, matched: Resource) -> Object:
        """What ``shown`` gave, in the request's version again."""
        if matched is attributes.resource or not is_whole(obj, attributes):
            return obj
        return await self.kind(attributes.resource).read(await self.kind(matched).keep(obj))


def is_whole(obj: Object, attributes: Attributes) -> bool:
    """Whether ``obj`` is an object of the request's resource, and not the body of a subresource."""
    return bool(obj.get("kind") == attributes.resource.kind)
