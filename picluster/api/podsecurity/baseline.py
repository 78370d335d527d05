"""The level ``baseline``: known ways to gain the host's privileges are closed."""

from __future__ import annotations

from picluster.api.podsecurity.common import Check, Pod, Said, context, named, plural, quoted

ADDABLE = frozenset(
    {
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
        "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    }
)  # fmt: skip
SELINUX_TYPES = {0: ("", "container_t", "container_init_t", "container_kvm_t"), 31: ("container_engine_t",)}
SYSCTLS = {
    0: (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
    ),
    27: ("net.ipv4.ip_local_reserved_ports",),
    29: (
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
    ),
    32: ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
}
APPARMOR_PREFIX = "container.apparmor.security.beta.kubernetes.io/"
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
SECCOMP_FIELDS_SINCE = 19
USER_NAMESPACES_SINCE = 35


def _since(table: dict[int, tuple[str, ...]], minor: int) -> set[str]:
    return {value for since, values in table.items() if minor >= since for value in values}


def _apparmor(pod: Pod) -> Said | None:
    bad: list[str] = []
    values: list[str] = []
    profile = pod.context.get("appArmorProfile") or {}
    if profile.get("type") not in (None, "RuntimeDefault", "Localhost"):
        bad.append("pod")
        values.append(profile["type"])
    for container in pod.containers():
        profile = context(container).get("appArmorProfile") or {}
        if profile.get("type") not in (None, "RuntimeDefault", "Localhost"):
            bad.append(f'container "{container["name"]}"')
            values.append(profile["type"])
    annotations = pod.metadata.get("annotations") or {}
    for name, value in sorted(annotations.items()):
        if (
            name.startswith(APPARMOR_PREFIX)
            and value not in ("", "runtime/default")
            and not value.startswith("localhost/")
        ):
            bad.append(f'annotation "{name}"')
            values.append(value)
    if not bad:
        return None
    return (
        f"forbidden AppArmor {plural('profile', values)}",
        f"{' and '.join(bad)} must not set AppArmor profile type to {_or(values)}",
    )


def _capabilities(pod: Pod) -> Said | None:
    bad: list[str] = []
    added: set[str] = set()
    for container in pod.containers():
        forbidden = set((context(container).get("capabilities") or {}).get("add") or ()) - ADDABLE
        if forbidden:
            bad.append(container["name"])
            added |= forbidden
    if not bad:
        return None
    return (
        "non-default capabilities",
        f"{named(bad)} must not include {quoted(sorted(added))} in securityContext.capabilities.add",
    )


def _host_namespaces(pod: Pod) -> Said | None:
    shared = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(name)]
    return ("host namespaces", ", ".join(shared)) if shared else None


def _host_path(pod: Pod) -> Said | None:
    volumes = [volume["name"] for volume in pod.spec.get("volumes") or () if volume.get("hostPath") is not None]
    return ("hostPath volumes", named(volumes, "volume")) if volumes else None


def _host_ports(pod: Pod) -> Said | None:
    bad: list[str] = []
    ports: set[int] = set()
    for container in pod.containers():
        used = {port["hostPort"] for port in container.get("ports") or () if port.get("hostPort")}
        if used:
            bad.append(container["name"])
            ports |= used
    if not bad:
        return None
    uses = "uses" if len(bad) == 1 else "use"
    return (
        "hostPort",
        f"{named(bad)} {uses} {plural('hostPort', sorted(ports))} {', '.join(str(port) for port in sorted(ports))}",
    )


def _privileged(pod: Pod) -> Said | None:
    bad = [container["name"] for container in pod.containers() if context(container).get("privileged")]
    return ("privileged", f"{named(bad)} must not set securityContext.privileged=true") if bad else None


def _proc_mount(pod: Pod) -> Said | None:
    if pod.minor >= USER_NAMESPACES_SINCE and pod.in_user_namespace:
        return None
    bad: list[str] = []
    values: set[str] = set()
    for container in pod.containers():
        if (mount := context(container).get("procMount")) not in (None, "Default"):
            bad.append(container["name"])
            values.add(mount)
    if not bad:
        return None
    return "procMount", f"{named(bad)} must not set securityContext.procMount to {quoted(sorted(values))}"


