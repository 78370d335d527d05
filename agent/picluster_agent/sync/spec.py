"""Reading a pod's specification: the questions that several parts of the sync loop ask of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import orjson

from picluster.api.types import Object

HOSTNAME_MAX = 64


def uid(pod: Object) -> str:
    return str(pod["metadata"]["uid"])


def containers(pod: Object) -> list[Object]:
    listed: list[Object] = pod["spec"].get("containers") or []
    return listed


def init_containers(pod: Object) -> list[Object]:
    listed: list[Object] = pod["spec"].get("initContainers") or []
    return listed


def ephemeral_containers(pod: Object) -> list[Object]:
    listed: list[Object] = pod["spec"].get("ephemeralContainers") or []
    return listed


def all_containers(pod: Object) -> Iterator[Object]:
    """Init containers first, as they start; ephemeral ones last."""
    yield from init_containers(pod)
    yield from containers(pod)
    yield from ephemeral_containers(pod)


def container(pod: Object, name: str) -> Object | None:
    return next((one for one in all_containers(pod) if one["name"] == name), None)


def is_sidecar(one: Object) -> bool:
    """An init container that keeps running beside the others (KEP-753)."""
    return one.get("restartPolicy") == "Always"


def sidecars(pod: Object) -> list[Object]:
    return [one for one in init_containers(pod) if is_sidecar(one)]


def restart_policy(pod: Object) -> str:
    return str(pod["spec"].get("restartPolicy", "Always"))


def grace_period_s(pod: Object) -> float:
    value = pod["spec"].get("terminationGracePeriodSeconds")
    return 30.0 if value is None else float(value)


def host_network(pod: Object) -> bool:
    return bool(pod["spec"].get("hostNetwork"))


def hostname(pod: Object) -> str:
    """Its own: ``hostnameOverride`` (KEP-4762), ``hostname``, or the pod's name, cut to what Linux allows."""
    if override := pod["spec"].get("hostnameOverride"):
        return str(override)[:HOSTNAME_MAX]
    return str(pod["spec"].get("hostname") or pod["metadata"]["name"])[: HOSTNAME_MAX - 1].rstrip("-.")


def host_domain(pod: Object, cluster_domain: str) -> str:
    """The domain below which a Service names the pod, where it has a subdomain."""
    subdomain = pod["spec"].get("subdomain")
    if not subdomain or pod["spec"].get("hostnameOverride"):
        return ""
    return f"{subdomain}.{pod['metadata']['namespace']}.svc.{cluster_domain}"


def kernel_hostname(pod: Object, cluster_domain: str) -> str:
    """What ``hostname`` says in the pod; raises ``ValueError`` for a full name that is too long."""
    name, domain = hostname(pod), host_domain(pod, cluster_domain)
    if not pod["spec"].get("setHostnameAsFQDN") or not domain:
        return name
    full = f"{name}.{domain}"
    if len(full) > HOSTNAME_MAX:
        raise ValueError(
            f"Failed to construct FQDN from Pod hostname and cluster domain, FQDN {full} is too long "
            f"({HOSTNAME_MAX} characters is the max, {len(full)} characters requested)"
        )
    return full


def full_name(pod: Object) -> str:
    """``web-1_default(uid)``, as the kubelet's messages name a pod."""
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"


def container_hash(one: Object) -> str:
    """Changes when, and only when, a running container must be replaced: its name or image changed.

    Everything else in a container is immutable or, like resources, is no reason to restart it.
    """
    return hashlib.sha256(orjson.dumps([one["name"], one.get("image", "")])).hexdigest()[:16]


def backoff_key(one: Object) -> str:
    """What a container's back-off is kept by: another image begins afresh."""
    return f"{one['name']}/{container_hash(one)}"
