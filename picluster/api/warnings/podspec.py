"""Pods and templates of pods (``pkg/api/pod/warnings.go``).

Nearly every pod has nothing to be told, and whoever creates many waits for this: a look at each part, and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from picluster.api.types import Object
from picluster.api.warnings import addresses, claims
from picluster.api.warnings.common import NODE_LABELS, NULL_SELECTOR, fraction, is_fraction, selector_term
from picluster.api.warnings.overlaps import overlapping

BYTES = ("memory", "ephemeral-storage")
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
SECCOMP_GONE = 'non-functional in v1.27+; use the "seccompProfile" field instead'
APP_ARMOR_OLD = 'deprecated since v1.30; use the "appArmorProfile" field instead'
ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
"""Plugins that are no more, in the order in which they are told of."""
SHOWN_AS = {"storageos": "storageOS"}
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def of_template(template: Object, path: str) -> list[str]:
    """``path`` is the template's; empty for a pod."""
    spec, prefix = template.get("spec") or {}, f"{path}." if path else ""
    at, found = f"{prefix}spec", []
    annotations = (template.get("metadata") or {}).get("annotations")
    affinity = spec.get("affinity")
    if selector := spec.get("nodeSelector"):
        found += [f"{at}.nodeSelector[{key}]: {NODE_LABELS[key]}" for key in selector if key in NODE_LABELS]
    if affinity:
        found += _node_affinity(affinity.get("nodeAffinity") or {}, f"{at}.affinity.nodeAffinity")
    if constraints := spec.get("topologySpreadConstraints"):
        found += _spread(constraints, f"{at}.topologySpreadConstraints")
    if annotations:
        place = f"{prefix}metadata.annotations"
        found += [f"{place}[{key}]: {said}" for key, said in ANNOTATIONS.items() if key in annotations]
    if volumes := spec.get("volumes"):
        found += _volumes(volumes, f"{at}.volumes")
    if aliases := spec.get("hostAliases"):
        found += _repeated(aliases, "ip", f"{at}.hostAliases")
    if secrets := spec.get("imagePullSecrets"):
        found += _pull_secrets(secrets, f"{at}.imagePullSecrets")
    if overhead := spec.get("overhead"):
        given = [name for name in BYTES if name in overhead and is_fraction(overhead[name])]
        found += [fraction(f"{at}.overhead[{name}]", overhead[name]) for name in given]
    containers = [
        (f"{at}.{group}", index, one) for group in CONTAINERS for index, one in enumerate(spec.get(group) or ())
    ]
    if annotations:
        found += _old_annotations(spec, containers, annotations, f"{prefix}metadata.annotations", pod=not path)
    ports: list[Object] = []
    for group, index, container in containers:
        if resources := container.get("resources"):
            found += _fractions(resources, f"{group}[{index}].resources")
        if (env := container.get("env")) and len(env) > 1:
            found += _variables(env, f"{group}[{index}].env")
        ports += container.get("ports") or ()
    if len(ports) > 1 or (ports and "hostIP" in ports[0]):
        found += _ports(containers)
    grace_s = spec.get("terminationGracePeriodSeconds")
    if grace_s is not None and grace_s < 0:
        advice = "must be >= 0; negative values are invalid and will be treated as 1"
        found.append(f"{at}.terminationGracePeriodSeconds: {advice}")
    if affinity:
        for kind in ("podAffinity", "podAntiAffinity"):
            found += _pod_affinity(affinity.get(kind) or {}, f"{at}.affinity.{kind}")
    if "dnsConfig" in spec:
        for index, server in enumerate(spec["dnsConfig"].get("nameservers") or ()):
            found += addresses.of_ip(f"{at}.dnsConfig.nameservers[{index}]", server)
    for index, alias in enumerate(aliases or ()):
        found += addresses.of_ip(f"{at}.hostAliases[{index}].ip", alias.get("ip") or "")
    return found


