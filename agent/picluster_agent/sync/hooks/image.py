"""The image of a container: looked up here, pulled where its policy says so.

What is loaded on the board needs no registry: a reference that begins with ``localhost/`` is never pulled, whatever the
policy, because there is nowhere to pull it from.
"""

from __future__ import annotations

from picluster.api.types import Object
from picluster_agent.podman.client import PodmanError
from picluster_agent.podman.launch import Image
from picluster_agent.sync.context import PodContext, Runtime
from picluster_agent.sync.model import Waiting


class ImageError(Exception):
    """No image: ``waiting`` says so now, ``later`` once the next try is being waited for."""

    def __init__(self, waiting: Waiting, later: Waiting | None = None) -> None:
        super().__init__(waiting.message)
        self.waiting = waiting
        self.later = later or waiting


async def ensure(runtime: Runtime, context: PodContext, container: Object) -> Image:
    """The local image of ``container``; raises ``ImageError``."""
    name, reference = container["name"], str(container.get("image", ""))
    policy = container.get("imagePullPolicy", "IfNotPresent")
    local = await runtime.podman.image(reference)
    if local is not None and (policy != "Always" or reference.startswith("localhost/")):
        message = f'Container image "{reference}" already present on machine and can be accessed by the pod'
        context.event(runtime, "Normal", "Pulled", message, name)
        return Image.from_inspect(local)
    if policy == "Never":
        message = f'Container image "{reference}" is not present with pull policy of Never'
        context.event(runtime, "Warning", "ErrImageNeverPull", message, name)
        raise ImageError(Waiting("ErrImageNeverPull", message))
    return await _pull(runtime, context, name, reference)


async def _pull(runtime: Runtime, context: PodContext, name: str, reference: str) -> Image:
    context.event(runtime, "Normal", "Pulling", f'Pulling image "{reference}"', name)
    began_s = runtime.clock.monotonic()
    try:
        if reference.startswith("localhost/"):
            raise PodmanError(404, "the image is not on this node, and localhost names no registry: load it first")
        await runtime.podman.pull(reference)
        pulled = await runtime.podman.image(reference)
        if pulled is None:
            raise PodmanError(404, "the image is not there after its pull")
    except PodmanError as error:
        reason = f'Failed to pull image "{reference}": {error}'
        context.event(runtime, "Warning", "Failed", reason, name)
        later = f'Back-off pulling image "{reference}": ErrImagePull: {error}'
        raise ImageError(Waiting("ErrImagePull", str(error)), Waiting("ImagePullBackOff", later)) from error
    took_s = runtime.clock.monotonic() - began_s
    size = int(pulled.get("Size") or 0)
    context.event(
        runtime,
        "Normal",
        "Pulled",
        f'Successfully pulled image "{reference}" in {took_s:.3f}s ({took_s:.3f}s including waiting). '
        f"Image size: {size} bytes.",
        name,
    )
    return Image.from_inspect(pulled)
