"""From one container of a pod to the body that Podman creates it from. Pure.

The body is libpod's SpecGenerator (Podman 4.3, ``pkg/specgen/specgen.go``). Containers carry labels that say whose they
are; everything that the agent must know after a restart is in them, so Podman's list alone restores its picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from picluster.api.podresources import qos_class
from picluster.api.quantity import milli, value
from picluster.api.types import Object
from picluster_agent.podman.env import ConfigError, NodeFacts, expand
from picluster_agent.sync import spec

LABEL_UID = "io.kubernetes.pod.uid"
LABEL_POD = "io.kubernetes.pod.name"
LABEL_NAMESPACE = "io.kubernetes.pod.namespace"
LABEL_CONTAINER = "io.kubernetes.container.name"
LABEL_ATTEMPT = "io.kubernetes.container.restartCount"
LABEL_HASH = "io.kubernetes.container.hash"
LABEL_SANDBOX = "picluster.io/sandbox"
LABEL_GRACE = "picluster.io/grace-period-s"
LABEL_SIGNAL = "picluster.io/stop-signal"

LOG_BYTES_MAX = 10 * 1024 * 1024
CPU_PERIOD_US = 100_000
CPU_QUOTA_MIN_US = 1_000
CPU_SHARES_MIN = 2
CPU_SHARES_MAX = 262_144


@dataclass(frozen=True, slots=True)
class Mount:
    """A bind mount of ``source`` on the host to ``target`` in the container."""

    source: Path
    target: str
    read_only: bool = False
    propagation: str = "rprivate"


@dataclass(frozen=True, slots=True)
class Image:
    """What the agent must know of a local image: its id and the defaults in its configuration."""

    id: str
    user: str = ""
    stop_signal: str = ""

    @classmethod
    def from_inspect(cls, inspected: Object) -> Image:
        config = inspected.get("Config") or {}
        return cls(str(inspected["Id"]), str(config.get("User") or ""), str(config.get("StopSignal") or ""))


@dataclass(frozen=True, slots=True)
class Launch:
    """One attempt at one container, with everything looked up."""

    pod: Object
    container: Object
    attempt: int
    sandbox: str
    namespaces: Mapping[str, Path]
    """``net``, ``ipc``, ``uts``: where the sandbox's namespaces are pinned."""
    env: Mapping[str, str]
    image: Image
    mounts: Sequence[Mount]
    log_path: Path
    node: NodeFacts


def container_name(pod: Object, name: str, attempt: int) -> str:
    """Podman refuses a second container of one name, so an attempt exists at most once."""
    metadata = pod["metadata"]
    return f"k8s_{name}_{metadata['name']}_{metadata['namespace']}_{metadata['uid']}_{attempt}"


def create_body(launch: Launch) -> Object:
    """The SpecGenerator of ``launch``; raises ``ConfigError`` where the specification contradicts the image."""
    pod, container = launch.pod, launch.container
    body: Object = {
        "name": container_name(pod, container["name"], launch.attempt),
        "image": launch.image.id,
        "labels": _labels(launch),
        "env": {"HOSTNAME": spec.hostname(pod), **launch.env},
        "restart_policy": "no",
        "systemd": "false",
        "use_image_hosts": True,
        "use_image_resolve_conf": True,
        "image_volume_mode": "tmpfs",
        "healthconfig": {"Test": ["NONE"]},
        "log_configuration": {"driver": "k8s-file", "path": str(launch.log_path), "size": LOG_BYTES_MAX},
        "mounts": [_mount(mount) for mount in launch.mounts],
    }
    if command := container.get("command"):
        body["entrypoint"] = [expand(word, launch.env) for word in command]
    if args := container.get("args"):
        body["command"] = [expand(word, launch.env) for word in args]
    if work_dir := container.get("workingDir"):
        body["work_dir"] = work_dir
    if container.get("stdin"):
        body["stdin"] = True
    if container.get("tty"):
        body["terminal"] = True
    body.update(_namespaces(launch))
    body.update(_limits(launch))
    body.update(_security(launch))
    return body


def _labels(launch: Launch) -> dict[str, str]:
    metadata = launch.pod["metadata"]
    return {
        LABEL_UID: metadata["uid"],
        LABEL_POD: metadata["name"],
        LABEL_NAMESPACE: metadata["namespace"],
        LABEL_CONTAINER: launch.container["name"],
        LABEL_ATTEMPT: str(launch.attempt),
        LABEL_HASH: spec.container_hash(launch.container),
        LABEL_SANDBOX: launch.sandbox,
        LABEL_GRACE: f"{spec.grace_period_s(launch.pod):g}",
        LABEL_SIGNAL: launch.image.stop_signal or "SIGTERM",
    }


def _mount(mount: Mount) -> Object:
    options = ["rbind", "ro" if mount.read_only else "rw", mount.propagation]
    return {"type": "bind", "source": str(mount.source), "destination": mount.target, "options": options}


