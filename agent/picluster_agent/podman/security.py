"""From security contexts to users, capabilities, profiles and masks. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from picluster.api.types import Object
from picluster_agent.podman.capabilities import capabilities
from picluster_agent.podman.confinement import apparmor, seccomp, selinux
from picluster_agent.podman.env import ConfigError
from picluster_agent.podman.identity import identity, pod_groups, security_context
from picluster_agent.podman.launch import Launch
from picluster_agent.sync import spec

MASKED = ["/proc/asound", "/sys/devices/virtual/powercap"]
"""What the runtimes of Kubernetes hide beside Podman's own list."""


def security(launch: Launch) -> Object:
    """The part of the create body that says who the container runs as and what it may do."""
    pod, container, node = launch.pod, launch.container, launch.node
    context = security_context(pod, container)
    if context.get("runAsNonRoot"):
        _check_non_root(launch, context)
    body = _user(launch, context)
    if context.get("privileged"):
        body["privileged"] = True
        if node.cgroup_version == 2:  # as containerd: who may change every group sees every group
            body["cgroupns"] = {"nsmode": "host"}
    else:
        root = str(body["user"]).partition(":")[0] in ("0", "root")
        body.update(capabilities(context, root=root))
        unmasked = context.get("procMount") == "Unmasked"
        body.update({"unmask": ["ALL"]} if unmasked else {"mask": MASKED})
    if context.get("readOnlyRootFilesystem"):
        body["read_only_filesystem"] = True
    if context.get("allowPrivilegeEscalation") is False:
        body["no_new_privileges"] = True
    body.update(seccomp(context, node.seccomp_profiles, by_default=node.seccomp_default))
    body.update(apparmor(pod, container, enabled=node.apparmor))
    body.update(selinux(context))
    return body


def _user(launch: Launch, context: Object) -> Object:
    """By number. What only the container's own start can look up is left to Podman, which may refuse it."""
    body: Object = {"manage_password": False}  # an account that the image does not have is not made up
    accounts, image_user = launch.accounts, launch.image.user
    who = identity(launch.pod, launch.container, image_user, accounts) if accounts else None
    if who is not None:
        groups: Sequence[int] = who.groups
        body["user"] = f"{who.uid}:{who.gid}"
    else:
        groups = pod_groups(launch.pod)
        user, group = context.get("runAsUser"), context.get("runAsGroup")
        body["user"] = str(user) if user is not None else image_user or "0"
        if group is not None:
            body["user"] = f"{body['user'].partition(':')[0]}:{group}"
    if groups:
        body["groups"] = [str(group) for group in groups]
    return body


def _check_non_root(launch: Launch, context: Object) -> None:
    where = f'(pod: "{spec.full_name(launch.pod)}", container: {launch.container["name"]})'
    user = context.get("runAsUser")
    if user is not None:
        if user == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        return
    of_image = launch.image.user.partition(":")[0]
    if of_image and not of_image.isdigit():
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({of_image}), "
            f"cannot verify user is non-root {where}"
        )
    if not int(of_image or 0):
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
