"""What the verbs share: the store, admission, time and the allocators; and the request they serve."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from picluster.api import errors, schema
from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CONNECT, CREATE, DELETE, UPDATE, Attributes, Chain
from picluster.apiserver.authn import User
from picluster.apiserver.authn.tokenkeys import TokenKeys
from picluster.apiserver.registry.casts import Casts
from picluster.apiserver.registry.kinds import BuiltIn, Kind
from picluster.apiserver.registry.services import ServiceAllocator
from picluster.apiserver.registry.shapes import Shapes
from picluster.apiserver.registry.store import Store
from picluster.apiserver.registry.virtual import Find
from picluster.util.clock import Clock

SERVER = "kube-apiserver"
"""The manager of what the API server writes on its own."""
OPTIONS: dict[str, Object] = {
    **{
        operation: {"kind": f"{operation.capitalize()}Options", "apiVersion": "meta.k8s.io/v1"}
        for operation in (CREATE, UPDATE, DELETE)
    },
    CONNECT: {},
}
"""What admission is told of a request's options when the client gave none."""


@dataclass(slots=True)
class Registry:
    """``kinds`` are those that are not built in, or have been asked for already, by their row.

    ``reviews`` answer what is asked and never stored, ``virtual`` find what is looked at and not stored; ``guards`` may
    refuse a write before admission sees it. Without ``token_keys`` no service account tokens are made.
    """

    store: Store
    admission: Chain
    services: ServiceAllocator
    clock: Clock
    kinds: dict[Resource, Kind] = field(default_factory=dict)
    reviews: dict[Resource, Review] = field(default_factory=dict)
    virtual: dict[Resource, Find] = field(default_factory=dict)
    guards: dict[Resource, Guard] = field(default_factory=dict)
    token_keys: TokenKeys | None = None
    shapes: Shapes = field(default_factory=Shapes)
    casts: Casts = field(init=False)

    def __post_init__(self) -> None:
        self.casts = Casts(self.store.cache, self.admission)

    def kind(self, resource: Resource) -> Kind:
        found = self.kinds.get(resource)
        if found is None:
            if not resource.schema:
                return self._newest(resource)
            found = self.kinds[resource] = BuiltIn(resource)
        return found

    def _newest(self, resource: Resource) -> Kind:
        """The kind of a custom resource whose definition has changed since the request came; 404 if it has gone."""
        wanted = (resource.group, resource.version, resource.plural)
        for row, kind in self.kinds.items():
            if (row.group, row.version, row.plural) == wanted:
                return kind
        raise errors.path_not_found()


@dataclass(slots=True)
class Write:
    """Who writes what, and how; ``warnings`` go into the answer's headers.

    ``said`` is what a strict reader says of the body as a text, whatever its fields are. ``options`` are the fields of
    the CreateOptions, UpdateOptions, PatchOptions or DeleteOptions that the client gave.
    ``manager`` owns what is written, and with ``force`` takes what others own of it. ``verb`` is the request's,
    ``annotations`` are for its audit event.
    """

    user: User
    resource: Resource
    namespace: str
    name: str
    subresource: str = ""
    dry_run: bool = False
    field_validation: str = "Warn"
    warnings: list[str] = field(default_factory=list)
    options: Object = field(default_factory=dict)
    manager: str = SERVER
    force: bool = False
    verb: str = "update"
    annotations: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def attributes(self, operation: str, obj: Object | None, old: Object | None) -> Attributes:
        options = OPTIONS[operation] if not self.options else {**OPTIONS[operation], **self.options}
        return Attributes(
            self.user, operation, self.resource, self.subresource, self.namespace, self.name, obj, old, self.dry_run,
            options, self.warnings, self.annotations,
        )  # fmt: skip


Guard = Callable[[Write, Object, Object | None], None]
"""Gets what is to be written, and what is there (``None`` for a creation); raises ``ApiError`` to refuse."""
Review = Callable[[Write, Object], Awaitable[Object]]
"""Takes a question, in its kept form, and gives it back with its answer; raises ``ApiError``."""


def read_object(write: Write, kind: Kind, obj: Object, body: bytes | None) -> None:
    """Bring a decoded body into the form it is kept in, in place, and deal with fields that nobody knows.

    ``body`` is the JSON it came from, if any, in which doubled fields are looked for. Raises ``ApiError`` 400.
    """
    doubled = schema.duplicate_fields(body, obj) if body is not None and write.field_validation != "Ignore" else []
    read_once(write, kind, obj, doubled, body, write.said)


def read_once(
    write: Write, kind: Kind, obj: Object, doubled: list[str], body: bytes | None = None, said: Sequence[str] = ()
) -> None:
    """``read_object`` where it is known which fields the body said twice; ``said`` is what else is wrong with it."""
    kind.identify(obj)
    unknown = kind.conform(obj)
    if write.field_validation == "Ignore" or not (unknown or doubled or said):
        return
    _complain(write, write.resource, [*said, *schema.complaints(write.resource, unknown, doubled, body)])


def read_part(write: Write, subject: Resource, obj: Object) -> None:
    """``read_object`` for what is sent to a subresource and is a ``subject``, such as a Scale."""
    unknown = schema.conform(subject, obj)
    if unknown and write.field_validation != "Ignore":
        _complain(write, subject, schema.complaints(subject, unknown, (), None))


def _complain(write: Write, resource: Resource, found: Sequence[str]) -> None:
    if write.field_validation == "Strict":
        raise schema.strict_error(resource, found)
    write.warnings.extend(schema.told(found))
