"""The pod's control group: made before its containers, gone after them."""

from __future__ import annotations

from picluster_agent.sync.context import PodContext, Runtime, SyncError


class PodGroup:
    async def set_up(self, runtime: Runtime, context: PodContext) -> None:
        try:
            context.group = await runtime.groups.set_up(runtime.resources.standing(context.pod))
            runtime.resources.prepared(context.uid)
        except OSError as error:
            message = f"error ensuring pod cgroups: {error}"
            raise SyncError("FailedCreatePodContainer", f"unable to ensure pod container exists: {message}") from error

    async def tear_down(self, runtime: Runtime, context: PodContext) -> None:
        runtime.groups.bury(context.uid)
        context.group = ""
