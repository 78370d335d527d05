"""Volumes of a real CSI driver: registered, staged, published, and taken away again whatever happens in between."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from csi_driver import DriverProcess
from pod_volumes import at, bound, claims, command, loop_device, none_below, pod_dir, ready, says, sh

from picluster.api.errors import ApiError
from picluster.api.resources import (
    CSI_DRIVERS,
    CSI_NODES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SECRETS,
    VOLUME_ATTACHMENTS,
)
from picluster.client import PatchType
from picluster_agent import kernel
from picluster_agent.volumes.csi import record

pytestmark = [pytest.mark.lab]

NAME = "csi.test"


@pytest.fixture
def driver(node: Any, tmp_path: Path) -> Iterator[DriverProcess]:
    made = DriverProcess(NAME, tmp_path / "driver", node.root / "data" / "plugins_registry", "stage")
    yield made
    made.kill()
    kernel.unmount_tree(node.root / "data")


async def csi_node(node: Any) -> list[dict[str, Any]]:
    try:
        drivers: list[dict[str, Any]] = (await node.client.get(CSI_NODES, "test-node"))["spec"]["drivers"]
    except ApiError:
        return []
    return drivers


async def attached(node: Any, volume: str, handle: str) -> None:
    """What the attach-detach controller and the driver's attacher do."""
    attachment = record.attachment_name(handle, NAME, "test-node")
    spec = {"attacher": NAME, "nodeName": "test-node", "source": {"persistentVolumeName": volume}}
    await node.client.create(VOLUME_ATTACHMENTS, {"metadata": {"name": attachment}, "spec": spec})
    status = {"status": {"attached": True, "attachmentMetadata": {"device": "d1"}}}
    await node.client.patch(VOLUME_ATTACHMENTS, attachment, status, kind=PatchType.MERGE, subresource="status")


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[str]:
    made = loop_device(tmp_path / "disk.img")
    yield made
    command("losetup", "--detach", made)


