"""A version of a custom resource, as the verbs ask about it (``apiserver/pkg/registry/customresource``)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from picluster.api import errors, schema, strategy
from picluster.api.apply import resetfields
from picluster.api.apply import structural as ownership
from picluster.api.apply.fieldsets import FieldSet
from picluster.api.apply.types import Type
from picluster.api.errors import FieldError
from picluster.api.structural import Schema, scale
from picluster.api.structural.objectmeta import CoerceError
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.warnings import finalizers
from picluster.apiserver.crd import columns
from picluster.apiserver.crd.conversion import WebhookConversion, renamed
from picluster.apiserver.crd.definition import Definition, schema_of
from picluster.apiserver.registry.kinds import View
from picluster.apiserver.tables.columns import Printer


class CustomKind:
    """``others`` are the kinds of all versions of the definition, by version; this one is among them."""

    def __init__(
        self,
        definition: Definition,
        version: Object,
        others: Mapping[str, CustomKind],
        webhook: WebhookConversion | None,
    ) -> None:
        self.resource = definition.row(version)
        subresources = version.get("subresources") or {}
        self._scale: Object | None = subresources.get("scale")
        self._version, self._others, self._webhook = version, others, webhook
        self._terminating = definition.terminating
        self._stored_version = f"{definition.group}/{definition.storage['name']}"
        self._schema = Schema(
            schema_of(version), preserve=bool(definition.spec.get("preserveUnknownFields")), scale_paths=self._scale
        )
        self._type: Type | None = None
        # Under the first generation of a definition, all objects were written under the present schema; those that
        # came in another version may lack this version's defaults.
        plain = definition.generation <= 1 and self.resource.api_version == self._stored_version
        plain = plain and not (self._schema.has_defaults and len(definition.served) > 1)
        convert = None if plain or webhook is not None else self._convert
        fetch = None if plain or webhook is None else self._fetch
        self._view = View(self._printer, convert, fetch, _deprecation(definition, version))

    def identify(self, obj: Any) -> None:
        for field, what in (("kind", "Kind"), ("apiVersion", "apiVersion")):
            if not isinstance(obj, dict) or not obj.get(field):
                shown = orjson.dumps(obj).decode()
                raise errors.bad_request(
                    f"the object provided is unrecognized (must be of type {self.resource.kind}): Object '{what}' is"
                    f" missing in '{shown}'"
                )
        schema.identify(self.resource, obj)

    def conform(self, obj: Object) -> list[str]:
        try:
            return self._schema.clean(obj)
        except CoerceError as error:
            kind, version = self.resource.kind, self.resource.version
            why = f'{kind} in version "{version}" cannot be handled as a {kind}: {error.failure}'
            raise errors.bad_request(why) from None

    def default(self, obj: Object) -> None:
        self._schema.default(obj)

    def prepare_create(self, obj: Object, now: str) -> None:
        if self._terminating:
            error = errors.method_not_supported(self.resource.group, self.resource.plural, "create")
            why = "create not allowed while custom resource definition is terminating"
            raise errors.ApiError(error.code, error.reason, why, error.details)
        strategy.prepare_create(self.resource, obj, now)
        if self.resource.has_status:
            obj.pop("status", None)
        obj["metadata"]["generation"] = 1

    def prepare_update(self, new: Object, old: Object, subresource: str | None) -> None:
        strategy.prepare_update(self.resource, new, old, subresource)
        if subresource == "status":
            _only_status(new, old)
        elif _content(new) != _content(old):
            new["metadata"]["generation"] = (old["metadata"].get("generation") or 0) + 1

    def create_failures(self, obj: Object) -> list[FieldError]:
        found: list[FieldError] = []
        metadata.validate(
            obj["metadata"], found, namespaced=self.resource.namespaced, name=metadata.subdomain, own_finalizers=True
        )
        return self._schema.create_failures(obj, found)

    def update_failures(self, new: Object, old: Object, subresource: str | None) -> list[FieldError]:
        found: list[FieldError] = []
        metadata.validate_update(new["metadata"], old["metadata"], found, own_finalizers=True)
        if subresource == "status":
            return self._schema.status_failures(new, old, found)
        return self._schema.update_failures(new, old, found)

    def create_warnings(self, obj: Object) -> list[str]:
        return finalizers.of_added(obj, None)

    def update_warnings(self, new: Object, old: Object, subresource: str | None) -> list[str]:
        return [] if subresource == "status" else finalizers.of_added(new, old)

    def to_stored(self, obj: Object) -> Object:
        """``obj`` in the stored version, without asking anybody."""
        if self.resource.api_version == self._stored_version:
            return obj
        return self._stored_kind().cleaned(renamed(copy.deepcopy(obj), self._stored_version))

    def from_stored(self, obj: Object) -> Object:
        """``obj`` in this version, without asking anybody."""
        return self._renamed(copy.deepcopy(obj))

    async def keep(self, obj: Object) -> Object:
        """``obj`` as it is to be stored."""
        if self._webhook is None or self.resource.api_version == self._stored_version:
            return self.to_stored(obj)
        converted = await self._webhook.convert([copy.deepcopy(obj)], self._stored_version)
        return self._stored_kind().cleaned(converted[0])

    async def read(self, obj: Object) -> Object:
        """``obj``, as it is stored, in this version."""
        return (await self._read([obj]))[0]

    def view(self) -> View:
        return self._view

    async def _fetch(self, wires: Sequence[bytes]) -> list[bytes]:
        return [orjson.dumps(obj) for obj in await self._read([orjson.loads(wire) for wire in wires])]

    def _convert(self, wire: bytes) -> bytes:
        return orjson.dumps(self._renamed(orjson.loads(wire)))

    def cleaned(self, obj: Object) -> Object:
        """``obj`` without what this version does not know; metadata that cannot be read stays as it is."""
        try:
            self._schema.clean(obj)
        except CoerceError:
            return obj
        return obj

    def _printer(self) -> Printer:
        return columns.printer(self._version.get("additionalPrinterColumns") or ())

    def get_scale(self, obj: Object) -> Object:
        """The ``autoscaling/v1`` Scale of ``obj``; raises ``ApiError`` 500 where there are no replicas."""
        assert self._scale is not None
        path = self._scale["specReplicasPath"]
        replicas = scale.at(obj, path)
        if replicas is None:
            raise errors.internal(f'the spec replicas field "{path}" does not exist')
        selector_path = self._scale.get("labelSelectorPath")
        copied = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        shown: Object = {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {field: obj["metadata"][field] for field in copied if field in obj["metadata"]},
            "spec": {"replicas": replicas},
            "status": {"replicas": scale.at(obj, self._scale["statusReplicasPath"]) or 0},
        }
        if selector_path and (selector := scale.at(obj, selector_path)):
            shown["status"]["selector"] = selector
        return shown

    def apply_scale(self, obj: Object, wanted: Object) -> Object:
        """A copy of ``obj`` with the replicas of ``wanted``."""
        assert self._scale is not None
        scaled = copy.deepcopy(obj)
        scale.put(scaled, self._scale["specReplicasPath"], (wanted.get("spec") or {}).get("replicas", 0))
        return scaled

    def replicas_path(self) -> tuple[str, ...]:
        assert self._scale is not None
        return tuple(str(self._scale["specReplicasPath"]).strip(".").split("."))

    def type(self) -> Type:
        if self._type is None:
            self._type = ownership.root(self._schema.schema)
        return self._type

    def ignored(self, subresource: str) -> FieldSet:
        return resetfields.of(self.resource, subresource)

    def in_version(self, obj: Object, api_version: str) -> tuple[Type, Object] | None:
        group, _, version = api_version.partition("/")
        other = self._others.get(version)
        if other is None or group != self.resource.group:
            return None
        return other.type(), other.cleaned(renamed(copy.deepcopy(obj), api_version))

    async def _read(self, objects: list[Object]) -> list[Object]:
        if self._webhook is None:
            return [self._renamed(obj) for obj in objects]
        for obj in objects:
            self._kind_of(obj).default(obj)
        converted = await self._webhook.convert(objects, self.resource.api_version)
        return [self.cleaned(obj) for obj in converted]

    def _renamed(self, obj: Object) -> Object:
        self._kind_of(obj).default(obj)
        return self.cleaned(renamed(obj, self.resource.api_version))

    def _stored_kind(self) -> CustomKind:
        return self._others[self._stored_version.partition("/")[2]]

    def _kind_of(self, stored: Object) -> CustomKind:
        """The kind of the version that ``stored`` is in; this one, for a version that is no more."""
        return self._others.get(str(stored.get("apiVersion") or "").partition("/")[2], self)


def kinds_of(definition: Definition, webhook: WebhookConversion | None) -> dict[str, CustomKind]:
    """A kind for each version, by version."""
    kinds: dict[str, CustomKind] = {}
    for version in definition.versions:
        kinds[version["name"]] = CustomKind(definition, version, kinds, webhook)
    return kinds


def _deprecation(definition: Definition, version: Object) -> str:
    if not version.get("deprecated"):
        return ""
    plain = f"{definition.group}/{version['name']} {definition.names.get('kind')} is deprecated"
    return str(version.get("deprecationWarning") or plain)


def _only_status(new: Object, old: Object) -> None:
    """An update of the status changes nothing else, but who owns what (``statusStrategy.PrepareForUpdate``)."""
    status, had = new.get("status"), "status" in new
    kept, written = dict(old["metadata"]), new["metadata"]
    kept.pop("managedFields", None)
    for field in ("managedFields", "resourceVersion"):
        if field in written:
            kept[field] = written[field]
    new.clear()
    new.update({**old, "metadata": kept})
    new.pop("status", None)
    if had:
        new["status"] = status


def _content(obj: Object) -> Object:
    return {field: value for field, value in obj.items() if field != "metadata"}
