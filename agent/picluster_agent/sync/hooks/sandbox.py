"""The sandbox: what the pod's containers share. Network, IPC and UTS namespaces and ``/dev/shm``, pinned without a
process; and, where the pod wants one, a PID namespace, which needs one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from picluster.api.errors import ApiError
from picluster.api.meta import new_uid
from picluster.api.resources import RUNTIME_CLASSES
from picluster.api.types import Object
from picluster_agent import figures, kernel, pause
from picluster_agent.cgroups.groups import OWN_V1
from picluster_agent.podman import runtimes
from picluster_agent.podman.env import ConfigError
from picluster_agent.podman.sysctls import sandbox_sysctls
from picluster_agent.sync import spec
from picluster_agent.sync.context import PodContext, PodPaths, Runtime, SyncError
from picluster_agent.sync.restarts import next_round

SHM_OPTIONS = "mode=1777,size=65536k"
PAUSE_GROUP = "pause"
NO_USER_NAMESPACES = (
    "hostUsers: false is not served by this node: its runtime cannot map the users of volumes (idmapped mounts)"
)


def current(paths: PodPaths, *, host_network: bool) -> str | None:
    """The id of the sandbox that stands, if it is whole."""
    try:
        identity = paths.sandbox_id.read_text()
    except OSError:
        return None
    whole = all(kernel.is_namespace(path) for path in paths.pins(host_network=host_network).values())
    if paths.pause.exists() and not pause.alive(paths.pause):
        whole = False
    return identity if identity and whole else None


def begin_round(paths: PodPaths) -> None:
    """The sandbox stays, but what ran in it so far counts as of an earlier one: all containers begin anew."""
    fresh = paths.sandbox_id.with_suffix(".new")
    fresh.write_text(next_round(paths.sandbox_id.read_text()))
    fresh.replace(paths.sandbox_id)


class Sandbox:
    async def set_up(self, runtime: Runtime, context: PodContext) -> None:
        paths, pod_spec = context.paths, context.pod["spec"]
        context.sandbox = current(paths, host_network=context.host_network)
        if context.sandbox is not None:
            context.oci_runtime = paths.oci_runtime.read_text() if paths.oci_runtime.exists() else ""
            return
        context.oci_runtime = await _oci_runtime(runtime, pod_spec)
        if pod_spec.get("hostUsers") is False:
            raise _refused(NO_USER_NAMESPACES)
        groups = _pause_groups(runtime, context) if _shares_processes(pod_spec) else None
        try:
            paths.oci_runtime.write_text(context.oci_runtime)
            name = os.uname().nodename
            if not context.host_network:
                name = spec.kernel_hostname(context.pod, runtime.cluster_domain)
            await asyncio.to_thread(_renew, paths, context.pod, name, sandbox_sysctls(pod_spec), groups)
            figures.STARTED_PODS["started"] += 1
        except (ConfigError, OSError, ValueError) as error:
            figures.STARTED_PODS["failed"] += 1
            raise _refused(str(error)) from error
        context.sandbox = current(paths, host_network=context.host_network)

    async def tear_down(self, runtime: Runtime, context: PodContext) -> None:
        await asyncio.to_thread(_remove, context.paths)
        context.paths.sandbox_id.unlink(missing_ok=True)
        context.sandbox = None


def _refused(why: str) -> SyncError:
    return SyncError("FailedCreatePodSandBox", f"Failed to create pod sandbox: {why}")


def _shares_processes(pod_spec: Object) -> bool:
    return bool(pod_spec.get("shareProcessNamespace")) and not pod_spec.get("hostPID")


def _pause_groups(runtime: Runtime, context: PodContext) -> list[Path]:
    """A control group below the pod's, in the agent's trees: what has groups below it holds no process itself."""
    hierarchy = runtime.groups.hierarchy
    if hierarchy is None or not context.group:
        return []
    trees = dict.fromkeys(hierarchy.trees[one] for one in OWN_V1 if one in hierarchy.trees)
    return [top / context.group / PAUSE_GROUP for top in trees]


def _renew(
    paths: PodPaths, pod: Object, hostname: str, sysctls: Mapping[str, str], pause_groups: Sequence[Path] | None
) -> None:
    """The id is written last, so half a sandbox counts as none."""
    host_network, host_ipc = spec.host_network(pod), bool(pod["spec"].get("hostIPC"))
    paths.sandbox_id.unlink(missing_ok=True)
    _remove(paths)
    paths.hostname.write_text(hostname + "\n")
    kernel.pin_namespaces(paths.pins(host_network=host_network), hostname, sysctls)
    if not host_ipc:
        paths.shm.mkdir(exist_ok=True)
        kernel.mount("shm", paths.shm, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC, SHM_OPTIONS)
    if pause_groups is not None:
        pause.start(paths.pid_namespace, paths.pause, pause_groups)
    paths.sandbox_id.write_text(new_uid())


def _remove(paths: PodPaths) -> None:
    pause.stop(paths.pid_namespace, paths.pause)
    kernel.unmount(paths.shm)
    kernel.unpin_namespaces(paths.pins())


async def _oci_runtime(runtime: Runtime, pod_spec: Object) -> str:
    """What runs the containers of the pod's runtime class (``pkg/kubelet/runtimeclass``)."""
    name = pod_spec.get("runtimeClassName")
    if not name:
        return ""
    try:
        handler = str((await runtime.client.get(RUNTIME_CLASSES, name))["handler"])
    except ApiError as error:
        if error.code != 404:
            raise
        raise _refused(f'runtimeclass.node.k8s.io "{name}" not found') from error
    if handler not in runtimes.installed():
        raise _refused(f'failed to get sandbox runtime: no runtime for "{handler}" is configured')
    return handler
