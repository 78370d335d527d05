"""Security contexts of pods and containers."""

from __future__ import annotations

import re

from picluster.api.errors import FieldError, forbidden_field, invalid_value, required
from picluster.api.types import Object
from picluster.api.validation.common import in_range, local_path, one_of

Failures = list[FieldError]

ID_MAX = 2**32 - 1
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SYSCTL_RE = re.compile(r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?([./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*")
_SYSCTL_PATTERN = "([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL_MAX = 253
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")


def pod(context: Object, spec: Object, path: str, failures: Failures) -> None:
    get = context.get
    for field in ("fsGroup", "runAsUser", "runAsGroup"):
        _identity(get(field), f"{path}.{field}", failures)
    for index, group in enumerate(get("supplementalGroups") or ()):
        _identity(group, f"{path}.supplementalGroups[{index}]", failures)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        detail = "ShareProcessNamespace and HostPID cannot both be enabled"
        failures.append(invalid_value(f"{path}.shareProcessNamespace", True, detail))
    _sysctls(get("sysctls") or (), spec, f"{path}.sysctls", failures)
    if (policy := get("fsGroupChangePolicy")) is not None:
        one_of(policy, ("Always", "OnRootMismatch"), f"{path}.fsGroupChangePolicy", failures)
    if (policy := get("supplementalGroupsPolicy")) is not None:
        one_of(policy, ("Merge", "Strict"), f"{path}.supplementalGroupsPolicy", failures)
    if (policy := get("seLinuxChangePolicy")) is not None:
        one_of(policy, ("MountOption", "Recursive"), f"{path}.seLinuxChangePolicy", failures)
    _profiles(context, path, failures)


def container(context: Object, path: str, failures: Failures) -> None:
    get = context.get
    for field in ("runAsUser", "runAsGroup"):
        _identity(get(field), f"{path}.{field}", failures)
    if (mount := get("procMount")) is not None:
        one_of(mount, ("Default", "Unmasked"), f"{path}.procMount", failures)
    _profiles(context, path, failures)
    if get("allowPrivilegeEscalation") is False:
        if get("privileged"):
            detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            failures.append(invalid_value(path, context, detail))
        if "CAP_SYS_ADMIN" in ((get("capabilities") or {}).get("add") or ()):
            detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            failures.append(invalid_value(path, context, detail))


def _identity(value: int | None, path: str, failures: Failures) -> None:
    if value is not None:
        in_range(value, 0, ID_MAX, path, failures)


def _profiles(context: Object, path: str, failures: Failures) -> None:
    for field, called in (("seccompProfile", "seccomp"), ("appArmorProfile", "AppArmor")):
        profile = context.get(field)
        if profile is not None:
            _profile(profile, field, called, f"{path}.{field}", failures)


def _profile(profile: Object, field: str, called: str, path: str, failures: Failures) -> None:
    kind, local = profile.get("type"), profile.get("localhostProfile")
    if not kind:
        failures.append(required(f"{path}.type", f"type is required when {field} is set"))
    else:
        one_of(kind, _PROFILES, f"{path}.type", failures)
    if kind == "Localhost":
        if not local:
            detail = f"must be set when {called} type is Localhost"
            failures.append(required(f"{path}.localhostProfile", detail))
        elif field == "seccompProfile":
            local_path(local, f"{path}.localhostProfile", failures)
        elif local != local.strip():
            detail = "must not be padded with whitespace"
            failures.append(invalid_value(f"{path}.localhostProfile", local, detail))
    elif local is not None:
        detail = f"can only be set when {called} type is Localhost"
        failures.append(invalid_value(f"{path}.localhostProfile", local, detail))


def _sysctls(sysctls: list[Object] | tuple[()], spec: Object, path: str, failures: Failures) -> None:
    seen: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        name, where = sysctl.get("name", ""), f"{path}[{index}].name"
        if not name:
            failures.append(required(where))
        elif len(name) > _SYSCTL_MAX or not _SYSCTL_RE.fullmatch(name):
            detail = f"must have at most {_SYSCTL_MAX} characters and match regex {_SYSCTL_PATTERN}"
            failures.append(invalid_value(where, name, detail))
        elif name in seen:
            failures.append(FieldError("FieldValueDuplicate", where, f'Duplicate value: "{name}"'))
        seen.add(name)
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith("net."):
            failures.append(invalid_value(where, name, "may not be specified when 'hostNetwork' is true"))
        if spec.get("hostIPC") and dotted.startswith(_IPC_SYSCTLS):
            failures.append(invalid_value(where, name, "may not be specified when 'hostIPC' is true"))


def host_users(spec: Object, path: str, failures: Failures) -> None:
    """A pod with its own user namespace cannot share the host's other namespaces."""
    if spec.get("hostUsers") is False:
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(field):
                detail = "when `pod.Spec.HostUsers` is false"
                failures.append(forbidden_field(f"{path}.{field}", detail))
