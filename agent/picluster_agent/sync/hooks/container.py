"""One attempt at one container: configured, created, started, and noted at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace

from picluster.api.meta import parse_time
from picluster.api.types import Object
from picluster_agent import figures, kernel
from picluster_agent.podman import env, layers, translate, users
from picluster_agent.podman.client import PodmanError
from picluster_agent.podman.env import ConfigError
from picluster_agent.podman.launch import Image, Launch, Mount
from picluster_agent.sync import objects, spec
from picluster_agent.sync.context import PodContext, Runtime
from picluster_agent.sync.hooks import imagevolumes
from picluster_agent.sync.model import EXIT_NOT_STARTED, Seen, Start, State, Waiting
from picluster_agent.volumes import mounts
from picluster_agent.volumes.layout import Place

TERMINATION_MESSAGE_PATH = "/dev/termination-log"
ENV_FILE_BYTES_MAX = 1 << 20
SHARED_MEMORY = "/dev/shm"  # noqa: S108


class StartError(Exception):
    """The container did not start; ``waiting`` is its state until the next try.

    ``seen`` is the attempt as it counts, where the runtime had one and could not run it.
    """

    def __init__(self, waiting: Waiting, seen: Seen | None = None) -> None:
        super().__init__(waiting.message)
        self.waiting = waiting
        self.seen = seen


async def start(runtime: Runtime, context: PodContext, step: Start, image: Image) -> Seen:
    """Create and start; raises ``StartError``. What could not start is removed again, and counts as an attempt."""
    container = spec.container(context.pod, step.name)
    assert container is not None and context.sandbox is not None
    try:
        body = translate.create_body(await _launch(runtime, context, container, step.attempt, image))
    except (ConfigError, OSError) as error:
        raise StartError(Waiting("CreateContainerConfigError", str(error))) from error
    try:
        container_id = await _create(runtime, body)
    except PodmanError as error:
        raise StartError(Waiting("CreateContainerError", str(error))) from error
    context.event(runtime, "Normal", "Created", "Container created", step.name)
    seen = _seen(runtime, context, container, step.attempt, container_id, image)
    runtime.resources.started(context.uid, step.name)  # before anybody sees it run
    try:
        await runtime.podman.start(container_id)
    except PodmanError as error:
        await runtime.podman.remove(container_id)
        raise StartError(Waiting("RunContainerError", str(error)), _not_run(runtime, seen, str(error))) from error
    state = await _state(runtime, container_id)
    began_s = float(int(parse_time(state["StartedAt"]))) if state.get("StartedAt") else 0.0
    started_s = began_s if began_s > 0 else seen.started_s
    seen = replace(seen, user=users.of_process(int(state.get("Pid") or 0)), started_s=started_s)
    runtime.actual.note(context.uid, seen)
    figures.STARTED_CONTAINERS[_type_of(context.pod, step.name)] += 1
    context.event(runtime, "Normal", "Started", "Container started", step.name)
    return seen


def _not_run(runtime: Runtime, seen: Seen, message: str) -> Seen:
    """As containerd tells of a container whose first process could not be run."""
    now_s = float(int(runtime.clock.now()))
    return replace(
        seen,
        state=State.EXITED,
        exit_code=EXIT_NOT_STARTED,
        reason="StartError",
        message=message,
        started_s=0.0,
        finished_s=now_s,
    )


def _type_of(pod: Object, name: str) -> str:
    groups = {"init_container": spec.init_containers(pod), "ephemeral_container": spec.ephemeral_containers(pod)}
    return next((kind for kind, listed in groups.items() if any(one["name"] == name for one in listed)), "container")


async def _create(runtime: Runtime, body: Object) -> str:
    """Podman allows a name once; one that a killed agent left behind, never started, makes room."""
    try:
        return await runtime.podman.create(body)
    except PodmanError as error:
        if "already in use" not in str(error):
            raise
        left = await runtime.podman.inspect(body["name"])
        if (left.get("State") or {}).get("Running"):
            raise
        await runtime.podman.remove(left["Id"])
        return await runtime.podman.create(body)


async def _launch(runtime: Runtime, context: PodContext, container: Object, attempt: int, image: Image) -> Launch:
    sources = await objects.sources(runtime, context, *env.references(container))
    if wanted_files := env.file_references(container):
        sources = replace(sources, files=await asyncio.to_thread(_files, context.volumes, wanted_files))
    variables = env.environment(
        context.pod,
        container,
        sources,
        runtime.node,
        pod_ip=context.pod_ip,
        services=await objects.services(runtime, context),
    )
    name, paths = container["name"], context.paths
    log_path, message_path = paths.log(name, attempt), paths.message(name, attempt)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    message_path.parent.mkdir(parents=True, exist_ok=True)
    message_path.touch(mode=0o666)
    message_path.chmod(0o666)
    places = {**context.volumes, **await imagevolumes.set_up(runtime, context, container)}
    wanted = mounts.wanted(container, places, variables, recursive_works=mounts.RECURSIVE_WORKS)
    mounted = await asyncio.to_thread(mounts.prepare, wanted, name, paths.subpaths)
    targets = {mount.target for mount in mounted}
    own = (
        Mount(paths.hosts, "/etc/hosts"),
        Mount(paths.resolv_conf, "/etc/resolv.conf"),
        *([Mount(paths.hostname, "/etc/hostname")] if paths.hostname.exists() else []),
        *([Mount(paths.shm, SHARED_MEMORY, no_exec=True, plain=True)] if paths.shm.exists() else []),
        Mount(message_path, container.get("terminationMessagePath") or TERMINATION_MESSAGE_PATH),
    )
    return Launch(
        pod=context.pod,
        container=container,
        attempt=attempt,
        sandbox=context.sandbox or "",
        namespaces=paths.pins(),
        env={**_hostname(runtime, context), **variables},
        image=image,
        mounts=[*mounted, *(mount for mount in own if mount.target not in targets)],
        log_path=log_path,
        node=runtime.node,
        target_pid=await _target_pid(runtime, context, container.get("targetContainerName") or ""),
        devices=mounts.devices(container, places),
        cgroup_parent=f"/{context.group}" if context.group else "",
        accounts=layers.accounts(image.layers) if image.layers else None,
        pids=paths.pid_namespace if paths.pause.exists() else None,
        runtime=context.oci_runtime,
    )


def _hostname(runtime: Runtime, context: PodContext) -> dict[str, str]:
    """Where it is not the short one that ``translate`` knows."""
    if context.host_network or not context.pod["spec"].get("setHostnameAsFQDN"):
        return {}
    return {"HOSTNAME": spec.kernel_hostname(context.pod, runtime.cluster_domain)}


def _files(volumes: Mapping[str, Place], wanted: set[tuple[str, str]]) -> dict[tuple[str, str], str | None]:
    """Environment files in the pod's volumes; a link that leads out of its volume leads nowhere."""
    found: dict[tuple[str, str], str | None] = {}
    for volume, path in wanted:
        if volume not in volumes:
            raise ConfigError(f'cannot find the volume "{volume}" referenced by FileKeyRef')
        directory = os.open(volumes[volume].path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.fdopen(kernel.open_beneath(directory, path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                found[volume, path] = file.read(ENV_FILE_BYTES_MAX).decode(errors="replace")
        except FileNotFoundError:
            found[volume, path] = None
        finally:
            os.close(directory)
    return found


async def _target_pid(runtime: Runtime, context: PodContext, target: str) -> int:
    """The first process of the container whose processes an ephemeral one wants to see."""
    if not target:
        return 0
    running = [one for one in runtime.actual.of(context.uid) if one.name == target and one.running]
    if not running:
        raise ConfigError(f"unable to find target container {target}")
    return int((await _state(runtime, running[-1].id)).get("Pid") or 0)


async def _state(runtime: Runtime, container_id: str) -> Object:
    """As Podman tells it of one container: its first process (none once it has ended), when it began."""
    state: Object = (await runtime.podman.inspect(container_id)).get("State") or {}
    return state


def _seen(
    runtime: Runtime, context: PodContext, container: Object, attempt: int, container_id: str, image: Image
) -> Seen:
    now_s = float(int(runtime.clock.now()))
    return Seen(
        id=container_id,
        name=container["name"],
        attempt=attempt,
        state=State.RUNNING,
        sandbox=context.sandbox or "",
        spec_hash=spec.container_hash(container),
        created_s=now_s,
        started_s=now_s,
        image=container.get("image", ""),
        image_id=image.id,
        stop_signal=translate.stop_signal(container, image),
    )
