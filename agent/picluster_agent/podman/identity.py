"""Who a container's processes are: from security contexts, the image's USER and the image's account files. Pure.

A user is looked up as the runtimes of Kubernetes do: by name, then by number; a number that nobody has is taken as it
is, with group 0. The groups that the image gives its user come along unless the pod's ``supplementalGroupsPolicy`` is
``Strict`` (KEP-3619).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from picluster.api.types import Object


@dataclass(frozen=True, slots=True)
class Accounts:
    """An image's ``/etc/passwd`` and ``/etc/group``; empty where it has none."""

    passwd: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    """Supplementary ones; the runtime adds ``gid``."""


def security_context(pod: Object, container: Object) -> Object:
    """What holds for one container: its own settings before the pod's."""
    of_pod = pod["spec"].get("securityContext") or {}
    own = container.get("securityContext") or {}
    return {key: value for key, value in [*of_pod.items(), *own.items()] if value is not None}


def pod_groups(pod: Object) -> list[int]:
    """The supplementary groups that the pod itself names."""
    context = pod["spec"].get("securityContext") or {}
    of_volumes = context.get("fsGroup")
    groups = [int(one) for one in context.get("supplementalGroups") or ()]
    return groups if of_volumes is None else [*groups, int(of_volumes)]


def identity(pod: Object, container: Object, image_user: str, accounts: Accounts) -> Identity | None:
    """The user and groups of ``container``; ``None`` for a name that the image does not have."""
    context = security_context(pod, container)
    user, _, group = image_user.partition(":")
    if context.get("runAsUser") is not None:
        user, group = str(context["runAsUser"]), ""
    if context.get("runAsGroup") is not None:
        group = str(context["runAsGroup"])
    known = _user(user or "0", accounts.passwd)
    gid = _group(group, accounts.group) if group else known and known[2]
    if known is None or gid is None:
        return None
    name, uid, _ = known
    groups = pod_groups(pod)
    if name and (pod["spec"].get("securityContext") or {}).get("supplementalGroupsPolicy") != "Strict":
        groups += (int(number) for _, number, members in _entries(accounts.group, 4) if name in members.split(","))
    return Identity(uid, gid, tuple(dict.fromkeys(groups)))


def _entries(text: str, fields: int) -> Iterator[tuple[str, str, str]]:
    """Name, number and fourth field of each line that is whole."""
    for line in text.splitlines():
        parts = line.strip().split(":")
        if len(parts) >= fields and parts[0] and parts[2].isdigit():
            yield parts[0], parts[2], parts[3]


def _user(wanted: str, passwd: str) -> tuple[str, int, int] | None:
    """Name, uid and gid; without a name when the number is nobody's."""
    users = [(name, int(uid), int(gid)) for name, uid, gid in _entries(passwd, 4) if gid.isdigit()]
    named = next((user for user in users if user[0] == wanted), None)
    if named is not None or not wanted.isdigit():
        return named or (("root", 0, 0) if wanted == "root" else None)
    return next((user for user in users if user[1] == int(wanted)), ("", int(wanted), 0))


def _group(wanted: str, group: str) -> int | None:
    found = next((int(number) for name, number, _ in _entries(group, 4) if name == wanted), None)
    return int(wanted) if found is None and wanted.isdigit() else found
