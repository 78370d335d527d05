"""A container's environment, from its specification and the objects that it refers to. Pure.

The order is the kubelet's: Services, ``envFrom``, ``env``; later wins, and ``$(NAME)`` sees what came before.
Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from picluster.api.quantity import nanos
from picluster.api.types import Object

BOUNDED_BY_NODE = ("cpu", "memory", "ephemeral-storage")
"""What a container without a limit may use as much of as its node has."""

REFERENCE = re.compile(r"\$\$|\$\(([^()]*)\)")
_SUBSCRIPT = re.compile(r"^(metadata\.(?:labels|annotations))\['(.+)'\]$")


class ConfigError(Exception):
    """The container cannot be configured as it is specified; the message is the kubelet's."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a pod may learn of, or is limited by, its node."""

    name: str
    ip: str
    allocatable: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int = 0
    may_lower_oom: bool = True
    """Whether this agent may make a process less likely to be killed than itself (CAP_SYS_RESOURCE)."""
    cgroup_version: int = 1
    may_limit_swap: bool = False
    """Whether the kernel counts swap for each control group."""
    huge_pages: tuple[str, ...] = ()
    """Page sizes that the kernel counts for each control group (``2MB``)."""
    pod_pids_limit: int = 0
    """Processes that one pod may have; 0 for no limit."""
    seccomp_profiles: Path = Path("/var/lib/picluster/seccomp")
    """What ``localhostProfile`` is relative to."""
    seccomp_default: bool = False
    """Whether a container that says nothing gets the runtime's profile."""
    apparmor: bool = False
    """Whether the kernel confines by AppArmor."""


@dataclass(frozen=True, slots=True)
class Sources:
    """ConfigMaps and Secrets by name; a name that was looked up and not found maps to ``None``.

    ``tokens`` are service account tokens, by audience (empty for the API server's) and lifetime in seconds.
    """

    config_maps: Mapping[str, Object | None] = field(default_factory=dict)
    secrets: Mapping[str, Object | None] = field(default_factory=dict)
    tokens: Mapping[tuple[str, int], str] = field(default_factory=dict, repr=False)
    files: Mapping[tuple[str, str], str | None] = field(default_factory=dict, repr=False)
    """Environment files that containers wrote, by volume and path; ``None`` for one that is not there."""

    def config_map(self, name: str, optional: bool = False) -> Object | None:
        return _demand(self.config_maps.get(name), "configmap", name, optional)

    def secret(self, name: str, optional: bool = False) -> Object | None:
        return _demand(self.secrets.get(name), "secret", name, optional)


def _demand(found: Object | None, kind: str, name: str, optional: bool) -> Object | None:
    if found is None and not optional:
        raise ConfigError(f'{kind} "{name}" not found')
    return found


def config_map_data(config_map: Object) -> dict[str, bytes]:
    data = {key: value.encode() for key, value in (config_map.get("data") or {}).items()}
    data.update((key, base64.b64decode(value)) for key, value in (config_map.get("binaryData") or {}).items())
    return data


