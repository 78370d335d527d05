"""What the verbs share: the store, admission, time and the allocators; and the request they serve."""

from __future__ import annotations

from dataclasses import dataclass, field

from picluster.api import schema
from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import Attributes, Chain
from picluster.apiserver.authn import User
from picluster.apiserver.registry.services import ServiceAllocator
from picluster.apiserver.registry.store import Store
from picluster.util.clock import Clock


@dataclass(slots=True)
class Registry:
    store: Store
    admission: Chain
    services: ServiceAllocator
    clock: Clock


@dataclass(slots=True)
class Write:
    """Who writes what, and how; ``warnings`` go into the answer's headers."""

    user: User
    resource: Resource
    namespace: str
    name: str
    subresource: str = ""
    dry_run: bool = False
    field_validation: str = "Warn"
    warnings: list[str] = field(default_factory=list)

    def attributes(self, operation: str, obj: Object | None, old: Object | None) -> Attributes:
        return Attributes(self.user, operation, self.resource, self.subresource, self.namespace, self.name, obj, old)


def read_object(write: Write, resource: Resource, obj: Object, body: bytes | None) -> None:
    """Bring a decoded body into the form it is kept in, in place, and deal with fields that nobody knows.

    ``body`` is the JSON it came from, if any, in which doubled fields are looked for. Raises ``ApiError`` 400.
    """
    strict = write.field_validation != "Ignore"
    doubled = schema.duplicate_fields(body, obj) if strict and body is not None else []
    schema.identify(resource, obj)
    unknown = schema.conform(resource, obj)
    if not strict:
        return
    if not unknown and not doubled:
        return
    if write.field_validation == "Strict":
        raise schema.strict_error(resource, unknown, doubled)
    write.warnings.extend(f'unknown field "{path}"' for path in unknown)
    write.warnings.extend(f'duplicate field "{path}"' for path in doubled)