def _probe_hosts(pod: Pod) -> Said | None:
    """Probes and hooks that may not leave the pod (since 1.34)."""
    bad: list[str] = []
    hosts: set[str] = set()
    for container in pod.containers():
        handlers = [container.get(probe) or {} for probe in ("livenessProbe", "readinessProbe", "startupProbe")]
        handlers += [(container.get("lifecycle") or {}).get(hook) or {} for hook in ("postStart", "preStop")]
        used = {(handler.get(kind) or {}).get("host", "") for handler in handlers for kind in ("httpGet", "tcpSocket")}
        used -= {""}
        if used:
            bad.append(container["name"])
            hosts |= used
    if not bad:
        return None
    uses = "uses" if len(bad) == 1 else "use"
    return (
        "probe or lifecycle host",
        f"{named(bad)} {uses} probe or lifecycle {plural('host', hosts)} {quoted(sorted(hosts))}",
    )


def _seccomp(pod: Pod) -> Said | None:
    return _seccomp_fields(pod) if pod.minor >= SECCOMP_FIELDS_SINCE else _seccomp_annotations(pod)


def _seccomp_fields(pod: Pod) -> Said | None:
    bad: list[str] = []
    values: set[str] = set()
    profile = (pod.context.get("seccompProfile") or {}).get("type")
    if profile not in (None, "RuntimeDefault", "Localhost"):
        bad.append("pod")
        values.add(profile)
    containers = []
    for container in pod.containers():
        profile = (context(container).get("seccompProfile") or {}).get("type")
        if profile not in (None, "RuntimeDefault", "Localhost"):
            containers.append(container["name"])
            values.add(profile)
    if containers:
        bad.append(named(containers))
    if not bad:
        return None
    return (
        "seccompProfile",
        f"{' and '.join(bad)} must not set securityContext.seccompProfile.type to {quoted(sorted(values))}",
    )


def _seccomp_annotations(pod: Pod) -> Said | None:
    annotations = pod.metadata.get("annotations") or {}
    bad = sorted(
        name
        for name, value in annotations.items()
        if (name == SECCOMP_POD or name.startswith(SECCOMP_CONTAINER))
        and value not in ("runtime/default", "docker/default")
        and not value.startswith("localhost/")
    )
    if not bad:
        return None
    values = quoted(sorted({annotations[name] for name in bad}))
    return "seccompProfile", f"forbidden {plural('annotation', bad)} {', '.join(f'{name}={values}' for name in bad)}"


def _selinux(pod: Pod) -> Said | None:
    bad: list[str] = []
    types: list[str] = []
    set_users = set_roles = False
    allowed = _since(SELINUX_TYPES, pod.minor)
    for who, options in [("pod", pod.context.get("seLinuxOptions"))] + [
        (f'container "{container["name"]}"', context(container).get("seLinuxOptions")) for container in pod.containers()
    ]:
        options = options or {}
        wrong_type = options.get("type", "") not in allowed
        if wrong_type and options["type"] not in types:
            types.append(options["type"])
        set_users |= bool(options.get("user"))
        set_roles |= bool(options.get("role"))
        if wrong_type or options.get("user") or options.get("role"):
            bad.append(who)
    if not bad:
        return None
    what = []
    if types:
        what.append(f"{plural('type', types)} {quoted(types)}")
    if set_users:
        what.append("user may not be set")
    if set_roles:
        what.append("role may not be set")
    return "seLinuxOptions", f"{' and '.join(bad)} set forbidden securityContext.seLinuxOptions: {'; '.join(what)}"


def _sysctls(pod: Pod) -> Said | None:
    allowed = _since(SYSCTLS, pod.minor)
    bad = [sysctl["name"] for sysctl in pod.context.get("sysctls") or () if sysctl["name"] not in allowed]
    return ("forbidden sysctls", ", ".join(bad)) if bad else None


def _windows_host_process(pod: Pod) -> Said | None:
    bad = [
        container["name"]
        for container in pod.containers()
        if (context(container).get("windowsOptions") or {}).get("hostProcess")
    ]
    of_pod = (pod.context.get("windowsOptions") or {}).get("hostProcess")
    if not bad and not of_pod:
        return None
    who = ["pod"] * bool(of_pod) + ([named(bad)] if bad else [])
    return "hostProcess", f"{' and '.join(who)} must not set securityContext.windowsOptions.hostProcess=true"


def _or(values: list[str]) -> str:
    return quoted(sorted(set(values)))


CHECKS = (
    Check("appArmorProfile", _apparmor),
    Check("capabilities_baseline", _capabilities),
    Check("hostNamespaces", _host_namespaces),
    Check("hostPathVolumes", _host_path),
    Check("hostPorts", _host_ports),
    Check("hostProbesAndHostLifecycle", _probe_hosts, since=34),
    Check("privileged", _privileged),
    Check("procMount", _proc_mount),
    Check("seLinuxOptions", _selinux),
    Check("seccompProfile_baseline", _seccomp),
    Check("sysctls", _sysctls),
    Check("windowsHostProcess", _windows_host_process),
)