def _node_affinity(affinity: Object, path: str) -> Iterator[str]:
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    at = f"{path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    for index, term in enumerate(required.get("nodeSelectorTerms") or ()):
        yield from selector_term(term, f"{at}[{index}]", values=False)
    for index, term in enumerate(affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
        at = f"{path}.preferredDuringSchedulingIgnoredDuringExecution[{index}].preference"
        yield from selector_term(term.get("preference") or {}, at, values=True)


def _pod_affinity(affinity: Object, path: str) -> Iterator[str]:
    for index, term in enumerate(affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()):
        if term.get("labelSelector") is None:
            yield f"{path}.requiredDuringSchedulingIgnoredDuringExecution[{index}].labelSelector: {NULL_SELECTOR}"
    for index, weighted in enumerate(affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
        if (weighted.get("podAffinityTerm") or {}).get("labelSelector") is None:
            at = f"{path}.preferredDuringSchedulingIgnoredDuringExecution[{index}].podAffinityTerm.labelSelector"
            yield f"{at}: {NULL_SELECTOR}"


def _spread(constraints: list[Object], path: str) -> Iterator[str]:
    for index, constraint in enumerate(constraints):
        key = constraint.get("topologyKey", "")
        if key in NODE_LABELS:
            yield f"{path}[{index}].topologyKey: {key} is {NODE_LABELS[key]}"
        if constraint.get("labelSelector") is None:
            yield f"{path}[{index}].labelSelector: {NULL_SELECTOR}"


def _volumes(volumes: list[Object], path: str) -> list[str]:
    found: list[str] = []
    for index, volume in enumerate(volumes):
        for plugin, source in volume.items():
            if plugin in VOLUMES:
                found.append(f"{path}[{index}].{SHOWN_AS.get(plugin, plugin)}: {VOLUMES[plugin]}")
            elif plugin == "ephemeral" and (template := source.get("volumeClaimTemplate")):
                at = f"{path}[{index}].ephemeral.volumeClaimTemplate.spec"
                found += claims.of_spec(template.get("spec") or {}, at)
    for volume in volumes:
        found += overlapping(volume)
    return found


def _repeated(items: list[Object], field: str, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, item in enumerate(items):
        value = item.get(field) or ""
        if value in seen:
            yield f'{path}[{index}].{field}: duplicate {field} "{value}"'
        seen.add(value)


def _pull_secrets(secrets: list[Object], path: str) -> Iterator[str]:
    yield from _repeated(secrets, "name", path)
    for index, secret in enumerate(secrets):
        if not secret.get("name"):
            yield f'{path}[{index}].name: invalid empty name ""'


def _old_annotations(
    spec: Object, containers: Iterable[tuple[str, int, Object]], annotations: Object, path: str, *, pod: bool
) -> Iterator[str]:
    """Profiles that are set by annotations where there are fields for them."""
    context = spec.get("securityContext") or {}
    if SECCOMP_POD in annotations and not context.get("seccompProfile"):
        yield f"{path}[{SECCOMP_POD}]: {SECCOMP_GONE}"
    whole = context.get("appArmorProfile")
    for _, _, container in containers:
        name, own = container.get("name", ""), container.get("securityContext") or {}
        if SECCOMP_CONTAINER + name in annotations and not own.get("seccompProfile"):
            yield f"{path}[{SECCOMP_CONTAINER}{name}]: {SECCOMP_GONE}"
        profile = annotations.get(APP_ARMOR + name)
        if profile is None or own.get("appArmorProfile") or (whole and not pod):
            continue
        if not whole or _app_armor_field(profile) != whole:
            yield f"{path}[{APP_ARMOR}{name}]: {APP_ARMOR_OLD}"


def _app_armor_field(profile: str) -> Object | None:
    """What an annotation says in the words of the field (``ApparmorFieldForAnnotation``)."""
    if profile == "unconfined":
        return {"type": "Unconfined"}
    if profile == "runtime/default":
        return {"type": "RuntimeDefault"}
    kind, _, local = profile.partition("/")
    return {"type": "Localhost", "localhostProfile": local} if kind == "localhost" and local else None


def _fractions(resources: Object, path: str) -> list[str]:
    found: list[str] = []
    for name in BYTES:
        for kind in ("limits", "requests"):
            amounts = resources.get(kind)
            if amounts and name in amounts and is_fraction(amounts[name]):
                found.append(fraction(f"{path}.{kind}[{name}]", amounts[name]))
    return found


def _variables(env: list[Object], path: str) -> Iterator[str]:
    """Later definitions that hide earlier ones, and do not build on them."""
    if len({variable["name"] for variable in env}) == len(env):
        return
    seen: set[str] = set()
    for index, variable in enumerate(env):
        name, value = variable["name"], variable.get("value") or ""
        reference = f"$({name})"
        if name in seen and (variable.get("valueFrom") is not None or value == reference or reference not in value):
            yield f'{path}[{index}]: hides previous definition of "{name}", which may be dropped when using apply'
        seen.add(name)


def _ports(containers: list[tuple[str, int, Object]]) -> list[str]:
    ports = [
        (f"{group}[{index}].ports[{number}]", port)
        for group, index, container in containers
        for number, port in enumerate(container.get("ports") or ())
    ]
    return [*_port_numbers(ports), *_port_names(ports)]


def _port_numbers(ports: list[tuple[str, Object]]) -> Iterator[str]:
    known: dict[tuple[Any, Any], list[tuple[str, Object]]] = {}
    for path, port in ports:
        ip, host = port.get("hostIP") or "", port.get("hostPort") or 0
        if ip and not host:
            yield f"{path}: hostIP set without hostPort: {_go_struct(port)}"
        others = known.setdefault((port.get("containerPort"), port.get("protocol")), [])
        for other_path, other in others:
            other_ip, other_host = other.get("hostIP") or "", other.get("hostPort") or 0
            if (ip, host) == (other_ip, other_host):
                yield f"{path}: duplicate port definition with {other_path}"
            elif not host or not other_host:
                yield f"{path}: overlapping port definition with {other_path}"
            elif host == other_host and bool(ip) != bool(other_ip):
                yield f"{path}: dangerously ambiguous port definition with {other_path}"
        others.append((path, port))


def _go_struct(port: Object) -> str:
    shown = (port.get("name", ""), port.get("hostPort", 0), port.get("containerPort"), port.get("protocol"))
    name, host, container, protocol = shown
    return f"{{Name:{name} HostPort:{host} ContainerPort:{container} Protocol:{protocol} HostIP:{port['hostIP']}}}"


def _port_names(ports: list[tuple[str, Object]]) -> Iterator[str]:
    known: dict[str, str] = {}
    for path, port in ports:
        name = port.get("name")
        if name and (first := known.setdefault(name, path)) != path:
            yield (
                f'{path}: duplicate port name "{name}" with {first},'
                f" services and probes that select ports by name will use {first}"
            )
