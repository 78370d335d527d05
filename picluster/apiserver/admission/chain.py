"""The chain: which plugins run, and in which order."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver.authn import User

CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"


@dataclass(slots=True)
class Attributes:
    """What is about to happen. ``obj`` is ``None`` for deletions, ``old`` for creations."""

    user: User
    operation: str
    resource: Resource
    subresource: str
    namespace: str
    name: str
    obj: Object | None
    old: Object | None


class Plugin(Protocol):
    """``name`` is Kubernetes' name of the plugin, as ``--disable-admission-plugins`` takes it."""

    @property
    def name(self) -> str: ...

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        """Whether ``admit`` is to be called for these at all; asked once for each combination."""
        ...

    async def admit(self, attributes: Attributes) -> None:
        """Change ``attributes.obj`` in place, or raise ``ApiError``."""
        ...


class Chain:
    def __init__(self, plugins: Collection[Plugin], disabled: Collection[str] = ()) -> None:
        self._plugins = tuple(plugin for plugin in plugins if plugin.name not in disabled)
        self._concerned: dict[tuple[str, str, str], tuple[Plugin, ...]] = {}

    async def admit(self, attributes: Attributes) -> None:
        for plugin in self._for(attributes.resource, attributes.subresource, attributes.operation):
            await plugin.admit(attributes)

    def _for(self, resource: Resource, subresource: str, operation: str) -> tuple[Plugin, ...]:
        key = (resource.id, subresource, operation)
        found = self._concerned.get(key)
        if found is None:
            found = tuple(plugin for plugin in self._plugins if plugin.concerns(resource, subresource, operation))
            self._concerned[key] = found
        return found
