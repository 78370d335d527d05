"""What the kernel's security modules are told of a container: seccomp, AppArmor, SELinux. Pure.

Sources: ``pkg/security/apparmor``, ``pkg/kubelet/kuberuntime/helpers.go`` in Kubernetes 1.36.
"""

from __future__ import annotations

from pathlib import Path

from picluster.api.types import Object
from picluster_agent.podman.identity import security_context

APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
APPARMOR_REFUSED = "Cannot enforce AppArmor: AppArmor is not enabled on the host"
_APPARMOR_TYPES = {"runtime/default": "RuntimeDefault", "unconfined": "Unconfined"}


def seccomp(context: Object, profiles: Path, *, by_default: bool) -> Object:
    """Nothing stands for Podman's own profile, which is its default as ``Unconfined`` is Kubernetes'."""
    profile = context.get("seccompProfile") or {"type": "RuntimeDefault" if by_default else "Unconfined"}
    if context.get("privileged") or profile["type"] == "Unconfined":
        return {"seccomp_profile_path": "unconfined"}
    if profile["type"] == "Localhost":
        return {"seccomp_profile_path": str(profiles / profile["localhostProfile"])}
    return {}


def apparmor_profile(pod: Object, container: Object) -> Object:
    """``type`` and ``localhostProfile``, from the fields or the annotation of old; empty when nothing is said."""
    found: Object | None = security_context(pod, container).get("appArmorProfile")
    if found:
        return found
    text = (pod["metadata"].get("annotations") or {}).get(APPARMOR_ANNOTATION + container["name"], "")
    if text.startswith("localhost/"):
        return {"type": "Localhost", "localhostProfile": text.removeprefix("localhost/")}
    return {"type": _APPARMOR_TYPES[text]} if text in _APPARMOR_TYPES else {}


def needs_apparmor(pod: Object) -> bool:
    """Whether some container wants to be confined: its pod may run only where the kernel can do that."""
    kinds = ("initContainers", "containers", "ephemeralContainers")
    everyone = (one for kind in kinds for one in pod["spec"].get(kind) or ())
    return any(apparmor_profile(pod, one).get("type", "Unconfined") != "Unconfined" for one in everyone)


def apparmor(pod: Object, container: Object, *, enabled: bool) -> Object:
    profile = apparmor_profile(pod, container) if enabled else {}
    if profile.get("type") == "Unconfined":
        return {"apparmor_profile": "unconfined"}
    if profile.get("type") == "Localhost":
        return {"apparmor_profile": profile["localhostProfile"]}
    return {}


def selinux(context: Object) -> Object:
    """Label options; without SELinux on the host Podman ignores them."""
    options = context.get("seLinuxOptions") or {}
    labels = [f"{part}:{options[part]}" for part in ("user", "role", "type", "level") if options.get(part)]
    return {"selinux_opts": labels} if labels else {}
