"""From one container of a pod to the body that Podman creates it from. Pure.

The body is libpod's SpecGenerator (Podman 4.3, ``pkg/specgen/specgen.go``). Containers carry labels that say whose they
are; everything that the agent must know after a restart is in them, so Podman's list alone restores its picture.
"""

from __future__ import annotations

from picluster.api.types import Object
from picluster_agent.podman.env import expand
from picluster_agent.podman.launch import Image, Launch, Mount
from picluster_agent.podman.limits import limits
from picluster_agent.podman.security import security
from picluster_agent.podman.sysctls import PING, sandbox_sysctls
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

LOG_BYTES_MAX = 1 << 30
"""Where conmon throws a log away, if no agent has rotated it long before."""


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
        "env": _environment(launch),
        "unsetenv": ["container"] if container.get("tty") else ["container", "TERM"],
        "restart_policy": "no",
        "systemd": "false",
        "use_image_hosts": True,
        "use_image_resolve_conf": True,
        "image_volume_mode": "anonymous",  # on the disk, and gone with the container
        "healthconfig": {"Test": ["NONE"]},
        "log_configuration": {"driver": "k8s-file", "path": str(launch.log_path), "size": LOG_BYTES_MAX},
        "mounts": [_mount(mount) for mount in launch.mounts],
    }
    if command := container.get("command"):
        body["entrypoint"] = [expand(word, launch.env) for word in command]
    if args := container.get("args"):
        body["command"] = [expand(word, launch.env) for word in args]
    if work_dir := container.get("workingDir"):
        body.update(work_dir=work_dir, create_working_dir=True)
    if launch.runtime:
        body["oci_runtime"] = launch.runtime
    if container.get("stdin"):
        body["stdin"] = True
    if container.get("tty"):
        body["terminal"] = True
    if launch.devices:
        body["devices"] = [{"path": f"{one.source}:{one.target}:{one.permissions}"} for one in launch.devices]
    if not spec.host_network(pod):  # also here, or the defaults of Podman's configuration would come after the pod's
        body["sysctl"] = {name: value for name, value in sandbox_sysctls(pod["spec"]).items() if name == PING}
    body.update(_namespaces(launch))
    body.update(limits(launch))
    body.update(security(launch))
    return body


def _environment(launch: Launch) -> Object:
    """On the node's network the host name is the node's, which Podman tells by itself."""
    own = {} if spec.host_network(launch.pod) else {"HOSTNAME": spec.hostname(launch.pod)}
    return {**own, **launch.env}


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
        LABEL_SIGNAL: stop_signal(launch.container, launch.image),
    }


def stop_signal(container: Object, image: Image) -> str:
    """What ends the container gently: its own (KEP-4960), its image's, or SIGTERM."""
    return (container.get("lifecycle") or {}).get("stopSignal") or image.stop_signal or "SIGTERM"


def _mount(mount: Mount) -> Object:
    options = ["rbind", "ro" if mount.read_only else "rw", mount.propagation]
    options += ["noexec"] * mount.no_exec + ["nosuid", "nodev"] * mount.plain + ["z"] * mount.relabel
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
    if launch.pids is not None:
        body["pidns"] = {"nsmode": "path", "value": str(launch.pids)}
    elif launch.target_pid and not pod_spec.get("hostPID"):
        body["pidns"] = {"nsmode": "path", "value": f"/proc/{launch.target_pid}/ns/pid"}
    return body
