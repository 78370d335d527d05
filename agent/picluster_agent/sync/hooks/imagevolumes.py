"""Image volumes (KEP-4639): an image's files, read-only and not executable, as a directory of a container.

Podman mounts images for containers only, so each image volume has a container of its own that is never started; its
root is bound into the pod's directory. Both are named after the pod, so they are found again by an agent that has
forgotten them, or after a power cut, which takes the mounts and leaves the container.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from picluster.api.types import Object
from picluster_agent import kernel
from picluster_agent.podman.client import PodmanError
from picluster_agent.podman.env import ConfigError
from picluster_agent.podman.launch import Image
from picluster_agent.sync.context import PodContext, Runtime
from picluster_agent.sync.hooks import image
from picluster_agent.volumes import layout
from picluster_agent.volumes.layout import Place

LABEL = "picluster.io/image-volume-of"
FLAGS = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC


async def set_up(runtime: Runtime, context: PodContext, container: Object) -> dict[str, Place]:
    """The image volumes that ``container`` mounts; raises ``ImageError`` when one cannot be pulled."""
    mounted = {mount["name"] for mount in container.get("volumeMounts") or ()}
    places: dict[str, Place] = {}
    for volume in context.pod["spec"].get("volumes") or ():
        source = volume.get("image")
        if source is None or volume["name"] not in mounted:
            continue
        place = layout.directory(context.paths.volumes, "image", volume["name"])
        if not kernel.is_mount(place):
            wanted = {"name": container["name"], "image": source.get("reference", "")}
            wanted["imagePullPolicy"] = source.get("pullPolicy") or "IfNotPresent"
            found = await image.ensure(runtime, context, wanted)
            root = await _root(runtime, context, volume["name"], found)
            await asyncio.to_thread(_bind, Path(root), place)
        places[volume["name"]] = Place(place, read_only=True, no_exec=True)
    return places


async def _root(runtime: Runtime, context: PodContext, volume: str, found: Image) -> str:
    """Where Podman has mounted the image; of what was left by an earlier life only the name is of use."""
    name = f"k8s-image-volume_{context.uid}_{volume}"
    try:
        await runtime.podman.remove(name)
        body: Object = {"name": name, "image": found.id, "labels": {LABEL: context.uid}, "command": ["/none"]}
        container_id = await runtime.podman.create({**body, "image_volume_mode": "ignore"})
        return await runtime.podman.mount(container_id)
    except PodmanError as error:
        raise ConfigError(f"failed to mount image volume {volume}: {error}") from error


def _bind(root: Path, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True, mode=0o750)
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        kernel.bind(descriptor, place)
    finally:
        os.close(descriptor)
    kernel.mount("none", place, "none", FLAGS | kernel.MS_BIND | kernel.MS_REMOUNT)


async def tear_down(runtime: Runtime, context: PodContext) -> None:
    """Unbind before Podman unmounts, and remove the containers."""
    directory = context.paths.volumes / layout.PLUGINS["image"]
    if not directory.is_dir():
        return
    kernel.unmount_tree(directory)
    for left in await runtime.podman.containers(f"{LABEL}={context.uid}"):
        await runtime.podman.remove(left["Id"])
