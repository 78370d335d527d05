"""Which capabilities a container has. Pure.

The default set is that of containerd's CRI plugin; what is added counts first, what is dropped after it, and ``ALL``
before single names. Podman has a default set of its own, which its configuration may change, so the whole set is given.
"""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.types import Object

DEFAULT = frozenset(
    f"CAP_{name}"
    for name in (
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
        "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    )
)  # fmt: skip
ALL = "ALL"


def capabilities(context: Object, *, root: bool) -> Object:
    """The part of the create body with ``cap_add`` and ``cap_drop``.

    A user other than root gets only what was added by name: Podman makes that ambient, where other runtimes let the
    program's file decide. The default set is then no more than the bound of what such a file may give.
    """
    wanted = context.get("capabilities") or {}
    added, dropped = set(_names(wanted.get("add"))), set(_names(wanted.get("drop")))
    everything = ALL in added and ALL not in dropped
    single = (added - {ALL}) - dropped
    if everything:
        return {"cap_add": [ALL], **_unless_empty("cap_drop", dropped)}
    base = frozenset[str]() if ALL in dropped else DEFAULT - dropped
    if root:
        return {"cap_drop": [ALL], **_unless_empty("cap_add", base | single)}
    if ALL in dropped:
        return {"cap_drop": [ALL], **_unless_empty("cap_add", single)}
    return {**_unless_empty("cap_add", single - DEFAULT), **_unless_empty("cap_drop", dropped)}


def _unless_empty(key: str, names: Iterable[str]) -> Object:
    listed = sorted(names)
    return {key: listed} if listed else {}


def _names(listed: Iterable[str] | None) -> Iterable[str]:
    for name in listed or ():
        upper = name.upper()
        yield upper if upper == ALL or upper.startswith("CAP_") else f"CAP_{upper}"
