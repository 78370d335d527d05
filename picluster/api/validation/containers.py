"""Containers of a pod: regular, init and ephemeral ones."""

from __future__ import annotations

from typing import NamedTuple

from picluster.api import names
from picluster.api.errors import FieldError, duplicate, forbidden_field, invalid_value, not_found_value, required
from picluster.api.types import Object
from picluster.api.validation import environment, probes, resource_lists, security
from picluster.api.validation.common import PROTOCOLS, local_path, named, no_backsteps, one_of, port_number

Failures = list[FieldError]

_TERMINATION_POLICIES = ("File", "FallbackToLogsOnError")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_ONLY_SIDECARS = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
_NOT_EPHEMERAL = ("ports", "lifecycle", "livenessProbe", "readinessProbe", "startupProbe", "resizePolicy")


class PodContext(NamedTuple):
    """What a container's fields are checked against."""

    volumes: dict[str, Object]
    claims: frozenset[str]
    grace_period_s: int | None
    restart_policy: str


def regular(containers: list[Object], context: PodContext, path: str, failures: Failures) -> None:
    if not containers:
        failures.append(required(path))
        return
    seen: set[str] = set()
    for index, container in enumerate(containers):
        where = f"{path}[{index}]"
        _common(container, context, where, failures)
        _unique(container, seen, where, failures)
        _hooks_and_probes(container, context, where, failures)
        if (policy := container.get("restartPolicy")) is not None and policy not in _RESTART_POLICIES:
            one_of(policy, _RESTART_POLICIES, f"{where}.restartPolicy", failures)
    _host_ports(containers, path, failures)


def init(containers: list[Object], others: list[Object], context: PodContext, path: str, failures: Failures) -> None:
    seen = {container.get("name", "") for container in others}
    for index, container in enumerate(containers):
        where = f"{path}[{index}]"
        _common(container, context, where, failures)
        _unique(container, seen, where, failures)
        _host_ports([container], path, failures)
        policy = container.get("restartPolicy")
        if policy is not None:
            one_of(policy, _RESTART_POLICIES, f"{where}.restartPolicy", failures)
        if policy == "Always":
            _hooks_and_probes(container, context, where, failures)
            continue
        for field in _ONLY_SIDECARS:
            if container.get(field) is not None:
                detail = "may not be set for init containers without restartPolicy=Always"
                failures.append(forbidden_field(f"{where}.{field}", detail))


def ephemeral(
    containers: list[Object], others: list[Object], context: PodContext, path: str, failures: Failures
) -> None:
    targets = {container.get("name", "") for container in others}
    seen = set(targets)
    for index, container in enumerate(containers):
        where = f"{path}[{index}]"
        _common(container, context, where, failures)
        _unique(container, seen, where, failures)
        target = container.get("targetContainerName")
        if target and target not in targets:
            failures.append(not_found_value(f"{where}.targetContainerName", target))
        fields = [field for field in _NOT_EPHEMERAL if container.get(field)]
        fields += ["resources"] if container.get("resources") else []
        for field in fields:
            failures.append(forbidden_field(f"{where}.{field}", "cannot be set for an Ephemeral Container"))
        for place, mount in enumerate(container.get("volumeMounts") or ()):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    path_of_field = f"{where}.volumeMounts[{place}].{field}"
                    failures.append(forbidden_field(path_of_field, "cannot be set for an Ephemeral Container"))


def images_without_space(containers: list[Object], path: str, failures: Failures) -> None:
    """Asked of pods, not of templates."""
    for index, container in enumerate(containers):
        image = container.get("image") or ""
        if image != image.strip():
            detail = "must not have leading or trailing whitespace"
            failures.append(invalid_value(f"{path}[{index}].image", image, detail))


def _common(container: Object, context: PodContext, path: str, failures: Failures) -> None:
    get = container.get
    name = get("name")
    if not name:
        failures.append(required(f"{path}.name"))
    else:
        for message in names.dns1123_label(name):
            failures.append(invalid_value(f"{path}.name", name, message))
    if not get("image"):
        failures.append(required(f"{path}.image"))
    if get("terminationMessagePolicy") not in _TERMINATION_POLICIES:
        where = f"{path}.terminationMessagePolicy"
        one_of(get("terminationMessagePolicy"), _TERMINATION_POLICIES, where, failures)
    if ports := get("ports"):
        _ports(ports, f"{path}.ports", failures)
    if env := get("env"):
        environment.variables(env, f"{path}.env", failures)
    if sources := get("envFrom"):
        environment.variables_from(sources, f"{path}.envFrom", failures)
    if mounts := get("volumeMounts"):
        _mounts(mounts, container, context, f"{path}.volumeMounts", failures)
    if devices := get("volumeDevices"):
        _devices(devices, container, context, f"{path}.volumeDevices", failures)
    if get("imagePullPolicy") not in _PULL_POLICIES:
        one_of(get("imagePullPolicy"), _PULL_POLICIES, f"{path}.imagePullPolicy", failures)
    if resources := get("resources"):
        resource_lists.requirements(resources, f"{path}.resources", failures, claims=context.claims)
    if policies := get("resizePolicy"):
        _resize_policy(policies, context, f"{path}.resizePolicy", failures)
    if (security_context := get("securityContext")) is not None:
        security.container(security_context, f"{path}.securityContext", failures)


def _unique(container: Object, seen: set[str], path: str, failures: Failures) -> None:
    name = container.get("name", "")
    if name in seen:
        failures.append(duplicate(f"{path}.name", name))
    elif name:
        seen.add(name)


