"""A CustomResourceDefinition, read: the rows of its versions, and what its status says. PURE."""

from __future__ import annotations

from picluster.api import meta
from picluster.api.resources import Resource
from picluster.api.types import Object

META_FIELDS = ("metadata.name", "metadata.namespace")
VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
"""In the order in which Kubernetes shows them."""


class Definition:
    """``served`` and ``storage`` are versions as the definition has them; names are those that were accepted."""

    def __init__(self, obj: Object) -> None:
        self.obj = obj
        self.name: str = obj["metadata"]["name"]
        self.generation: int = obj["metadata"].get("generation") or 0
        spec, status = obj["spec"], obj.get("status") or {}
        self.spec: Object = spec
        self.group: str = spec["group"]
        self.names: Object = status.get("acceptedNames") or {}
        self.conversion: Object = spec.get("conversion") or {}
        self.versions: list[Object] = spec["versions"]
        self.storage: Object = next(version for version in self.versions if version.get("storage"))
        self.established = meta.condition_is(obj, "Established")
        self.deleting = bool(obj["metadata"].get("deletionTimestamp"))
        self.structural = not meta.condition_is(obj, "NonStructuralSchema")
        self.terminating = meta.condition_is(obj, "Terminating")

    @property
    def served(self) -> list[Object]:
        return [version for version in self.versions if version.get("served")]

    @property
    def storage_id(self) -> str:
        """The first part of the objects' keys in storage."""
        return f"{self.spec['names']['plural']}.{self.group}"

    @property
    def asks_webhook(self) -> bool:
        return self.conversion.get("strategy") == "Webhook"

    def same_rules(self, other: Definition) -> bool:
        """Whether objects are treated alike under both."""
        mine = (self.spec, self.names, self.established, self.terminating, self.structural)
        return mine == (other.spec, other.names, other.established, other.terminating, other.structural)

    def row(self, version: Object) -> Resource:
        """The row of one version in the catalog."""
        names = self.names
        return Resource(
            self.group,
            version["name"],
            names.get("kind") or "",
            names.get("plural") or self.spec["names"]["plural"],
            "",
            namespaced=self.spec["scope"] == "Namespaced",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources=tuple(name for name in ("status", "scale") if name in (version.get("subresources") or {})),
            fields=(*META_FIELDS, *selectable(version)),
            stored_as=self.storage_id,
            singular=names.get("singular") or "",
            list_kind=names.get("listKind") or "",
            verbs=VERBS,
            indexed=self._indexed(),
            terminating=self.terminating,
            storage_version=self.storage["name"],
        )

    def _indexed(self) -> tuple[str, ...]:
        """What any version selects by: objects are kept in one collection, and versions may show other values."""
        found = {f"{version['name']}/{path}" for version in self.versions for path in selectable(version)}
        return tuple(sorted(found))


def selectable(version: Object) -> list[str]:
    """The paths that one version selects by."""
    return [field["jsonPath"].removeprefix(".") for field in version.get("selectableFields") or ()]


def schema_of(version: Object) -> Object:
    found: Object = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    return found
