"""A claim of the class ``local-path``, from the first pod to the last byte, with the identities that a cluster has."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from agent_node import NODE, AgentNode

from picluster import scheduler
from picluster.api.errors import ApiError
from picluster.api.resources import NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES
from picluster.client import Client, ClientConfig, PatchType
from picluster.controllers.localpath import LocalPathProvisioner
from picluster.controllers.persistentvolume import PersistentVolumeBinder
from picluster.controllers.pvcprotection import PvcProtectionController
from picluster.controllers.pvprotection import PvProtectionController
from picluster.runtime import Manager
from picluster.util.clock import SYSTEM_CLOCK

pytestmark = [pytest.mark.lab]

CONTROLLERS = (PersistentVolumeBinder, LocalPathProvisioner, PvcProtectionController, PvProtectionController)


@contextlib.asynccontextmanager
async def control_plane(directory: Path) -> AsyncIterator[None]:
    """The scheduler and what is about volumes of the controllers."""
    roles = {
        name: ClientConfig.from_kubeconfig(directory / f"{name}.kubeconfig") for name in ("controllers", "scheduler")
    }
    async with Client(roles["controllers"]) as ours, Client(roles["scheduler"]) as its:
        manager = Manager(ours)
        for controller in CONTROLLERS:
            manager.add(controller())
        running = [asyncio.create_task(manager.run()), asyncio.create_task(scheduler.run(its, SYSTEM_CLOCK))]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


def writer(make_pod: Any, box: Any, name: str) -> dict[str, Any]:
    """A pod without a node, whose container may be any user."""
    mounts = [{"name": "data", "mountPath": "/data"}]
    script = f"echo {name} >> /data/file && exec sleep 10000"
    user = {"runAsUser": 1234, "runAsGroup": 1234}
    pod: dict[str, Any] = make_pod(name, box("c", "sh", "-c", script, volumeMounts=mounts, securityContext=user))
    pod["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    del pod["spec"]["nodeName"]
    return pod


async def test_data_outlives_pods_and_goes_with_the_claim_also_when_the_board_was_off(
    node: AgentNode, make_pod: Any, box: Any
) -> None:
    client, storage = node.client, node.root / "storage"
    storage_class = {"metadata": {"name": "local-path"}, "provisioner": "picluster.io/local-path"}
    await client.create(STORAGE_CLASSES, {**storage_class, "volumeBindingMode": "WaitForFirstConsumer"})
    await client.patch(NODES, NODE, {"spec": {"taints": None}}, kind=PatchType.MERGE)
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"metadata": {"name": "data", "namespace": "default"}, "spec": {**spec, "storageClassName": "local-path"}}
    await client.create(PERSISTENT_VOLUME_CLAIMS, claim)
    async with control_plane(node.server.data_dir):
        for name in ("first", "second"):
            await node.run(writer(make_pod, box, name))
            await node.when(name, lambda pod: pod["status"].get("phase") == "Running")
            await client.delete(PODS, name, namespace="default", grace_period_s=0)
            await node.gone(name)
        [volume] = (await client.list(PERSISTENT_VOLUMES))["items"]
        directory = storage / f"{volume['metadata']['name']}_default_data"

        async def written() -> bool:
            return (directory / "file").read_text() == "first\nsecond\n"

        await node.eventually(written, "both pods to have written")
        node.stop(signal.SIGKILL)
        await client.delete(PERSISTENT_VOLUME_CLAIMS, "data", namespace="default")
        await node.event(volume["metadata"]["name"], "VolumeFailedDelete")
        assert (directory / "file").exists()
        silent = {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
        await client.patch(NODES, NODE, silent, kind=PatchType.STRATEGIC, subresource="status")
        node.start()

        async def gone() -> bool:
            try:
                await client.get(PERSISTENT_VOLUMES, volume["metadata"]["name"])
            except ApiError as error:
                return error.code == 404 and not list(storage.iterdir())
            return False

        await node.eventually(gone, "the volume and its data to be gone")
