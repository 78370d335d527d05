"""The chain: which plugins run, and in which order."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver.authn import User

Combination = tuple[Resource, str, str]
CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"


@dataclass(slots=True)
class Attributes:
    """What is about to happen. ``obj`` is ``None`` for deletions, ``old`` for creations.

    ``options`` is the CreateOptions, UpdateOptions, PatchOptions or DeleteOptions of the request; what a plugin puts
    into ``warnings`` the client is told, and ``annotations`` are for the request's audit event. ``again`` is for
    plugins that may change an object twice.
    """

    user: User
    operation: str
    resource: Resource
    subresource: str
    namespace: str
    name: str
    obj: Object | None
    old: Object | None
    dry_run: bool = False
    options: Object = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    again: Reinvocation | None = None


class Reinvocation:
    """Whether the mutating plugins run once more, since one of them changed what an earlier one had seen.

    Source: ``admission/reinvocation.go`` in ``k8s.io/apiserver``. ``running`` says that this is the second time;
    ``contexts`` is what each plugin keeps between the two, by its name.
    """

    __slots__ = ("contexts", "running", "wanted")

    def __init__(self) -> None:
        self.wanted = False
        self.running = False
        self.contexts: dict[str, Any] = {}


def reinvocation(attributes: Attributes) -> Reinvocation:
    """That of the request, made when first asked for."""
    if attributes.again is None:
        attributes.again = Reinvocation()
    return attributes.again


class Plugin(Protocol):
    """What both kinds of plugin have; ``name`` is Kubernetes' name, as ``--disable-admission-plugins`` takes it."""

    @property
    def name(self) -> str: ...

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        """Whether to call the plugin for these at all; asked once for each combination."""
        ...


@runtime_checkable
class Mutating(Plugin, Protocol):
    """Is asked before the object is checked."""

    async def admit(self, attributes: Attributes) -> None:
        """Change ``attributes.obj`` in place, or raise ``ApiError``."""
        ...


@runtime_checkable
class Validating(Plugin, Protocol):
    """Is asked last, when the object is as it will be stored."""

    async def validate(self, attributes: Attributes) -> None:
        """Raise ``ApiError`` to refuse; ``attributes.obj`` stays as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Basis:
    """What else than the object a plugin's decision depends on.

    Of equal objects it says the same as long as nothing changes of the resources in ``relies_on``, and there is nothing
    of those in ``only_without``: each of these would have to be asked anew for each object.
    """

    relies_on: tuple[Resource, ...] = ()
    only_without: tuple[Resource, ...] = ()

    def all(self) -> tuple[Resource, ...]:
        return self.relies_on + self.only_without


class Chain:
    """A plugin may be of both kinds; each phase keeps the order in which they are given."""

    def __init__(self, plugins: Collection[Plugin], disabled: Collection[str] = ()) -> None:
        self._plugins = tuple(plugin for plugin in plugins if plugin.name not in disabled)
        self._all_mutating = tuple(plugin for plugin in self._plugins if isinstance(plugin, Mutating))
        self._all_validating = tuple(plugin for plugin in self._plugins if isinstance(plugin, Validating))
        self._mutating: dict[Combination, tuple[Mutating, ...]] = {}
        self._validating: dict[Combination, tuple[Validating, ...]] = {}

    async def admit(self, attributes: Attributes) -> None:
        key = (attributes.resource, attributes.subresource, attributes.operation)
        plugins = self._mutating.get(key)
        if plugins is None:
            plugins = self._mutating[key] = tuple(p for p in self._all_mutating if p.concerns(*key))
        for plugin in plugins:
            await plugin.admit(attributes)
        if attributes.again is not None and attributes.again.wanted:
            attributes.again.running = True
            for plugin in plugins:
                await plugin.admit(attributes)

    async def validate(self, attributes: Attributes) -> None:
        key = (attributes.resource, attributes.subresource, attributes.operation)
        plugins = self._validating.get(key)
        if plugins is None:
            plugins = self._validating[key] = tuple(p for p in self._all_validating if p.concerns(*key))
        for plugin in plugins:
            await plugin.validate(attributes)

    def basis(self, resource: Resource, operation: str) -> Basis | None:
        """What the decision of all plugins on an object depends on; ``None`` when one of them does not say.

        A plugin says it by an attribute ``basis``. Holds for everybody who is no node.
        """
        found = [getattr(plugin, "basis", None) for plugin in self._concerned((resource, "", operation))]
        if None in found:
            return None
        return Basis(
            tuple(each for basis in found if basis is not None for each in basis.relies_on),
            tuple(each for basis in found if basis is not None for each in basis.only_without),
        )

    def _concerned(self, key: Combination) -> tuple[Plugin, ...]:
        return tuple(plugin for plugin in self._plugins if plugin.concerns(*key))
