"""What a container mounts: ``volumeMounts`` and ``volumeDevices`` turned into bind mounts and devices.

``wanted`` is pure and says what is asked for, in the kubelet's words where it cannot be had; ``prepare`` binds
sub-paths and recursively read-only trees to places of ours, which the container is then started with.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from picluster.api.types import Object
from picluster_agent import kernel
from picluster_agent.podman.env import REFERENCE, ConfigError, expand
from picluster_agent.podman.launch import Device, Mount
from picluster_agent.volumes import subpath
from picluster_agent.volumes.layout import Place

PROPAGATION = {"HostToContainer": "rslave", "Bidirectional": "rshared"}
SHARING = {"rslave": (("shared:", "master:"), "a shared or slave mount"), "rshared": (("shared:",), "a shared mount")}
SELINUX = Path("/sys/fs/selinux/enforce")
RECURSIVE_KERNEL = (5, 12)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One of a container's mounts. ``index`` is its place in the list, which names where a sub-path is bound."""

    index: int
    name: str
    place: Place
    target: str
    inner: str
    read_only: bool
    recursive: bool
    propagation: str


def wanted(
    container: Object, places: Mapping[str, Place], env: Mapping[str, str], *, recursive_works: bool
) -> list[Wanted]:
    """In the order of the list; raises ``ConfigError``."""
    found = []
    for index, entry in enumerate(container.get("volumeMounts") or ()):
        place = places.get(entry["name"])
        if place is None:
            raise ConfigError(f'cannot find volume "{entry["name"]}" to mount into container "{container["name"]}"')
        read_only = bool(entry.get("readOnly")) or place.read_only
        mode = entry.get("recursiveReadOnly") or "Disabled"
        if mode == "Enabled" and not recursive_works:
            raise ConfigError(
                f'volume mount "{entry["name"]}": recursive read-only mounts are not supported by this node'
            )
        found.append(
            Wanted(
                index,
                entry["name"],
                place,
                entry["mountPath"],
                inner_path(entry, env),
                read_only,
                mode in ("Enabled", "IfPossible") and read_only and recursive_works,
                PROPAGATION.get(entry.get("mountPropagation") or "", "rprivate"),
            )
        )
    return found


def inner_path(entry: Object, env: Mapping[str, str]) -> str:
    """The mount's sub-path with variables put in; raises ``ConfigError`` as the kubelet words it."""
    inner = str(entry.get("subPath") or "")
    if template := entry.get("subPathExpr"):
        inner = expand(template, _present(template, env))
    if inner.startswith("/"):
        raise ConfigError(f'error SubPath "{inner}" must not be an absolute path')
    if ".." in inner.split("/"):
        raise ConfigError(f"unable to provision SubPath \"{inner}\": must not contain '..'")
    return inner


def _present(template: str, env: Mapping[str, str]) -> Mapping[str, str]:
    """The variables; raises ``ConfigError`` for those that the template names and that are missing or empty."""
    names = {match[1] for match in REFERENCE.finditer(template) if match[0] != "$$"}
    if missing := sorted(name for name in names if not env.get(name)):
        raise ConfigError(f"missing value for {', '.join(missing)}")
    return env


def prepare(listed: list[Wanted], container_name: str, subpaths: Path) -> list[Mount]:
    """The bind mounts, parents before what lies in them; raises ``ConfigError`` or ``OSError``. Blocks."""
    relabel = SELINUX.exists()
    made = [
        Mount(
            _source(one, container_name, subpaths),
            one.target,
            one.read_only,
            one.propagation,
            no_exec=one.place.no_exec,
            relabel=relabel and one.place.relabel,
        )
        for one in listed
    ]
    return sorted(made, key=lambda mount: len(Path(mount.target).parts))


def _source(one: Wanted, container_name: str, subpaths: Path) -> Path:
    if one.propagation in SHARING:
        _check_shared(one.place.path, one.propagation)
    if not one.inner and not one.recursive:
        return one.place.path
    place = subpaths / one.name / container_name / str(one.index)
    what = f'subPath for volumeMount "{one.name}" of container "{container_name}"'
    try:
        descriptor = (
            subpath.open_inside(one.place.path, one.inner)
            if one.inner
            else os.open(one.place.path, os.O_PATH | os.O_CLOEXEC)
        )
    except subpath.SubPathError as error:
        raise ConfigError(f"failed to prepare {what}: {error}") from error
    try:
        subpath.bind(descriptor, place, recursive_read_only=one.recursive)
    finally:
        os.close(descriptor)
    return place


def _check_shared(path: Path, propagation: str) -> None:
    """Mounts are passed on only where the node's own mount is shared; runtimes say so in these words."""
    real = Path(os.path.realpath(path))
    above = [(point, fields) for point, fields in kernel.mounts() if real.is_relative_to(point)]
    point, fields = max(above, key=lambda one: len(one[0]))
    marks, what = SHARING[propagation]
    if not any(mark in fields for mark in marks):
        raise ConfigError(f'path "{path}" is mounted on "{point}" but it is not {what}')


def devices(container: Object, places: Mapping[str, Place]) -> list[Device]:
    """The block devices of ``volumeDevices``."""
    found = []
    for entry in container.get("volumeDevices") or ():
        place = places.get(entry["name"])
        if place is None:
            raise ConfigError(f'cannot find volume "{entry["name"]}" to pass into container "{container["name"]}"')
        found.append(Device(place.path, entry["devicePath"], "r" if place.read_only else "mrw"))
    return found


def recursive_works(release: str) -> bool:
    """Whether this kernel (``6.1.0-13-arm64``) makes a tree of mounts read-only (``mount_setattr``, 5.12)."""
    numbers = release.split(".")
    try:
        return (int(numbers[0]), int(numbers[1])) >= RECURSIVE_KERNEL
    except (IndexError, ValueError):
        return False


RECURSIVE_WORKS = recursive_works(os.uname().release)


def statuses(container: Object, *, recursive_works: bool) -> list[Object]:
    """``volumeMounts`` of a container's status: what was made of each (KEP-3857)."""
    listed = []
    for entry in container.get("volumeMounts") or ():
        status: Object = {"name": entry["name"], "mountPath": entry["mountPath"]}
        if entry.get("readOnly"):
            mode = entry.get("recursiveReadOnly") or "Disabled"
            recursive = mode == "Enabled" or (mode == "IfPossible" and recursive_works)
            status |= {"readOnly": True, "recursiveReadOnly": "Enabled" if recursive else "Disabled"}
        listed.append(status)
    return listed
