"""The policies of one kind and their bindings, read again when one of them changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from picluster.api.types import Object
from picluster.apiserver.admission.matching import Matcher
from picluster.apiserver.cache.collection import Collection
from picluster.apiserver.cache.history import Change
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.registry.store import decoded


class Policy:
    """What both kinds of policies have."""

    def __init__(self, obj: Object) -> None:
        spec = obj.get("spec") or {}
        self.name: str = obj["metadata"]["name"]
        self.spec: Object = spec
        self.matcher = Matcher.of_resources(spec.get("matchConstraints"))
        self.param_kind: Object | None = spec.get("paramKind")
        self.fails_open = spec.get("failurePolicy") == "Ignore"


class Binding:
    """``matcher`` is ``None`` for what its policy matches; ``actions`` are a validating policy's."""

    __slots__ = ("actions", "matcher", "name", "param_ref", "policy")

    def __init__(self, obj: Object) -> None:
        spec = obj.get("spec") or {}
        self.name: str = obj["metadata"]["name"]
        self.policy: str = spec.get("policyName", "")
        self.param_ref: Object | None = spec.get("paramRef")
        resources = spec.get("matchResources")
        self.matcher = None if resources is None else Matcher.of_resources(resources)
        self.actions: tuple[str, ...] = tuple(spec.get("validationActions") or ())


P = TypeVar("P", bound=Policy)
Bound = tuple[tuple[P, tuple[Binding, ...]], ...]


class Source(Generic[P]):
    """``current`` has each policy that something binds, by name, with its bindings by name."""

    def __init__(self, policies: Collection, bindings: Collection, make: Callable[[Object], P]) -> None:
        self._policies = policies
        self._bindings = bindings
        self._make = make
        self._made: dict[str, tuple[Entry, P]] = {}
        self._current: Bound[P] = ()
        self._stale = True
        policies.listeners.append(self._changed)
        bindings.listeners.append(self._changed)

    def current(self) -> Bound[P]:
        if self._stale:
            self._stale = False
            self._current = self._read()
        return self._current

    def _changed(self, change: Change) -> None:
        self._stale = True

    def _read(self) -> Bound[P]:
        bound: dict[str, list[Binding]] = {}
        for key in sorted(self._bindings.entries):
            binding = Binding(decoded(self._bindings.entries[key]))
            bound.setdefault(binding.policy, []).append(binding)
        made: dict[str, tuple[Entry, P]] = {}
        for entry in self._policies.entries.values():
            if entry.name in bound:
                known = self._made.get(entry.name)
                kept = known is not None and known[0] is entry
                made[entry.name] = known if kept and known is not None else (entry, self._make(decoded(entry)))
        self._made = made
        return tuple((made[name][1], tuple(bound[name])) for name in sorted(made))
