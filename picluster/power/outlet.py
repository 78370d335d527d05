"""An outlet: switched, and read back. What cuts a board's power is trusted only as far as it can be read.

Drivers are one small file each (``http``, ``command``) and know nothing of each other. ``switch`` is the only way to
switch anything: it serialises the calls to one strip, reads the state back until it is what was asked for, and fails
when it is not.
"""

from __future__ import annotations

import asyncio
import importlib
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import yaml

from picluster.util.clock import SYSTEM_CLOCK, Clock

DRIVERS = ("command", "http")
READ_BACK_INTERVAL_S = 0.1
STATE_TIMEOUT_S = 5.0
SECRETS = ("password",)
"""Settings whose value no message may show."""


class OutletState(StrEnum):
    """What an outlet reads. ``UNKNOWN`` (no answer, or one that says neither) is never taken for off."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"


class OutletError(Exception):
    """An outlet could not be switched or its configuration is wrong; the message names outlet, cause and cure.

    Never carries a password.
    """


class Outlet(Protocol):
    """One channel of a strip. ``strip`` names what calls must not overlap on; ``label`` is for people."""

    @property
    def label(self) -> str: ...

    @property
    def strip(self) -> str: ...

    async def on(self) -> None:
        """Ask for power; raises ``OutletError`` when the request failed."""
        ...

    async def off(self) -> None: ...

    async def state(self) -> OutletState:
        """Read the outlet; ``UNKNOWN`` when it does not answer. Does not raise."""
        ...


class _Strips:
    """One lock per strip and event loop: cheap strips answer one call at a time, and mix up two."""

    def __init__(self) -> None:
        self._locks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]]
        self._locks = weakref.WeakKeyDictionary()

    def lock(self, strip: str) -> asyncio.Lock:
        locks = self._locks.setdefault(asyncio.get_running_loop(), {})
        return locks.setdefault(strip, asyncio.Lock())


_STRIPS = _Strips()


async def switch(outlet: Outlet, want: OutletState, timeout_s: float, clock: Clock = SYSTEM_CLOCK) -> None:
    """Switch ``outlet`` and read it back until it is ``want``; raises ``OutletError`` after ``timeout_s``."""
    assert want is not OutletState.UNKNOWN
    end_s = clock.monotonic() + timeout_s
    try:
        async with asyncio.timeout(timeout_s), _STRIPS.lock(outlet.strip):
            await (outlet.on() if want is OutletState.ON else outlet.off())
    except TimeoutError:
        raise OutletError(f"{outlet.label} did not answer within {timeout_s:.0f} s when switched {want}") from None
    while (found := await read(outlet)) is not want:
        if clock.monotonic() >= end_s:
            cure = "check the strip and its address" if found is OutletState.UNKNOWN else "look at the outlet itself"
            raise OutletError(f"{outlet.label} was switched {want} but reads {found} after {timeout_s:.0f} s; {cure}")
        await clock.sleep(READ_BACK_INTERVAL_S)


async def read(outlet: Outlet, timeout_s: float = STATE_TIMEOUT_S) -> OutletState:
    """The outlet's state, bounded in time; no answer is ``UNKNOWN``."""
    try:
        async with asyncio.timeout(timeout_s), _STRIPS.lock(outlet.strip):
            return await outlet.state()
    except TimeoutError:
        return OutletState.UNKNOWN


def load(config: Mapping[str, Any], where: str = "picluster_outlet") -> Outlet:
    """The outlet that ``config`` describes; raises ``OutletError`` naming the key, the value and the cure."""
    name = config.get("driver")
    if name not in DRIVERS:
        raise OutletError(f"{where}: driver is {name!r}; it must be one of {', '.join(DRIVERS)}")
    driver = importlib.import_module(f"picluster.power.{name}")
    outlet: Outlet = driver.load(Settings(where, dict(config)))
    return outlet


def load_all(path: Path) -> dict[str, Outlet]:
    """The outlet of each node from ``outlets.yaml``; an absent file is a rack without outlets."""
    try:
        document = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise OutletError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else "the file"
        raise OutletError(f"{path} is not YAML: correct {where}") from None
    if document is None:
        return {}
    if not isinstance(document, dict) or not all(isinstance(entry, dict) for entry in document.values()):
        raise OutletError(f"{path} must map each node to its outlet, such as pi-1: {{driver: http, …}}")
    return {str(node): load(entry, f"{path}: {node}") for node, entry in document.items()}


@dataclass(slots=True)
class Settings:
    """A driver's view of its configuration: each key taken once, and at the end nothing left over."""

    where: str
    left: dict[str, Any]

    def __post_init__(self) -> None:
        self.left.pop("driver", None)

    def take(self, key: str, kind: type | tuple[type, ...], *, default: Any = None, required: bool = False) -> Any:
        value = self.left.pop(key, None)
        if value is None:
            if required:
                raise OutletError(f"{self.where}: {key} is missing; inventory/hosts.yml shows an outlet of each kind")
            return default
        if not isinstance(value, kind) or isinstance(value, bool):
            names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
            shown = "not text: put it in quotes" if key in SECRETS else f"{value!r}; it must be of type {names}"
            raise OutletError(f"{self.where}: {key} is {shown}")
        return value

    def end(self, known: tuple[str, ...]) -> None:
        """Refuse keys that nobody took: a misspelt one would otherwise be ignored."""
        if self.left:
            key = sorted(map(str, self.left))[0]
            raise OutletError(f"{self.where}: {key} is no setting of this driver; known are {', '.join(known)}")
