"""What the checks share: a pod's containers, and how violations name things."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from picluster.api.types import Object

GROUPS = ("initContainers", "containers", "ephemeralContainers")
Said = tuple[str, str]
"""A reason, and the detail of it."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod or a template, looked at as ``minor`` of the standards does."""

    metadata: Object
    spec: Object
    minor: int

    def containers(self) -> Iterator[Object]:
        for group in GROUPS:
            yield from self.spec.get(group) or ()

    @property
    def context(self) -> Object:
        return self.spec.get("securityContext") or {}

    @property
    def on_windows(self) -> bool:
        return (self.spec.get("os") or {}).get("name") == "windows"

    @property
    def in_user_namespace(self) -> bool:
        return self.spec.get("hostUsers") is False


@dataclass(frozen=True, slots=True)
class Check:
    """``since`` is the minor version that has it; ``forbids`` says what it forbids of a pod, or ``None``.

    ``replaces`` names the check of ``baseline`` that this one says more strictly.
    """

    name: str
    forbids: Callable[[Pod], Said | None]
    since: int = 0
    replaces: str = ""


def context(container: Object) -> Object:
    return container.get("securityContext") or {}


def named(names: Sequence[str], singular: str = "container") -> str:
    """``container "a"`` or ``containers "a", "b"``."""
    return f"{plural(singular, names)} {quoted(names)}"


def plural(word: str, items: Collection[object]) -> str:
    return word if len(items) == 1 else f"{word}s"


def quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
