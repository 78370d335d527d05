"""Claims, volumes and their classes stay while they are used, and go with their last user."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from picluster.api.errors import ApiError
from picluster.api.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SERVICE_ACCOUNTS,
    VOLUME_ATTRIBUTES_CLASSES,
    Resource,
)
from picluster.client import Client, PatchType

Eventually = Callable[..., Awaitable[Any]]
Json = dict[str, Any]
SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
VOLUME = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/v"}}


@pytest.fixture(autouse=True)
async def _running(controllers: None, client: Client, eventually: Eventually) -> None:
    """All controllers run, and pods are admitted."""
    await eventually(lambda: is_there(client, SERVICE_ACCOUNTS, "default"))


async def is_there(client: Client, resource: Resource, name: str) -> bool:
    try:
        await client.get(resource, name, namespace="default" if resource.namespaced else None)
    except ApiError as error:
        assert error.code == 404
        return False
    return True


async def goes(client: Client, eventually: Eventually, resource: Resource, name: str) -> None:
    async def gone() -> bool:
        return not await is_there(client, resource, name)

    await eventually(gone)


async def leave(client: Client, resource: Resource, name: str) -> Json:
    """Delete, and find that it waits."""
    namespace = "default" if resource.namespaced else None
    await client.delete(resource, name, namespace=namespace)
    found = await client.get(resource, name, namespace=namespace)
    assert found["metadata"]["deletionTimestamp"]
    return found


async def claim(client: Client, name: str, **spec: Any) -> None:
    metadata = {"name": name, "namespace": "default"}
    await client.create(PERSISTENT_VOLUME_CLAIMS, {"metadata": metadata, "spec": {**SPEC, **spec}})


async def pod(client: Client, name: str, claims: str, node: str = "pi-1") -> None:
    container = {"name": "c", "image": "i"}
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": claims}}]
    spec: Json = {"containers": [container], "volumes": volumes}
    if node:
        spec["nodeName"] = node
    await client.create(PODS, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})


async def test_a_claim_waits_for_the_last_pod_that_has_a_node(client: Client, eventually: Eventually) -> None:
    await claim(client, "unused")
    await client.delete(PERSISTENT_VOLUME_CLAIMS, "unused", namespace="default")
    await goes(client, eventually, PERSISTENT_VOLUME_CLAIMS, "unused")
    await claim(client, "used")
    for name, node in (("a", "pi-1"), ("b", "pi-2"), ("waiting", "")):
        await pod(client, name, "used", node)
    await leave(client, PERSISTENT_VOLUME_CLAIMS, "used")
    await client.delete(PODS, "a", namespace="default", grace_period_s=0)
    assert await is_there(client, PERSISTENT_VOLUME_CLAIMS, "used")
    await client.delete(PODS, "b", namespace="default", grace_period_s=0)
    await goes(client, eventually, PERSISTENT_VOLUME_CLAIMS, "used")


async def test_a_volume_waits_for_its_claim(client: Client, eventually: Eventually) -> None:
    await client.create(PERSISTENT_VOLUMES, {"metadata": {"name": "v"}, "spec": VOLUME})
    await client.patch(
        PERSISTENT_VOLUMES, "v", {"status": {"phase": "Bound"}}, kind=PatchType.MERGE, subresource="status"
    )
    await leave(client, PERSISTENT_VOLUMES, "v")
    released = {"status": {"phase": "Released"}}
    await client.patch(PERSISTENT_VOLUMES, "v", released, kind=PatchType.MERGE, subresource="status")
    await goes(client, eventually, PERSISTENT_VOLUMES, "v")


async def test_a_class_waits_for_who_names_it(client: Client, eventually: Eventually) -> None:
    made = {"metadata": {"name": "fast"}, "driverName": "d", "parameters": {"iops": "1"}}
    await client.create(VOLUME_ATTRIBUTES_CLASSES, made)
    await claim(client, "c", volumeAttributesClassName="fast")
    await leave(client, VOLUME_ATTRIBUTES_CLASSES, "fast")
    await client.delete(PERSISTENT_VOLUME_CLAIMS, "c", namespace="default")
    await goes(client, eventually, VOLUME_ATTRIBUTES_CLASSES, "fast")


async def test_what_has_lost_its_finalizer_gets_it_again(client: Client, eventually: Eventually) -> None:
    await claim(client, "c")
    bare = {"metadata": {"finalizers": None}}
    await client.patch(PERSISTENT_VOLUME_CLAIMS, "c", bare, namespace="default", kind=PatchType.MERGE)

    async def held() -> bool:
        found = await client.get(PERSISTENT_VOLUME_CLAIMS, "c", namespace="default")
        return found["metadata"].get("finalizers") == ["kubernetes.io/pvc-protection"]

    await eventually(held)
