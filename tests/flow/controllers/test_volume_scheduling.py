"""Pods with claims: the scheduler, the controllers and the provisioner together bring pod and volume to one node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from control_plane import Cluster, Pki

from picluster import scheduler
from picluster.api.resources import (
    DEPLOYMENTS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SERVICE_ACCOUNTS,
    STORAGE_CLASSES,
)
from picluster.client import Client, PatchType
from picluster.util.clock import SYSTEM_CLOCK

Eventually = Callable[..., Awaitable[Any]]
Json = dict[str, Any]
EXAMPLE = Path(__file__).parents[3] / "docs/examples/notes.yaml"
WAITS = "WaitForFirstConsumer"


@pytest.fixture
async def cluster(pki: Pki) -> AsyncIterator[Cluster]:
    running = Cluster(pki, local_path=True)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture(autouse=True)
async def _running(cluster: Cluster, controllers: None, client: Client, eventually: Eventually) -> AsyncIterator[None]:
    """Controllers and scheduler, three nodes, and pods are admitted."""
    for name in ("pi-1", "pi-2", "pi-3"):
        amounts = {"cpu": "4", "memory": "8Gi", "pods": "110"}
        metadata = {"name": name, "labels": {"kubernetes.io/hostname": name}}
        await client.create(NODES, {"metadata": metadata, "status": {"allocatable": amounts}})
        await client.patch(NODES, name, {"spec": {"taints": None}}, kind=PatchType.MERGE)

    async def admitted() -> bool:
        return bool((await client.list(SERVICE_ACCOUNTS, namespace="default"))["items"])

    await eventually(admitted)
    async with Client(cluster.config) as own:
        running = asyncio.create_task(scheduler.run(own, SYSTEM_CLOCK))
        yield
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def add_claim(client: Client, name: str, **spec: Any) -> None:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    await client.create(PERSISTENT_VOLUME_CLAIMS, {"metadata": {"name": name, "namespace": "default"}, "spec": wanted})


async def add_pod(client: Client, name: str, claim: str, **spec: Any) -> None:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]
    wanted = {"containers": [{"name": "c", "image": "i"}], "volumes": volumes, **spec}
    await client.create(PODS, {"metadata": {"name": name, "namespace": "default"}, "spec": wanted})


def node_of(client: Client, name: str) -> Callable[[], Awaitable[str]]:
    async def node() -> str:
        return str((await client.get(PODS, name, namespace="default"))["spec"].get("nodeName", ""))

    return node


def told(client: Client, name: str, text: str) -> Callable[[], Awaitable[bool]]:
    async def is_told() -> bool:
        status = (await client.get(PODS, name, namespace="default"))["status"]
        return any(text in one.get("message", "") for one in status.get("conditions") or ())

    return is_told


async def volume_of(client: Client, claim: str) -> Json:
    found = await client.get(PERSISTENT_VOLUME_CLAIMS, claim, namespace="default")
    assert found["status"]["phase"] == "Bound"
    return await client.get(PERSISTENT_VOLUMES, found["spec"]["volumeName"])


async def test_a_default_claim_follows_its_first_pod_and_later_pods_follow_the_claim(
    client: Client, eventually: Eventually
) -> None:
    await add_pod(client, "early", "data")
    await eventually(told(client, "early", 'persistentvolumeclaim "data" not found'))
    await add_claim(client, "data", accessModes=["ReadWriteOncePod"])
    where = await eventually(node_of(client, "early"))
    volume = await volume_of(client, "data")
    assert volume["metadata"]["annotations"]["picluster.io/node"] == where
    await add_pod(client, "second", "data")
    await eventually(told(client, "second", "ReadWriteOncePod access mode already in-use by another pod"))
    await client.delete(PODS, "early", namespace="default", grace_period_s=0)
    assert await eventually(node_of(client, "second")) == where
    # Elsewhere it cannot go.
    other = next(name for name in ("pi-1", "pi-2") if name != where)
    await client.delete(PODS, "second", namespace="default", grace_period_s=0)
    await add_pod(client, "third", "data", nodeSelector={"kubernetes.io/hostname": other})
    await eventually(told(client, "third", "1 node(s) didn't match PersistentVolume's node affinity"))


async def test_the_example_of_the_guide_runs_and_so_does_a_pod_with_a_volume_of_its_own(
    client: Client, eventually: Eventually
) -> None:
    for document in yaml.safe_load_all(EXAMPLE.read_text()):
        resource = PERSISTENT_VOLUME_CLAIMS if document["kind"] == "PersistentVolumeClaim" else DEPLOYMENTS
        await client.create(resource, {**document, "metadata": {**document["metadata"], "namespace": "default"}})

    async def placed() -> str:
        pods = (await client.list(PODS, namespace="default", label_selector="app=notes"))["items"]
        return str(pods[0]["spec"].get("nodeName", "")) if pods else ""

    where = await eventually(placed)
    assert (await volume_of(client, "notes"))["metadata"]["annotations"]["picluster.io/node"] == where
    template = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    volumes = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]
    spec = {"containers": [{"name": "c", "image": "i"}], "volumes": volumes}
    await client.create(PODS, {"metadata": {"name": "own", "namespace": "default"}, "spec": spec})
    where = await eventually(node_of(client, "own"))
    assert (await volume_of(client, "own-scratch"))["metadata"]["annotations"]["picluster.io/node"] == where


async def test_volumes_made_by_hand_are_chosen_with_the_node(client: Client, eventually: Eventually) -> None:
    made = {"metadata": {"name": "disks"}, "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": WAITS}
    await client.create(STORAGE_CLASSES, made)
    for name in ("a", "b"):
        await add_claim(client, name, storageClassName="disks")
        await add_pod(client, f"pod-{name}", name)
    await eventually(told(client, "pod-a", "3 node(s) didn't find available persistent volumes to bind"))
    for node in ("pi-2", "pi-3"):
        term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
        spec = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "disks",
            "local": {"path": "/mnt/disk"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
        }
        await client.create(PERSISTENT_VOLUMES, {"metadata": {"name": f"on-{node}"}, "spec": spec})
    for name in ("a", "b"):
        where = await eventually(node_of(client, f"pod-{name}"))
        assert (await volume_of(client, name))["metadata"]["name"] == f"on-{where}"


async def test_a_pod_whose_volume_cannot_be_made_where_it_was_to_run_is_decided_anew(
    client: Client, eventually: Eventually
) -> None:
    """Two nodes say that they have an agent, and none answers."""
    for name in ("pi-1", "pi-2"):
        endpoint = {"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 1}}}}
        await client.patch(NODES, name, endpoint, kind=PatchType.MERGE, subresource="status")
    await add_claim(client, "data")
    near = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["pi-1", "pi-2"]}
    prefers = {"weight": 100, "preference": {"matchExpressions": [near]}}
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [prefers]}}
    await add_pod(client, "web", "data", affinity=affinity)
    await eventually(told(client, "web", 'plugin "VolumeBinding": binding volumes: provisioning failed'))
    for name in ("pi-1", "pi-2"):
        await client.patch(NODES, name, {"spec": {"unschedulable": True}}, kind=PatchType.MERGE)
    assert await eventually(node_of(client, "web")) == "pi-3"
    assert (await volume_of(client, "data"))["metadata"]["annotations"]["picluster.io/node"] == "pi-3"
