"""The pod's address, and ``/etc/hosts`` that names it."""

from __future__ import annotations

from pathlib import Path

from picluster_agent.network.cni import CniError
from picluster_agent.sync import resolver
from picluster_agent.sync.context import PodContext, Runtime, SyncError


class PodNetwork:
    async def set_up(self, runtime: Runtime, context: PodContext) -> None:
        if context.host_network:
            context.pod_ip = runtime.node.ip
        else:
            netns = str(context.paths.pins()["net"])
            try:
                context.pod_ip = await runtime.network.attach(context.uid, context.namespace, context.name, netns)
            except (CniError, OSError) as error:
                message = f"Failed to create pod sandbox: plugin failed to set up pod network: {error}"
                raise SyncError("FailedCreatePodSandBox", message) from error
        _write_hosts(runtime, context)

    async def tear_down(self, runtime: Runtime, context: PodContext) -> None:
        netns = context.paths.pins()["net"]
        if context.pod.get("spec") and context.host_network:
            return
        path = str(netns) if netns.exists() else None
        try:
            await runtime.network.detach(context.uid, context.namespace, context.name, path)
        except (CniError, OSError) as error:
            raise SyncError("FailedKillPod", f"error killing pod: failed to tear down pod network: {error}") from error
        context.pod_ip = ""


def _write_hosts(runtime: Runtime, context: PodContext) -> None:
    of_host = Path("/etc/hosts").read_text() if context.host_network else ""
    context.paths.hosts.write_text(resolver.hosts(context.pod, context.pod_ip, of_host, runtime.cluster_domain))
