"""What the verbs need to know of a kind; the built-in ones know it from the tables and files of ``picluster.api``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple, Protocol

import orjson

from picluster.api import conversion, defaults, schema, strategy, validation, warnings
from picluster.api.apply import resetfields, types
from picluster.api.apply.fieldsets import FieldSet
from picluster.api.apply.types import Type
from picluster.api.errors import FieldError
from picluster.api.resources import BY_KIND, Resource
from picluster.api.types import Object
from picluster.apiserver import tables
from picluster.apiserver.tables.columns import Printer


class Kind(Protocol):
    """How objects of one resource are read, filled, checked and kept. Nothing here waits."""

    def identify(self, obj: Any) -> None:
        """Fill ``apiVersion`` and ``kind``; raises ``ApiError`` 400 if they are those of something else."""
        ...

    def conform(self, obj: Object) -> list[str]:
        """Bring ``obj`` into its kept form, in place; the paths of unknown fields; raises ``ApiError`` 400."""
        ...

    def default(self, obj: Object) -> None: ...

    def prepare_create(self, obj: Object, now: str) -> None: ...

    def prepare_update(self, new: Object, old: Object, subresource: str | None) -> None: ...

    def create_failures(self, obj: Object) -> list[FieldError]: ...

    def update_failures(self, new: Object, old: Object, subresource: str | None) -> list[FieldError]: ...

    def create_warnings(self, obj: Object) -> Sequence[str]:
        """What the client is told of an object that is valid."""
        ...

    def update_warnings(self, new: Object, old: Object, subresource: str | None) -> Sequence[str]: ...

    def to_stored(self, obj: Object) -> Object: ...

    def from_stored(self, obj: Object) -> Object: ...

    def replicas_path(self) -> tuple[str, ...]:
        """The fields on the way to what a Scale scales."""
        ...

    def type(self) -> Type:
        """How the fields of an object are owned, by server-side apply."""
        ...

    def ignored(self, subresource: str) -> FieldSet:
        """The trees that a write to ``subresource`` leaves as they are; empty for the object itself."""
        ...

    def in_version(self, obj: Object, api_version: str) -> tuple[Type, Object] | None:
        """``obj`` in another served version, and its type there; ``None`` if that is not served."""
        ...

    async def keep(self, obj: Object) -> Object:
        """``to_stored``, also where a webhook converts."""
        ...

    async def read(self, obj: Object) -> Object:
        """``from_stored``, also where a webhook converts."""
        ...

    def get_scale(self, obj: Object) -> Object:
        """The ``autoscaling/v1`` Scale of ``obj``."""
        ...

    def apply_scale(self, obj: Object, wanted: Object) -> Object:
        """A copy of ``obj`` with the replicas of a Scale."""
        ...

    def view(self) -> View:
        """How stored objects become what is shown."""
        ...


class View(NamedTuple):
    """``convert`` makes the wire bytes of this version of stored ones; ``fetch`` does so where a webhook is asked.

    Neither is there when objects are shown as they are stored.
    """

    printer: Callable[[], Printer]
    convert: Callable[[bytes], bytes] | None = None
    fetch: Callable[[Sequence[bytes]], Awaitable[list[bytes]]] | None = None
    warning: str = ""
    """What everybody is told who asks for this version."""


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A kind of the resource table."""

    resource: Resource

    def identify(self, obj: Any) -> None:
        schema.identify(self.resource, obj)

    def conform(self, obj: Object) -> list[str]:
        return schema.conform(self.resource, obj)

    def default(self, obj: Object) -> None:
        defaults.apply(self.resource, obj)

    def prepare_create(self, obj: Object, now: str) -> None:
        strategy.prepare_create(self.resource, obj, now)

    def prepare_update(self, new: Object, old: Object, subresource: str | None) -> None:
        strategy.prepare_update(self.resource, new, old, subresource)

    def create_failures(self, obj: Object) -> list[FieldError]:
        return validation.create(self.resource, obj)

    def update_failures(self, new: Object, old: Object, subresource: str | None) -> list[FieldError]:
        if subresource == "finalize":
            return validation.finalize(new, old)
        if subresource == "status":
            return validation.status(self.resource, new, old)
        if subresource:
            return validation.subresource(self.resource, subresource, new, old)
        return validation.update(self.resource, new, old)

    def create_warnings(self, obj: Object) -> Sequence[str]:
        return warnings.of_create(self.resource, obj)

    def update_warnings(self, new: Object, old: Object, subresource: str | None) -> Sequence[str]:
        return warnings.of_update(self.resource, new, old, subresource)

    def to_stored(self, obj: Object) -> Object:
        return conversion.to_stored(self.resource, obj)

    def from_stored(self, obj: Object) -> Object:
        return conversion.from_stored(self.resource, obj)

    def replicas_path(self) -> tuple[str, ...]:
        return ("spec", "replicas")

    def type(self) -> Type:
        return types.builtin(self.resource.schema)

    def ignored(self, subresource: str) -> FieldSet:
        return resetfields.of(self.resource, subresource)

    def in_version(self, obj: Object, api_version: str) -> tuple[Type, Object] | None:
        row = BY_KIND.get((api_version, self.resource.kind))
        if row is None or row.stored_as != self.resource.stored_as:
            return None
        return types.builtin(row.schema), conversion.from_stored(row, self.to_stored(obj))

    async def keep(self, obj: Object) -> Object:
        return conversion.to_stored(self.resource, obj)

    async def read(self, obj: Object) -> Object:
        return conversion.from_stored(self.resource, obj)

    def get_scale(self, obj: Object) -> Object:
        return strategy.get_scale(obj)

    def apply_scale(self, obj: Object, wanted: Object) -> Object:
        return strategy.apply_scale(obj, wanted)

    def view(self) -> View:
        return _view(self.resource)


@cache
def _view(resource: Resource) -> View:
    printer = partial(tables.printer, resource)
    if not conversion.converts(resource):
        return View(printer)
    return View(printer, lambda wire: orjson.dumps(conversion.from_stored(resource, orjson.loads(wire))))