def secret_data(secret: Object) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by what is known; ``$$`` stands for one ``$``, and an unknown reference stays as it is."""

    def one(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return known.get(match[1], match[0])

    return REFERENCE.sub(one, text)


def field_value(path: str, pod: Object, node: NodeFacts, pod_ip: str) -> str:
    """The value of a ``fieldRef``; raises ``ConfigError`` for a path that the downward API does not have."""
    metadata, spec = pod["metadata"], pod["spec"]
    if match := _SUBSCRIPT.match(path):
        values = metadata.get(match[1].removeprefix("metadata.")) or {}
        return str(values.get(match[2], ""))
    simple = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": node.name,
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": node.ip,
        "status.hostIPs": node.ip,
        "status.podIP": pod_ip,
        "status.podIPs": pod_ip,
    }
    if path in simple:
        return str(simple[path])
    if path in ("metadata.labels", "metadata.annotations"):
        values = metadata.get(path.removeprefix("metadata.")) or {}
        return "\n".join(f'{key}="{_escaped(value)}"' for key, value in sorted(values.items()))
    raise ConfigError(f"unsupported fieldPath: {path}")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def resource_value(reference: Object, pod: Object, container: Object, node: NodeFacts) -> str:
    """The value of a ``resourceFieldRef``, in units of its divisor, rounded up; without a limit, the node's."""
    name = reference.get("containerName")
    owner = container
    if name:
        everyone = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
        found = next((one for one in everyone if one["name"] == name), None)
        if found is None:
            raise ConfigError(f"container {name} not found")
        owner = found
    kind, _, resource = str(reference["resource"]).partition(".")
    value = ((owner.get("resources") or {}).get(kind) or {}).get(resource)
    if value is None and kind == "limits" and resource in BOUNDED_BY_NODE:
        value = ((pod["spec"].get("resources") or {}).get("limits") or {}).get(resource)  # of the whole pod (KEP-2837)
        value = node.allocatable.get(resource) if value is None else value
    value = "0" if value is None else value
    divisor = reference.get("divisor")
    unit = nanos(divisor) if divisor not in (None, "", "0", 0) else nanos("1")
    return str(-(-nanos(value) // unit))


def environment(
    pod: Object,
    container: Object,
    sources: Sources,
    node: NodeFacts,
    *,
    pod_ip: str,
    services: Mapping[str, str],
) -> dict[str, str]:
    """Every variable of ``container``; raises ``ConfigError`` where something that is not optional is missing."""
    env: dict[str, str] = dict(services)
    for source in container.get("envFrom") or ():
        for key, data in _bulk(source, sources).items():
            env[source.get("prefix", "") + key] = data.decode(errors="replace")
    known = dict(env)
    for entry in container.get("env") or ():
        value = _entry(entry, pod, container, sources, node, pod_ip, known)
        if value is not None:
            env[entry["name"]] = known[entry["name"]] = value
    return env


def _bulk(source: Object, sources: Sources) -> dict[str, bytes]:
    if reference := source.get("configMapRef"):
        config_map = sources.config_map(reference["name"], bool(reference.get("optional")))
        return _texts(config_map)
    reference = source["secretRef"]
    secret = sources.secret(reference["name"], bool(reference.get("optional")))
    return secret_data(secret) if secret else {}


def _entry(
    entry: Object,
    pod: Object,
    container: Object,
    sources: Sources,
    node: NodeFacts,
    pod_ip: str,
    known: Mapping[str, str],
) -> str | None:
    origin = entry.get("valueFrom")
    if not origin:
        return expand(entry.get("value") or "", known)
    if reference := origin.get("fieldRef"):
        return field_value(reference["fieldPath"], pod, node, pod_ip)
    if reference := origin.get("resourceFieldRef"):
        return resource_value(reference, pod, container, node)
    namespace = pod["metadata"]["namespace"]
    if reference := origin.get("configMapKeyRef"):
        optional = bool(reference.get("optional"))
        config_map = sources.config_map(reference["name"], optional)
        return _key(_texts(config_map), reference, f"ConfigMap {namespace}/{reference['name']}")
    if reference := origin.get("secretKeyRef"):
        optional = bool(reference.get("optional"))
        secret = sources.secret(reference["name"], optional)
        data = secret_data(secret) if secret else {}
        return _key(data, reference, f"Secret {namespace}/{reference['name']}")
    if reference := origin.get("fileKeyRef"):
        return _from_file(reference, sources)
    raise ConfigError(f"environment variable {entry['name']}: unsupported valueFrom")


def _texts(config_map: Object | None) -> dict[str, bytes]:
    """What of a ConfigMap can be a variable: its ``binaryData`` cannot."""
    return {key: value.encode() for key, value in ((config_map or {}).get("data") or {}).items()}


def _from_file(reference: Object, sources: Sources) -> str | None:
    from picluster_agent.podman import envfile  # rare

    volume, path, key = reference["volumeName"], reference["path"], reference["key"]
    text = sources.files.get((volume, path))
    value = envfile.value_of(text, key) if text is not None else ""
    if value:
        return value
    if reference.get("optional"):
        return None
    if text is None:
        raise ConfigError(f'couldn\'t parse env file: there is no file "{path}" in volume "{volume}"')
    raise ConfigError(f'environment variable key "{key}" not found in file "{path}"')


def file_references(container: Object) -> set[tuple[str, str]]:
    """Volume and path of the files that the environment of ``container`` needs."""
    origins = [(entry.get("valueFrom") or {}).get("fileKeyRef") for entry in container.get("env") or ()]
    return {(one["volumeName"], one["path"]) for one in origins if one}


def _key(data: Mapping[str, bytes], reference: Object, where: str) -> str | None:
    value = data.get(reference["key"])
    if value is not None:
        return value.decode(errors="replace")
    if reference.get("optional"):
        return None
    raise ConfigError(f"couldn't find key {reference['key']} in {where}")


def references(container: Object) -> tuple[set[str], set[str]]:
    """Names of the ConfigMaps and of the Secrets that the environment of ``container`` needs."""
    config_maps: set[str] = set()
    secrets: set[str] = set()
    for source in container.get("envFrom") or ():
        if reference := source.get("configMapRef"):
            config_maps.add(reference["name"])
        if reference := source.get("secretRef"):
            secrets.add(reference["name"])
    for entry in container.get("env") or ():
        origin = entry.get("valueFrom") or {}
        if reference := origin.get("configMapKeyRef"):
            config_maps.add(reference["name"])
        if reference := origin.get("secretKeyRef"):
            secrets.add(reference["name"])
    return config_maps, secrets


def service_environment(services: Sequence[Object], namespace: str, *, links: bool) -> dict[str, str]:
    """Variables that name Services: ``KUBERNETES_*`` always, those of the namespace with ``enableServiceLinks``."""
    env: dict[str, str] = {}
    for service in services:
        metadata, spec = service["metadata"], service["spec"]
        address = spec.get("clusterIP") or ""
        master = metadata["namespace"] == "default" and metadata["name"] == "kubernetes"
        if address in ("", "None") or not (master or (links and metadata["namespace"] == namespace)):
            continue
        env.update(_service(metadata["name"], address, spec.get("ports") or ()))
    return env


def _service(name: str, address: str, ports: Sequence[Object]) -> dict[str, str]:
    prefix = name.upper().replace("-", "_")
    if not ports:
        return {}
    host = f"[{address}]" if ":" in address else address
    env = {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for index, port in enumerate(ports):
        protocol, number = str(port.get("protocol", "TCP")), str(port["port"])
        if port_name := port.get("name"):
            env[f"{prefix}_SERVICE_PORT_{port_name.upper().replace('-', '_')}"] = number
        url = f"{protocol.lower()}://{host}:{number}"
        if index == 0:
            env[f"{prefix}_PORT"] = url
        link = f"{prefix}_PORT_{number}_{protocol}"
        env[link] = url
        env[f"{link}_PROTO"] = protocol.lower()
        env[f"{link}_PORT"] = number
        env[f"{link}_ADDR"] = address
    return env
