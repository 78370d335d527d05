"""File contents of configMap, secret, downwardAPI and projected volumes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from picluster.api.types import Object
from picluster_agent.podman.env import (
    ConfigError,
    NodeFacts,
    Sources,
    config_map_data,
    field_value,
    resource_value,
    secret_data,
)
from picluster_agent.volumes.atomic import File

DEFAULT_MODE = 0o644
PRIVATE_MODE = 0o600
TOKEN_LIFETIME_S = 3600
KINDS = ("configMap", "secret", "downwardAPI", "projected")


def references(volume: Object) -> tuple[set[str], set[str]]:
    """Names of the ConfigMaps and of the Secrets that ``volume`` is made from."""
    config_maps: set[str] = set()
    secrets: set[str] = set()
    if source := volume.get("configMap"):
        config_maps.add(source["name"])
    if source := volume.get("secret"):
        secrets.add(source["secretName"])
    for part in (volume.get("projected") or {}).get("sources") or ():
        if source := part.get("configMap"):
            config_maps.add(source["name"])
        if source := part.get("secret"):
            secrets.add(source["name"])
    return config_maps, secrets


def wanted_tokens(volume: Object) -> set[tuple[str, int]]:
    """Audience and lifetime, in seconds, of the service account tokens that ``volume`` holds."""
    parts = (volume.get("projected") or {}).get("sources") or ()
    return {_token_key(part["serviceAccountToken"]) for part in parts if part.get("serviceAccountToken")}


def _token_key(source: Object) -> tuple[str, int]:
    return source.get("audience") or "", int(source.get("expirationSeconds") or TOKEN_LIFETIME_S)


def volume_payload(volume: Object, pod: Object, sources: Sources, node: NodeFacts, pod_ip: str) -> dict[str, File]:
    """Relative path to file; raises ``ConfigError`` where something that is not optional is missing."""
    if source := volume.get("configMap"):
        return _config_map(source, sources, _mode(source))
    if source := volume.get("secret"):
        return _secret(source, source["secretName"], sources, _mode(source))
    if (source := volume.get("downwardAPI")) is not None:
        return _downward(source.get("items") or (), _mode(source), pod, node, pod_ip)
    source = volume["projected"]
    payload: dict[str, File] = {}
    for part in source.get("sources") or ():
        payload.update(_projected(part, _mode(source), pod, sources, node, pod_ip))
    return payload


def _mode(source: Object) -> int:
    mode = source.get("defaultMode")
    return DEFAULT_MODE if mode is None else int(mode)


def _projected(part: Object, mode: int, pod: Object, sources: Sources, node: NodeFacts, pod_ip: str) -> dict[str, File]:
    if source := part.get("configMap"):
        return _config_map(source, sources, mode)
    if source := part.get("secret"):
        return _secret(source, source["name"], sources, mode)
    if (source := part.get("downwardAPI")) is not None:
        return _downward(source.get("items") or (), mode, pod, node, pod_ip)
    if source := part.get("serviceAccountToken"):
        return {source["path"]: _token(source, sources, mode, pod)}
    raise ConfigError(f"projected volume source {', '.join(sorted(part))} is not supported by this node")


def _token(source: Object, sources: Sources, mode: int, pod: Object) -> File:
    """Only the pod's user or group reads its token, where the pod says who that is (the kubelet's rule)."""
    token = sources.tokens.get(_token_key(source))
    if token is None:
        raise ConfigError("failed to fetch token")
    user = common_user(pod)
    grouped = (pod["spec"].get("securityContext") or {}).get("fsGroup") is not None
    return File(token.encode(), PRIVATE_MODE if grouped or user >= 0 else mode, user)


def common_user(pod: Object) -> int:
    """The user that all containers run as; -1 when the pod does not name one for all."""
    spec = pod["spec"]
    default = (spec.get("securityContext") or {}).get("runAsUser")
    containers = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
    users = {(container.get("securityContext") or {}).get("runAsUser", default) for container in containers}
    only = users.pop() if len(users) == 1 else None
    return -1 if only is None else int(only)


def _config_map(source: Object, sources: Sources, mode: int) -> dict[str, File]:
    optional = bool(source.get("optional"))
    config_map = sources.config_map(source["name"], optional)
    data = config_map_data(config_map) if config_map else {}
    return _select(data, source, mode, optional, "configmap references non-existent config key")


def _secret(source: Object, name: str, sources: Sources, mode: int) -> dict[str, File]:
    optional = bool(source.get("optional"))
    secret = sources.secret(name, optional)
    data = secret_data(secret) if secret else {}
    return _select(data, source, mode, optional, "references non-existent secret key")


def _select(data: Mapping[str, bytes], source: Object, mode: int, optional: bool, wrong: str) -> dict[str, File]:
    items = source.get("items")
    if not items:
        return {key: File(value, mode) for key, value in data.items()}
    payload: dict[str, File] = {}
    for item in items:
        value = data.get(item["key"])
        if value is not None:
            own = item.get("mode")
            payload[item["path"]] = File(value, mode if own is None else int(own))
        elif not optional:
            raise ConfigError(f"{wrong}: {item['key']}")
    return payload


def _downward(items: Iterable[Object], mode: int, pod: Object, node: NodeFacts, pod_ip: str) -> dict[str, File]:
    payload: dict[str, File] = {}
    for item in items:
        if reference := item.get("fieldRef"):
            text = field_value(reference["fieldPath"], pod, node, pod_ip)
        else:
            text = resource_value(item["resourceFieldRef"], pod, {}, node)
        own = item.get("mode")
        payload[item["path"]] = File(text.encode(), mode if own is None else int(own))
    return payload
