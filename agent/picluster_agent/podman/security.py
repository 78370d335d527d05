"""From security contexts to users, capabilities and profiles. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from picluster.api.types import Object
from picluster_agent.podman.env import ConfigError
from picluster_agent.podman.launch import Launch
from picluster_agent.sync import spec


def security(launch: Launch) -> Object:
    """The part of the create body that says who the container runs as and what it may do."""
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
