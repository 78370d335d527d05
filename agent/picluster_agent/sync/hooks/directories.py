"""The pod's directories, and the files in them that every container gets: ``/etc/resolv.conf``."""

from __future__ import annotations

import asyncio
import shutil

from picluster_agent.sync import resolver
from picluster_agent.sync.context import PodContext, Runtime, SyncError
from picluster_agent.volumes import removal


class Directories:
    async def set_up(self, runtime: Runtime, context: PodContext) -> None:
        try:
            context.paths.disk.parent.mkdir(parents=True, exist_ok=True)
            context.paths.disk.mkdir(exist_ok=True, mode=0o750)
            context.paths.volumes.mkdir(exist_ok=True, mode=0o750)
            context.paths.run.mkdir(parents=True, exist_ok=True, mode=0o700)
            resolving = resolver.resolv_conf(
                context.pod,
                runtime.resolv_conf.read_text() if runtime.resolv_conf.exists() else "",
                servers=runtime.cluster_dns,
                domain=runtime.cluster_domain,
            )
            context.paths.resolv_conf.write_text(resolving.text)
            for warning in resolving.warnings:
                context.event(runtime, "Warning", "DNSConfigForming", warning)
        except OSError as error:
            raise SyncError("FailedCreatePodContainer", f"unable to make the pod's directories: {error}") from error

    async def tear_down(self, runtime: Runtime, context: PodContext) -> None:
        """Logs and termination messages stay until the API server has forgotten the pod: see ``erase``."""
        shutil.rmtree(context.paths.run, ignore_errors=True)

    async def erase(self, context: PodContext) -> None:
        """The pod is gone everywhere: remove the rest."""
        await asyncio.to_thread(removal.remove_tree, context.paths.disk)