def _hooks_and_probes(container: Object, context: PodContext, path: str, failures: Failures) -> None:
    hooks = container.get("lifecycle")
    if hooks is not None:
        probes.lifecycle(hooks, context.grace_period_s, f"{path}.lifecycle", failures)
    probes.probes(container, path, failures)


def _ports(ports: list[Object], path: str, failures: Failures) -> None:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        get = port.get
        name, number, host_port = get("name"), get("containerPort"), get("hostPort")
        if name:
            messages = names.port_name(name)
            named(messages, f"{path}[{index}].name", name, failures)
            if not messages and name in seen:
                failures.append(duplicate(f"{path}[{index}].name", name))
            seen.add(name)
        if not number:
            failures.append(required(f"{path}[{index}].containerPort"))
        elif not 1 <= number <= 65535:
            port_number(number, f"{path}[{index}].containerPort", failures)
        if host_port:
            port_number(host_port, f"{path}[{index}].hostPort", failures)
        if get("protocol") not in PROTOCOLS:
            one_of(get("protocol"), PROTOCOLS, f"{path}[{index}].protocol", failures)


def _host_ports(containers: list[Object], path: str, failures: Failures) -> None:
    seen: set[str] = set()
    for index, container in enumerate(containers):
        for place, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            taken = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if taken in seen:
                failures.append(duplicate(f"{path}[{index}].ports[{place}].hostPort", taken))
            seen.add(taken)


def _mounts(mounts: list[Object], container: Object, context: PodContext, path: str, failures: Failures) -> None:
    devices = container.get("volumeDevices") or ()
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        get = mount.get
        name, target = get("name") or "", get("mountPath") or ""
        if not name:
            failures.append(required(f"{path}[{index}].name"))
        if name not in context.volumes:
            failures.append(not_found_value(f"{path}[{index}].name", name))
        if not target:
            failures.append(required(f"{path}[{index}].mountPath"))
        if target in seen:
            failures.append(invalid_value(f"{path}[{index}].mountPath", target, "must be unique"))
        seen.add(target)
        for device in devices:
            if device.get("name") == name:
                detail = "must not already exist in volumeDevices"
                failures.append(invalid_value(f"{path}[{index}].name", name, detail))
            if device.get("devicePath") == target:
                detail = "must not already exist as a path in volumeDevices"
                failures.append(invalid_value(f"{path}[{index}].mountPath", target, detail))
        if len(mount) > 2:
            _mount_options(mount, container, context, path, index, failures)


def _mount_options(
    mount: Object, container: Object, context: PodContext, path: str, index: int, failures: Failures
) -> None:
    sub_path, expression = mount.get("subPath"), mount.get("subPathExpr")
    if sub_path:
        local_path(sub_path, f"{path}.subPath", failures)
    if expression:
        if sub_path:
            detail = "subPathExpr and subPath are mutually exclusive"
            failures.append(invalid_value(f"{path}[{index}].subPathExpr", expression, detail))
        local_path(expression, f"{path}.subPathExpr", failures)
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        privileged = (container.get("securityContext") or {}).get("privileged")
        if propagation == "Bidirectional" and not privileged:
            detail = "Bidirectional mount propagation is available only to privileged containers"
            failures.append(forbidden_field(f"{path}.mountPropagation", detail))
        one_of(propagation, _PROPAGATIONS, f"{path}.mountPropagation", failures)
    recursive = mount.get("recursiveReadOnly")
    if recursive is not None:
        one_of(recursive, ("Disabled", "Enabled", "IfPossible"), f"{path}.recursiveReadOnly", failures)
        if recursive != "Disabled" and not mount.get("readOnly"):
            detail = "may only be specified when readOnly is true"
            failures.append(forbidden_field(f"{path}.recursiveReadOnly", detail))


def _devices(devices: list[Object], container: Object, context: PodContext, path: str, failures: Failures) -> None:
    seen_names: set[str] = set()
    seen_paths: set[str] = set()
    for index, device in enumerate(devices):
        name, target = device.get("name") or "", device.get("devicePath") or ""
        where = f"{path}[{index}]"
        volume = context.volumes.get(name)
        if not name:
            failures.append(required(f"{where}.name"))
        if name in seen_names:
            failures.append(invalid_value(f"{where}.name", name, "must be unique"))
        if volume is None:
            failures.append(not_found_value(f"{where}.name", name))
        elif "persistentVolumeClaim" not in volume and "ephemeral" not in volume:
            detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            failures.append(invalid_value(f"{where}.name", name, detail))
        if not target:
            failures.append(required(f"{where}.devicePath"))
        if target in seen_paths:
            failures.append(invalid_value(f"{where}.devicePath", target, "must be unique"))
        no_backsteps(target, f"{where}.devicePath", failures)
        seen_names.add(name)
        seen_paths.add(target)


def _resize_policy(policies: list[Object], context: PodContext, path: str, failures: Failures) -> None:
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        resource, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if resource in seen:
            failures.append(duplicate(f"{path}[{index}]", resource))
        seen.add(resource)
        one_of(resource, ("cpu", "memory"), path, failures)
        one_of(restart, ("NotRequired", "RestartContainer"), path, failures)
        if context.restart_policy == "Never" and restart != "NotRequired":
            detail = "must be 'NotRequired' when `restartPolicy` is 'Never'"
            failures.append(invalid_value(path, restart, detail))
