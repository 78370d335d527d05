"""What every cluster has from its first second: namespaces, default roles, the API server's Service and its range.

Made through the registry like everything else, so that it has defaults, addresses and uids; run at every start, it
changes only what differs.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass

from picluster.api import errors, meta
from picluster.api.resources import (
    CONFIGMAPS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    NAMESPACES,
    PRIORITY_CLASSES,
    SERVICE_CIDRS,
    SERVICES,
    STORAGE_CLASSES,
    Resource,
)
from picluster.api.types import Object
from picluster.api.validation.priorityclass import SYSTEM_CLASSES
from picluster.api.volumebinding import DEFAULT_CLASS, LOCAL_PATH, WAIT_FOR_FIRST_CONSUMER
from picluster.apiserver.authn import AUTHENTICATED, User
from picluster.apiserver.authz import MASTERS
from picluster.apiserver.authz.policy.reconcile import reconcile
from picluster.apiserver.flowcontrol import ensuring
from picluster.apiserver.registry.create import create
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.update import change_object

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
SELF = User("system:apiserver", frozenset({MASTERS, AUTHENTICATED}))
SERVICE_NAME = "kubernetes"
TOKEN_TRACKING = "kube-apiserver-legacy-service-account-token-tracking"  # noqa: S105  # a name
LABELS = {"component": "apiserver", "provider": "kubernetes"}


@dataclass(frozen=True, slots=True)
class Advertised:
    """Where clients inside the cluster find the API server: the Service's address, and what it leads to."""

    service_address: str
    address: str
    port: int


async def bootstrap(registry: Registry, advertised: Advertised, *, local_path: bool) -> None:
    """Make what is missing and put right what differs; raises ``ApiError``."""
    await _at_once(ensure(registry, NAMESPACES, {"metadata": {"name": name}}, ()) for name in SYSTEM_NAMESPACES)
    await _at_once(
        [
            reconcile(registry, SELF),
            ensuring.ensure_all(registry, SELF),
            ensure(registry, SERVICE_CIDRS, _service_cidr(registry), ()),
            ensure(registry, CONFIGMAPS, _token_tracking(registry), ()),
            *([ensure(registry, STORAGE_CLASSES, _local_path(), ())] if local_path else []),
            *(ensure(registry, PRIORITY_CLASSES, _priority_class(*each), ()) for each in SYSTEM_CLASSES.items()),
        ]
    )
    await _service_cidr_is_ready(registry)
    await ensure(registry, SERVICES, _service(advertised), ())
    if ipaddress.ip_address(advertised.address).is_loopback:
        return  # nothing but this machine reaches it, and no endpoint may be a loopback address
    await _at_once(
        [
            ensure(registry, ENDPOINTS, _endpoints(advertised), ("subsets",)),
            ensure(registry, ENDPOINT_SLICES, _slice(advertised), ("endpoints", "ports")),
        ]
    )


async def _at_once(work: Iterable[Awaitable[None]]) -> None:
    """What does not wait for each other: the store commits it together."""
    await asyncio.gather(*work)


def _token_tracking(registry: Registry) -> Object:
    """Since when the last use of tokens in Secrets is noted (KEP-2799)."""
    since = {"since": meta.now_rfc3339(registry.clock.now())[:10]}
    return {"metadata": {"name": TOKEN_TRACKING, "namespace": "kube-system"}, "data": since}


async def ensure(registry: Registry, resource: Resource, wanted: Object, fields: tuple[str, ...]) -> None:
    """Create ``wanted``, or make the ``fields`` of what is there equal to it."""
    metadata = wanted["metadata"]
    write = Write(SELF, resource, metadata.get("namespace", ""), metadata["name"])
    if registry.store.cache.get(resource, write.namespace, write.name) is None:
        try:
            await create(registry, write, wanted, None)
        except errors.ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        return
    if fields:
        await change_object(registry, write, lambda old: {**old, **{field: wanted[field] for field in fields}})


def _service_cidr(registry: Registry) -> Object:
    return {"metadata": {"name": SERVICE_NAME}, "spec": {"cidrs": [str(registry.services.network)]}}


async def _service_cidr_is_ready(registry: Registry) -> None:
    """The default range is there before any controller is, and stays what the server was started with."""
    ready = {"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes default Service CIDR is ready"}

    def change(old: Object) -> Object:
        conditions = list((old.get("status") or {}).get("conditions") or ())
        meta.set_condition(conditions, ready, meta.now_rfc3339(registry.clock.now()))
        return {**old, "metadata": dict(old["metadata"]), "status": {"conditions": conditions}}

    write = Write(SELF, SERVICE_CIDRS, "", SERVICE_NAME, "status")
    await change_object(registry, write, change)


def _local_path() -> Object:
    """The default class: volumes are directories on the node of their first pod. What a user changes in it stays."""
    return {
        "metadata": {"name": "local-path", "annotations": {DEFAULT_CLASS[0]: "true"}},
        "provisioner": LOCAL_PATH,
        "volumeBindingMode": WAIT_FOR_FIRST_CONSUMER,
        "reclaimPolicy": "Delete",
    }


def _priority_class(name: str, value: int) -> Object:
    must = "must run in the cluster, but can be moved to another node if necessary"
    if name == "system-node-critical":
        must = "must not be moved from their current node"
    description = f"Used for system critical pods that {must}."
    return {"metadata": {"name": name}, "value": value, "description": description}


def _metadata(**more: object) -> Object:
    return {"name": SERVICE_NAME, "namespace": "default", **more}


def _service(advertised: Advertised) -> Object:
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": advertised.port}
    return {
        "metadata": _metadata(labels=dict(LABELS)),
        "spec": {"clusterIP": advertised.service_address, "ports": [port], "sessionAffinity": "None"},
    }


def _endpoints(advertised: Advertised) -> Object:
    return {
        "metadata": _metadata(labels={"endpointslice.kubernetes.io/skip-mirror": "true"}),
        "subsets": [
            {
                "addresses": [{"ip": advertised.address}],
                "ports": [{"name": "https", "port": advertised.port, "protocol": "TCP"}],
            }
        ],
    }


def _slice(advertised: Advertised) -> Object:
    return {
        "metadata": _metadata(labels={"kubernetes.io/service-name": SERVICE_NAME}),
        "addressType": f"IPv{ipaddress.ip_address(advertised.address).version}",
        "endpoints": [{"addresses": [advertised.address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": advertised.port, "protocol": "TCP"}],
    }