async def test_csi(node: Any, driver: DriverProcess, loop: str, make_pod: Any, box: Any) -> None:
    """A driver and its volumes through kills and a power cut. (Its sockets' paths have to be short.)"""
    client = node.client
    await client.create(
        CSI_DRIVERS,
        {
            "metadata": {"name": NAME},
            "spec": {
                "attachRequired": True,
                "podInfoOnMount": True,
                "volumeLifecycleModes": ["Persistent", "Ephemeral"],
                "tokenRequests": [{"audience": "vault"}],
                "fsGroupPolicy": "File",
            },
        },
    )
    await client.create(SECRETS, {"metadata": {"name": "key", "namespace": "default"}, "stringData": {"k": "hush"}})
    secret = {"name": "key", "namespace": "default"}
    source = {"driver": NAME, "volumeHandle": "vol-1", "volumeAttributes": {"a": "b"}, "nodeStageSecretRef": secret}
    await bound(node, "data", {"csi": source}, accessModes=["ReadWriteMany"])
    inline = {"driver": NAME, "volumeAttributes": {"x": "y"}, "nodePublishSecretRef": {"name": "key"}}
    volumes = [*claims("data"), {"name": "own", "csi": inline}]
    script = "echo run >> /data/log; echo run >> /own/log; sleep 1000"
    web = box("web", "sh", "-c", script, volumeMounts=at("data", "own"))
    await node.run(make_pod("web", web, volumes=volumes, securityContext={"fsGroup": 55}))
    await node.event(
        "web", "FailedMount", 'MountVolume.WaitForAttach failed for volume "data" : volume vol-1 has GET error'
    )
    await attached(node, "data", "vol-1")
    text = f"driver name {NAME} not found in the list of registered CSI drivers"
    await node.event("web", "FailedMount", text)

    driver.start()  # registered while the pod waits for it
    driver.fail("NodeStageVolume", "INTERNAL", "not now")
    pod = await node.when("web", ready)
    reason = 'MountVolume.MountDevice failed for volume "data" : rpc error: code = Internal desc = not now'
    await node.event("web", "FailedMount", reason)
    entry = {"name": NAME, "nodeID": "node-of-the-test", "topologyKeys": [f"{NAME}/node"], "allocatable": {"count": 7}}
    assert await csi_node(node) == [entry]
    here = (await client.get(NODES, "test-node"))["metadata"]
    assert here["labels"][f"{NAME}/node"] == "here"
    assert here["annotations"]["csi.volume.kubernetes.io/nodeid"] == f'{{"{NAME}":"node-of-the-test"}}'

    staged = driver.calls("NodeStageVolume")[-1]
    assert staged["secrets"] == {"k": "hush"} and staged["publish_context"] == {"device": "d1"}
    kubelet = node.root / "kubelet"
    assert staged["staging_target_path"].startswith(f"{kubelet}/plugins/kubernetes.io/csi/{NAME}/")
    published = {one["volume_id"]: one for one in driver.calls("NodePublishVolume")}
    mine = published["vol-1"]
    uid = pod["metadata"]["uid"]
    assert mine["target_path"] == f"{kubelet}/pods/{uid}/volumes/kubernetes.io~csi/data/mount"
    assert mine["staging_target_path"] == staged["staging_target_path"]
    assert mine["volume_capability"]["access_mode"] == {"mode": 5}
    assert mine["volume_context"]["a"] == "b"
    assert mine["volume_context"]["csi.storage.k8s.io/pod.uid"] == uid
    assert '"vault"' in mine["volume_context"]["csi.storage.k8s.io/serviceAccount.tokens"]
    [other] = [one for handle, one in published.items() if handle != "vol-1"]
    assert other["volume_context"]["csi.storage.k8s.io/ephemeral"] == "true" and other["secrets"] == {"k": "hush"}
    assert (await sh(node, pod, "stat -c %g /data /own /data/log")).split() == ["55", "55", "55"]

    async def in_use() -> bool:
        return (await client.get(NODES, "test-node"))["status"].get("volumesInUse") == [
            f"kubernetes.io/csi/{NAME}^vol-1"
        ]

    await node.eventually(in_use, "the volume to be reported in use")
    await client.patch(PERSISTENT_VOLUMES, "data", {"spec": {"capacity": {"storage": "2Mi"}}}, kind=PatchType.MERGE)
    part = {"name": "data", "mountPath": "/part", "subPath": "inner"}
    second = box("web", "sh", "-c", "sleep 1000", volumeMounts=[*at("data"), part])
    await node.run(make_pod("second", second, volumes=claims("data")))
    await node.when("second", ready)
    [grown] = driver.calls("NodeExpandVolume")
    assert (grown["volume_id"], grown["capacity_range"]) == ("vol-1", {"required_bytes": str(2 << 20)})
    claim = await client.get(PERSISTENT_VOLUME_CLAIMS, "data", namespace="default")
    assert claim["status"]["capacity"] == {"storage": "2Mi"}

    raw = {"driver": NAME, "volumeHandle": "vol-raw", "volumeAttributes": {"device": loop}}
    await bound(node, "raw", {"csi": raw}, volumeMode="Block")
    await attached(node, "raw", "vol-raw")
    device = box("web", "sleep", "1000", volumeDevices=[{"name": "raw", "devicePath": "/dev/xraw"}])
    await node.run(make_pod("raw", device, volumes=claims("raw")))
    taker = await node.when("raw", ready)
    assert await sh(node, taker, "stat -c %F /dev/xraw") == "block special file\n"
    await node.client.delete(PODS, "raw", namespace="default", grace_period_s=0)
    await node.gone("raw")

    calls = len(driver.calls("NodePublishVolume"))
    node.stop(signal.SIGKILL)
    node.start()
    await node.eventually(node.registered, "the node to be Ready")
    await node.client.delete(PODS, "second", namespace="default", grace_period_s=0)
    await node.gone("second")
    assert len(driver.calls("NodePublishVolume")) == calls, "what stands is not published again"
    assert driver.calls("NodeUnstageVolume") == [], "another pod has the volume still"

    node.stop(signal.SIGKILL)
    driver.kill()
    node.cut_power()
    node.start()
    driver.start()
    pod = await node.when("web", lambda pod: ready(pod) and pod["status"]["containerStatuses"][0]["restartCount"] == 1)
    await says(node, pod, "cat /data/log", "run\nrun")

    node.stop(signal.SIGKILL)  # and while it is away, the pod goes, and then the power
    driver.kill()
    await node.client.delete(PODS, "web", namespace="default", grace_period_s=0)
    node.cut_power()
    node.start()
    await node.eventually(node.registered, "the node to be Ready")
    assert (pod_dir(node, pod) / "volumes" / "kubernetes.io~csi" / "data" / "vol_data.json").exists()
    driver.start()

    async def clean() -> bool:
        plugins = node.root / "data" / "plugins" / "kubernetes.io" / "csi"
        left = [
            *(node.root / "data" / "pods").iterdir(),
            *plugins.glob(f"{NAME}/*"),
            *plugins.glob("volumeDevices/*/*"),
        ]
        return not left and await none_below(node.root / "data")

    await node.eventually(clean, "all that the driver did to be undone")
    assert driver.calls("NodeUnstageVolume")[-1]["volume_id"] == "vol-1"
    assert (driver.state / "volumes" / "vol-1" / "log").read_text() == "run\nrun\n"
    driver.kill(signal.SIGTERM)

    async def left() -> bool:
        return await csi_node(node) == []

    await node.eventually(left, "CSINode to forget the driver")
