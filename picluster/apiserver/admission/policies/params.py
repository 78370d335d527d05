"""The parameters of a binding: objects that its policy's expressions read (``generic.CollectParams``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from picluster.api.resources import Resource
from picluster.api.selectors.labels import from_object
from picluster.api.types import Object
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.registry.kinds import Kind
from picluster.apiserver.registry.store import decoded


class ParamError(Exception):
    """A binding that cannot be used, and why."""


class Params:
    """``serving`` are the rows that are served, ``kind`` finds what is known of one."""

    def __init__(self, cache: WatchCache, serving: Iterable[Resource], kind: Callable[[Resource], Kind]) -> None:
        self._cache = cache
        self._serving = serving
        self._kind = kind

    def row(self, param_kind: Object) -> Resource:
        """The row of a ``paramKind``; raises ``ParamError``."""
        api_version, name = param_kind.get("apiVersion", ""), param_kind.get("kind", "")
        for row in self._serving:
            if row.kind == name and row.api_version == api_version and row.stored:
                return row
        group, _, version = api_version.rpartition("/")
        shown = f"{group}/{version}" if group else f"/{version}"
        raise ParamError(f"failed to find resource referenced by paramKind: '{shown}, Kind={name}'")

    def collect(self, row: Resource | None, reference: Object | None, namespace: str) -> list[Object | None]:
        """The parameters to evaluate with, one after the other; ``[None]`` when there are none to have.

        Raises ``ParamError`` when they are missing and ``parameterNotFoundAction`` is ``Deny``.
        """
        if row is None or reference is None:
            return [None]
        within = self._namespace(row, reference, namespace)
        found = [self._read(row, entry) for entry in self._find(row, reference, within)]
        if not found and reference.get("parameterNotFoundAction") == "Deny":
            raise ParamError("no params found for policy binding with `Deny` parameterNotFoundAction")
        return list(found)

    def _namespace(self, row: Resource, reference: Object, namespace: str) -> str:
        named: str = reference.get("namespace") or ""
        if not row.namespaced:
            if named:
                raise ParamError("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
            return ""
        if not named and not namespace:
            raise ParamError("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
        return named or namespace

    def _find(self, row: Resource, reference: Object, namespace: str) -> list[Entry]:
        name, selector = reference.get("name"), reference.get("selector")
        if name:
            if selector is not None:
                raise ParamError("paramRef.name and paramRef.selector are mutually exclusive")
            entry = self._cache.get(row, namespace, name)
            return [] if entry is None else [entry]
        if selector is None:
            raise ParamError("one of name or selector must be provided")
        wanted, prefix = from_object(selector), f"{namespace}/"
        entries = self._cache.collection(row).entries
        return [
            entries[key] for key in sorted(entries) if key.startswith(prefix) and wanted.matches(entries[key].labels)
        ]

    def _read(self, row: Resource, entry: Entry) -> Object:
        return self._kind(row).from_stored(decoded(entry))
