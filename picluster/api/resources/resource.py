"""What a row of the resource table is."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

STANDARD_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Resource:
    """One row.

    ``schema`` is the definition's name in the generated schemas, empty for a custom resource; ``fields`` are the
    selectable field paths; ``indexed`` are those by which the objects of a custom resource are kept, each after the
    version that selects by it, the same in all versions. ``terminating`` says that its definition is about to go.
    ``storage_version`` is the one that its objects are stored in.
    ``stored`` is false for what is only asked and answered (reviews). ``stored_as`` is the first part of the objects'
    keys in storage; rows that show the same objects have the same. ``file`` names the kind's modules in every layer.
    """

    group: str
    version: str
    kind: str
    plural: str
    schema: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    fields: tuple[str, ...] = ("metadata.name", "metadata.namespace")
    verbs: tuple[str, ...] = STANDARD_VERBS
    stored: bool = True
    stored_as: str = ""
    file: str = ""
    singular: str = ""
    list_kind: str = ""
    indexed: tuple[str, ...] = ()
    terminating: bool = False
    storage_version: str = ""
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        set_default = partial(object.__setattr__, self)
        if not self.singular:
            set_default("singular", self.kind.lower())
        if not self.file:
            set_default("file", self.kind.lower())
        if not self.list_kind:
            set_default("list_kind", f"{self.kind}List")
        if not self.stored_as:
            set_default("stored_as", self.id)
        set_default("_hash", hash((self.group, self.version, self.kind, self.plural)))

    def __hash__(self) -> int:
        """Found once: rows are keys of what every request looks up."""
        return self._hash

    @property
    def api_version(self) -> str:
        """``apps/v1``, or ``v1`` for the core group, as objects carry it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def id(self) -> str:
        """``deployments.apps``, or ``pods`` for the core group: the key prefix in storage, and how errors name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, of one object, or of its subresource."""
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if self.namespaced and namespace:
            parts.append(f"namespaces/{namespace}")
        parts.append(self.plural)
        parts.extend(part for part in (name, subresource) if part)
        return "/".join(parts)
