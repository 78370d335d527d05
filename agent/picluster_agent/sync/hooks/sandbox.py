"""The sandbox: network, IPC and UTS namespaces that the pod's containers share, pinned without a process."""

from __future__ import annotations

import asyncio
from pathlib import Path

from picluster.api.meta import new_uid
from picluster_agent import kernel
from picluster_agent.sync import spec
from picluster_agent.sync.context import PodContext, PodPaths, Runtime, SyncError
from picluster_agent.sync.restarts import next_round


def current(paths: PodPaths, *, host_network: bool) -> str | None:
    """The id of the sandbox that stands, if it is whole."""
    try:
        identity = paths.sandbox_id.read_text()
    except OSError:
        return None
    whole = all(kernel.is_namespace(path) for path in paths.pins(host_network=host_network).values())
    return identity if identity and whole else None


def begin_round(paths: PodPaths) -> None:
    """The sandbox stays, but what ran in it so far counts as of an earlier one: all containers begin anew."""
    fresh = paths.sandbox_id.with_suffix(".new")
    fresh.write_text(next_round(paths.sandbox_id.read_text()))
    fresh.replace(paths.sandbox_id)


class Sandbox:
    async def set_up(self, runtime: Runtime, context: PodContext) -> None:
        if context.pod["spec"].get("shareProcessNamespace"):
            message = "Failed to create pod sandbox: shareProcessNamespace is not served by this node"
            raise SyncError("FailedCreatePodSandBox", message)
        paths, host_network = context.paths, context.host_network
        context.sandbox = current(paths, host_network=host_network)
        if context.sandbox is not None:
            return
        sysctls = {
            one["name"]: str(one["value"])
            for one in (context.pod["spec"].get("securityContext") or {}).get("sysctls") or ()
        }
        pins = paths.pins(host_network=host_network)
        try:
            await asyncio.to_thread(_renew, paths, pins, spec.hostname(context.pod), sysctls)
        except OSError as error:
            raise SyncError("FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}") from error
        context.sandbox = current(paths, host_network=host_network)

    async def tear_down(self, runtime: Runtime, context: PodContext) -> None:
        await asyncio.to_thread(kernel.unpin_namespaces, context.paths.pins())
        context.paths.sandbox_id.unlink(missing_ok=True)
        context.sandbox = None


def _renew(paths: PodPaths, pins: dict[str, Path], hostname: str, sysctls: dict[str, str]) -> None:
    """The id is written last, so half a sandbox counts as none."""
    paths.sandbox_id.unlink(missing_ok=True)
    kernel.unpin_namespaces(paths.pins())
    kernel.pin_namespaces(pins, hostname, sysctls)
    paths.sandbox_id.write_text(new_uid())
