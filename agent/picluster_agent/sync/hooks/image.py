"""The image of a container."""

from __future__ import annotations

from picluster.api.types import Object
from picluster_agent.images.errors import ImageError
from picluster_agent.podman.launch import Image
from picluster_agent.sync.context import PodContext, Runtime

__all__ = ["ImageError", "ensure"]


async def ensure(runtime: Runtime, context: PodContext, container: Object) -> Image:
    """The local image of ``container``; raises ``ImageError``."""
    policy = container.get("imagePullPolicy", "IfNotPresent")
    return await runtime.images.ensure(runtime, context, container["name"], str(container.get("image", "")), policy)
