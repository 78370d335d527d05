"""The pod's volumes, from the objects that they are made from."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import replace

from picluster.api.errors import ApiError
from picluster.api.resources import CONFIGMAPS, NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, SECRETS, Resource
from picluster.api.types import Object
from picluster.client import TransportError
from picluster_agent.podman.env import ConfigError, Sources
from picluster_agent.sync import objects, tokens
from picluster_agent.sync.context import PodContext, Runtime, SyncError
from picluster_agent.sync.hooks import imagevolumes
from picluster_agent.volumes import claims, layout, manager, payload, removal
from picluster_agent.volumes.claims import ClaimError, Volume

FIELDS = ("Pod", "")
"""What is stale when a pod's own labels or annotations changed."""


class Volumes:
    async def set_up(self, runtime: Runtime, context: PodContext) -> None:
        used = used_volumes(context.pod)
        if not used:
            context.volumes = {}
            return
        try:
            volumes = await _resolve(runtime, context, used)
            context.stale.clear()
            pod = await _pod(runtime, context, volumes)
            places = await asyncio.to_thread(manager.set_up, pod, volumes)
            for volume in volumes:
                if volume.kind == "csi":
                    places[volume.name] = await runtime.storage.mount(context.uid, pod, volume, context.on_stale)
            context.volumes = places
        except manager.VolumeError as error:
            raise SyncError("FailedMount", str(error)) from error
        except ConfigError as error:
            failure = manager.failed("MountVolume.SetUp", used[0]["name"], error)
            raise SyncError("FailedMount", str(failure)) from error

    async def tear_down(self, runtime: Runtime, context: PodContext) -> None:
        runtime.objects.drop(context.uid)
        try:
            await asyncio.to_thread(removal.release_subpaths, context.paths.disk)
            await runtime.storage.unmount(context.paths.disk, context.uid, context.on_stale)
            await imagevolumes.tear_down(runtime, context)
            await asyncio.to_thread(removal.tear_down, context.paths.disk)
            await runtime.storage.release(context.uid)
        except manager.VolumeError as error:
            raise SyncError("FailedUnmount", str(error)) from error
        context.volumes = {}


def used_volumes(pod: Object) -> list[Object]:
    """The volumes that some container mounts; the others are not set up, and may be anything."""
    spec = pod["spec"]
    containers = [one for key in ("initContainers", "containers", "ephemeralContainers") for one in spec.get(key) or ()]
    names = {
        mount["name"] for one in containers for key in ("volumeMounts", "volumeDevices") for mount in one.get(key) or ()
    }
    return [volume for volume in spec.get("volumes") or () if volume["name"] in names]


def missing(context: PodContext) -> bool:
    """Whether something is mounted by now that was not when volumes were set up: by an ephemeral container."""
    used = used_volumes(context.pod)
    return any(one["name"] not in context.volumes and layout.kind_of(one) != "image" for one in used)


def refreshable(context: PodContext) -> bool:
    """Whether some volume's content may change while the pod runs."""
    return any(layout.kind_of(volume) in (*layout.FILES, "csi") for volume in used_volumes(context.pod))


async def refresh(runtime: Runtime, context: PodContext, *, everything: bool) -> None:
    """Bring ConfigMaps, Secrets, tokens and fields in volumes up to date; what is missing is left as it was.

    Without ``everything``, only objects that are known to have changed are read again.
    """
    stale = frozenset(context.stale)
    context.stale.clear()
    errors: list[Exception] = []
    try:
        volumes = [claims.direct(one) for one in used_volumes(context.pod) if layout.kind_of(one) in layout.FILES]
        if volumes:
            pod = await _pod(runtime, context, volumes, None if everything else stale)
            errors += await asyncio.to_thread(manager.refresh, pod)
    except manager.VolumeError as error:
        errors.append(error)
    except ConfigError as error:
        errors.append(manager.failed("MountVolume.SetUp", volumes[0].name, error))
    if everything:
        errors += await runtime.storage.refresh(context.uid)
    for failure in errors:
        context.event(runtime, "Warning", "FailedMount", str(failure))