def _namespaces(launch: Launch) -> Object:
    pod_spec = launch.pod["spec"]
    host = {
        "net": bool(pod_spec.get("hostNetwork")),
        "uts": bool(pod_spec.get("hostNetwork")),
        "ipc": bool(pod_spec.get("hostIPC")),
    }
    body: Object = {
        f"{kind}ns": {"nsmode": "host"} if host[kind] else {"nsmode": "path", "value": str(launch.namespaces[kind])}
        for kind in ("net", "ipc", "uts")
    }
    body["pidns"] = {"nsmode": "host" if pod_spec.get("hostPID") else "private"}
    return body


# -- limits ------------------------------------------------------------------------------------------------------------


def _limits(launch: Launch) -> Object:
    resources = launch.container.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    cpu: Object = {}
    if "cpu" in limits:
        quota_us = milli(limits["cpu"]) * CPU_PERIOD_US // 1000
        if quota_us:
            cpu.update(quota=max(quota_us, CPU_QUOTA_MIN_US), period=CPU_PERIOD_US)
    wanted = requests.get("cpu", limits.get("cpu"))
    shares = milli(wanted) * 1024 // 1000 if wanted is not None else 0
    cpu["shares"] = min(max(shares, CPU_SHARES_MIN), CPU_SHARES_MAX)
    linux: Object = {"cpu": cpu}
    if "memory" in limits and (memory_bytes := value(limits["memory"])):
        linux["memory"] = {"limit": memory_bytes}
    body: Object = {"resource_limits": linux}
    adjustment = oom_score_adjustment(launch.pod, launch.container, launch.node.memory_bytes)
    if adjustment >= 0 or launch.node.may_lower_oom:
        body["oom_score_adj"] = adjustment
    return body


def oom_score_adjustment(pod: Object, container: Object, node_memory_bytes: int) -> int:
    """How gladly the kernel may kill a container when memory ends, by quality of service, as the kubelet has it."""
    quality = qos_class(pod["spec"])
    if pod["spec"].get("priorityClassName") == "system-node-critical" or quality == "Guaranteed":
        return -997
    if quality == "BestEffort":
        return 1000
    request = ((container.get("resources") or {}).get("requests") or {}).get("memory")
    request_bytes = value(request) if request is not None else 0
    score = 1000 - (1000 * request_bytes) // node_memory_bytes if node_memory_bytes else 999
    return min(max(score, 3), 999)


# -- security ----------------------------------------------------------------------------------------------------------


def _security(launch: Launch) -> Object:
    pod_context = launch.pod["spec"].get("securityContext") or {}
    context = launch.container.get("securityContext") or {}
    merged = {**{k: v for k, v in pod_context.items() if v is not None}, **context}
    body: Object = {}
    user = _user(launch, merged)
    if user:
        body["user"] = user
    groups = [str(group) for group in pod_context.get("supplementalGroups") or ()]
    if pod_context.get("fsGroup") is not None:
        groups.append(str(pod_context["fsGroup"]))
    if groups:
        body["groups"] = groups
    capabilities = context.get("capabilities") or {}
    if added := capabilities.get("add"):
        body["cap_add"] = [_capability(name) for name in added]
    if dropped := capabilities.get("drop"):
        body["cap_drop"] = [_capability(name) for name in dropped]
    if context.get("privileged"):
        body["privileged"] = True
    if context.get("readOnlyRootFilesystem"):
        body["read_only_filesystem"] = True
    if context.get("allowPrivilegeEscalation") is False:
        body["no_new_privileges"] = True
    if context.get("procMount") == "Unmasked":
        body["unmask"] = ["ALL"]
    body.update(_seccomp(merged.get("seccompProfile") or {}))
    return body


def _user(launch: Launch, context: Mapping[str, object]) -> str:
    user, group = context.get("runAsUser"), context.get("runAsGroup")
    if context.get("runAsNonRoot"):
        _check_non_root(launch, user)
    if user is None and group is None:
        return ""
    owner = str(user) if user is not None else (launch.image.user.partition(":")[0] or "0")
    return owner if group is None else f"{owner}:{group}"


def _check_non_root(launch: Launch, user: object) -> None:
    where = f'(pod: "{spec.full_name(launch.pod)}", container: {launch.container["name"]})'
    if user is not None:
        if user == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        return
    of_image = launch.image.user.partition(":")[0]
    if of_image in ("", "0", "root"):
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
    if not of_image.isdigit():
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({of_image}), "
            f"cannot verify user is non-root {where}"
        )


def _capability(name: str) -> str:
    upper = name.upper()
    return upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"


def _seccomp(profile: Mapping[str, str]) -> Object:
    if profile.get("type") == "Unconfined":
        return {"seccomp_profile_path": "unconfined"}
    if profile.get("type") == "Localhost":
        return {"seccomp_profile_path": f"/var/lib/picluster/seccomp/{profile['localhostProfile']}"}
    return {}
