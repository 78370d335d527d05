"""The pod's volumes, from the objects that they are made from."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from picluster_agent.podman.env import ConfigError, Sources
from picluster_agent.sync import objects, tokens
from picluster_agent.sync.context import PodContext, Runtime, SyncError
from picluster_agent.volumes import manager, payload


class Volumes:
    async def set_up(self, runtime: Runtime, context: PodContext) -> None:
        if not context.pod["spec"].get("volumes"):
            return
        try:
            sources = await _sources(runtime, context)
            context.volumes = await asyncio.to_thread(
                manager.set_up, context.paths.volumes, context.pod, sources, runtime.node
            )
        except manager.VolumeError as error:
            raise SyncError("FailedMount", str(error)) from error
        except ConfigError as error:
            raise SyncError("FailedMount", f"MountVolume.SetUp failed: {error}") from error

    async def tear_down(self, runtime: Runtime, context: PodContext) -> None:
        await asyncio.to_thread(manager.tear_down, context.paths.disk)


def refreshable(context: PodContext) -> bool:
    """Whether some volume's content may change while the pod runs."""
    volumes = context.pod["spec"].get("volumes") or ()
    return any(kind in volume for volume in volumes for kind in payload.KINDS)


async def refresh(runtime: Runtime, context: PodContext) -> None:
    """Bring ConfigMaps, Secrets and fields in volumes up to date; what is missing meanwhile is left as it was."""
    try:
        sources = await _sources(runtime, context)
        await asyncio.to_thread(manager.refresh, context.paths.volumes, context.pod, sources, runtime.node)
    except (ConfigError, ValueError, OSError) as error:
        context.event(runtime, "Warning", "FailedMount", f"MountVolume.SetUp failed: {error}")


async def _sources(runtime: Runtime, context: PodContext) -> Sources:
    config_maps: set[str] = set()
    secrets: set[str] = set()
    wanted: set[tuple[str, int]] = set()
    for volume in context.pod["spec"].get("volumes") or ():
        named = payload.references(volume)
        config_maps |= named[0]
        secrets |= named[1]
        wanted |= payload.wanted_tokens(volume)
    sources = await objects.sources(runtime, context, config_maps, secrets)
    return replace(sources, tokens=await tokens.held(runtime, context, wanted)) if wanted else sources
