"""Claims of the class ``local-path`` get a directory on the node that was chosen for them, and it goes with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from control_plane import Cluster, Pki, World

from picluster.api.errors import ApiError
from picluster.api.resources import (
    CORE_EVENTS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
)
from picluster.client import Client, PatchType

Eventually = Callable[..., Awaitable[Any]]
Json = dict[str, Any]
SELECTED = "volume.kubernetes.io/selected-node"


@pytest.fixture
async def cluster(pki: Pki) -> Any:
    running = Cluster(pki, local_path=True)
    await running.start()
    yield running
    await running.stop()


async def claim(client: Client, name: str, node: str) -> Json:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    made = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
    await client.create(PERSISTENT_VOLUME_CLAIMS, made)
    chosen = {"metadata": {"annotations": {SELECTED: node}}}
    return await client.patch(PERSISTENT_VOLUME_CLAIMS, name, chosen, namespace="default", kind=PatchType.MERGE)


async def test_a_claim_gets_a_directory_on_its_node_and_leaves_nothing(
    controllers: None, client: Client, world: World, eventually: Eventually
) -> None:
    await world.add_node("pi-1")
    made = await claim(client, "data", "pi-1")
    assert made["spec"]["storageClassName"] == "local-path"

    async def bound() -> Json | None:
        found = await client.get(PERSISTENT_VOLUME_CLAIMS, "data", namespace="default")
        return found if found["status"]["phase"] == "Bound" else None

    has = await eventually(bound)
    name = has["spec"]["volumeName"]
    volume = await client.get(PERSISTENT_VOLUMES, name)
    path = f"/var/lib/picluster/storage/{name}_default_data"
    assert volume["spec"]["hostPath"] == {"path": path, "type": "DirectoryOrCreate"}
    assert "picluster.io/local-path" in volume["metadata"]["finalizers"]
    await client.delete(PERSISTENT_VOLUME_CLAIMS, "data", namespace="default")

    async def gone() -> bool:
        return not (await client.list(PERSISTENT_VOLUMES))["items"]

    await eventually(gone)


async def test_a_node_that_does_not_answer_is_given_up_and_waited_for(
    controllers: None, client: Client, world: World, eventually: Eventually
) -> None:
    """It gets no volume, and a volume that it has stays until it answers, or has left the cluster."""
    await world.add_node("pi-1")
    await claim(client, "first", "pi-1")

    async def phase() -> str:
        volumes = (await client.list(PERSISTENT_VOLUMES))["items"]
        return volumes[0]["status"]["phase"] if volumes else ""

    async def is_bound() -> bool:
        return await phase() == "Bound"

    await eventually(is_bound)
    endpoint = {"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 1}}}}
    await client.patch(NODES, "pi-1", endpoint, kind=PatchType.MERGE, subresource="status")
    await claim(client, "second", "pi-1")

    async def said(reason: str) -> bool:
        events = (await client.list(CORE_EVENTS))["items"]
        return any(one["reason"] == reason for one in events)

    async def given_up() -> bool:
        found = await client.get(PERSISTENT_VOLUME_CLAIMS, "second", namespace="default")
        return SELECTED not in found["metadata"]["annotations"] and await said("ProvisioningFailed")

    await eventually(given_up)
    await client.delete(PERSISTENT_VOLUME_CLAIMS, "first", namespace="default")
    await eventually(lambda: said("VolumeFailedDelete"))
    assert await phase() == "Released"
    await client.delete(NODES, "pi-1")

    async def gone() -> bool:
        return await phase() == ""

    await eventually(gone)


async def test_what_a_user_made_of_the_class_stays(cluster: Cluster) -> None:
    off = {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "false"}}}
    async with Client(cluster.config) as client:
        made = await client.get(STORAGE_CLASSES, "local-path")
        assert (made["provisioner"], made["volumeBindingMode"]) == ("picluster.io/local-path", "WaitForFirstConsumer")
        changed = await client.patch(STORAGE_CLASSES, "local-path", off, kind=PatchType.MERGE)
    await cluster.stop()
    await cluster.start()
    async with Client(cluster.config) as client:
        assert await client.get(STORAGE_CLASSES, "local-path") == changed


async def test_without_the_setting_there_is_no_class(pki: Pki) -> None:
    cluster = Cluster(pki)
    await cluster.start()
    try:
        async with Client(cluster.config) as client:
            with pytest.raises(ApiError, match="not found"):
                await client.get(STORAGE_CLASSES, "local-path")
    finally:
        await cluster.stop()