async def _pod(
    runtime: Runtime, context: PodContext, volumes: Iterable[Volume], only: Collection[tuple[str, str]] | None = None
) -> manager.Pod:
    labels: Object = {}
    if any(volume.persistent is not None for volume in volumes):
        labels = (await _get(runtime, NODES, runtime.node.name, None))["metadata"].get("labels") or {}
    return manager.Pod(
        volumes=context.paths.volumes,
        plugins=runtime.places.data_dir / "plugins",
        obj=context.pod,
        sources=await _sources(runtime, context, volumes, only),
        node=runtime.node,
        node_labels=labels,
    )


async def _sources(
    runtime: Runtime, context: PodContext, volumes: Iterable[Volume], only: Collection[tuple[str, str]] | None
) -> Sources:
    config_maps: set[str] = set()
    secrets: set[str] = set()
    wanted: set[tuple[str, int]] = set()
    for volume in volumes:
        if volume.kind in layout.FILES:
            source = {volume.kind: volume.source}
            named = payload.references(source)
            config_maps |= named[0]
            secrets |= named[1]
            wanted |= payload.wanted_tokens(source)
    watched = [(CONFIGMAPS, name) for name in sorted(config_maps)] + [(SECRETS, name) for name in sorted(secrets)]
    runtime.objects.want(context.uid, context.namespace, watched, context.object_changed)
    sources = await objects.sources(runtime, context, config_maps, secrets, only)
    if not wanted:
        return sources
    try:
        return replace(sources, tokens=await tokens.held(runtime, context, wanted))
    except ConfigError as error:
        holder = next(one for one in volumes if payload.wanted_tokens({one.kind: one.source}))
        raise manager.failed("MountVolume.SetUp", holder.spec_name, error) from error


async def _resolve(runtime: Runtime, context: PodContext, volumes: Iterable[Object]) -> list[Volume]:
    """What each volume really is; raises ``SyncError`` where a claim cannot be used."""
    found = []
    for volume in volumes:
        if layout.kind_of(volume) == "image":  # pulled and mounted when a container starts
            continue
        name = claims.claim_name(volume, context.pod)
        try:
            found.append(await _bound(runtime, context, volume, name) if name else claims.direct(volume))
        except ClaimError as error:
            listed = f"[{volume['name']}]"
            where = f"error processing PVC {context.namespace}/{name}: " if name else ""
            raise SyncError(
                "FailedMount",
                f"Unable to attach or mount volumes: unmounted volumes={listed}, unattached volumes=[], "
                f"failed to process volumes={listed}: {where}{error}",
            ) from error
    return found


async def _bound(runtime: Runtime, context: PodContext, volume: Object, name: str) -> Volume:
    try:
        claim = await _get(runtime, PERSISTENT_VOLUME_CLAIMS, name, context.namespace)
    except ConfigError as error:
        raise ClaimError(f"failed to fetch PVC from API server: {error}") from error
    persistent_name = claims.check_claim(volume, context.pod, claim)
    try:
        persistent = await _get(runtime, PERSISTENT_VOLUMES, persistent_name, None)
    except ConfigError as error:
        raise ClaimError(f"failed to fetch PV {persistent_name} from API server: {error}") from error
    found = claims.bound(volume, context.pod, claim, persistent)
    if not runtime.storage.take(found, context.uid):
        raise ClaimError("volume uses the ReadWriteOncePod access mode and is already in use by another pod")
    return found


async def _get(runtime: Runtime, resource: Resource, name: str, namespace: str | None) -> Object:
    try:
        return await runtime.client.get(resource, name, namespace=namespace, timeout_s=objects.FETCH_TIMEOUT_S)
    except (ApiError, TransportError) as error:
        raise ConfigError(str(error)) from error
