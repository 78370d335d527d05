"""The Node object as the kubelet keeps it; a runtime that hangs; the board's own health."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from picluster.api.meta import get_condition
from picluster.api.resources import CORE_EVENTS, NODES
from picluster.client import PatchType

pytestmark = [pytest.mark.lab]

NAME = "test-node"


async def test_a_hung_runtime_and_a_troubled_board_are_told(node: Any, tmp_path: Path) -> None:
    boot = {"status": {"nodeInfo": {"bootID": "an-earlier-boot"}}, "metadata": {"labels": {"mine": "kept"}}}
    assert node.stop(signal.SIGTERM) == 0
    await node.client.patch(NODES, NAME, {"metadata": boot["metadata"]}, kind=PatchType.MERGE)
    await node.client.patch(NODES, NAME, {"status": boot["status"]}, kind=PatchType.MERGE, subresource="status")
    throttled = tmp_path / "board/sys/devices/platform/soc/soc:firmware/get_throttled"
    throttled.parent.mkdir(parents=True)
    throttled.write_text("50005\n")
    node.settings = {"health_root": str(tmp_path / "board"), "taints": [{"key": "late", "effect": "NoSchedule"}]}
    node.start()

    async def condition(kind: str, status: str) -> dict[str, Any] | None:
        found = get_condition(await node.client.get(NODES, NAME), kind)
        return found if found and found["status"] == status else None

    low = await node.eventually(lambda: condition("UnderVoltage", "True"), "the board's trouble")
    assert low["reason"] == "SupplyVoltageLow"
    found = await node.eventually(node.registered, "the node to be Ready")
    assert get_condition(found, "Throttled")["status"] == "True"
    assert get_condition(found, "HighTemperature") is None
    status = found["status"]
    info = status["nodeInfo"]
    assert info["bootID"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert info["containerRuntimeVersion"].startswith("podman://4.")
    assert info["swap"]["capacity"] >= 0
    assert all(info[key] for key in ("machineID", "systemUUID", "kernelVersion", "osImage", "kubeletVersion"))
    assert status["runtimeHandlers"][0]["name"] == ""
    assert "RestartAllContainersOnContainerExits" in status["declaredFeatures"]
    assert status["features"] == {"supplementalGroupsPolicy": True}
    assert status["capacity"].keys() >= {"cpu", "memory", "ephemeral-storage", "pods"}
    assert found["metadata"]["labels"]["mine"] == "kept"
    assert found["metadata"]["annotations"]["volumes.kubernetes.io/controller-managed-attach-detach"] == "true"
    assert "late" not in [taint["key"] for taint in found["spec"].get("taints") or ()], "taints are the administrator's"

    before = get_condition(await node.client.get(NODES, NAME), "Ready")
    node.stop(signal.SIGKILL)
    node.start()

    async def heard() -> dict[str, Any] | None:
        now = get_condition(await node.client.get(NODES, NAME), "Ready")
        return now if now["lastHeartbeatTime"] != before["lastHeartbeatTime"] else None

    after = await node.eventually(heard, "the restarted agent")
    assert after["lastTransitionTime"] == before["lastTransitionTime"], "a restart is no trouble"
    assert node.podman.process is not None
    node.podman.process.send_signal(signal.SIGSTOP)
    try:
        down = await node.eventually(lambda: condition("Ready", "False"), "the hung runtime to be noticed", 30.0)
        assert down["reason"] == "KubeletNotReady"
        assert down["message"].startswith("container runtime is down")
    finally:
        node.podman.process.send_signal(signal.SIGCONT)
    await node.eventually(node.registered, "the node to be Ready again")

    await node.client.patch(NODES, NAME, {"metadata": {"labels": {"kubernetes.io/arch": "vax"}}}, kind=PatchType.MERGE)
    capacity = {"status": {"capacity": {"example.com/foo": "3"}}}
    await node.client.patch(NODES, NAME, capacity, kind=PatchType.STRATEGIC, subresource="status")

    async def put_right() -> bool:
        now = await node.client.get(NODES, NAME)
        right = now["metadata"]["labels"]["kubernetes.io/arch"] != "vax"
        return right and now["status"]["allocatable"].get("example.com/foo") == "3"

    await node.eventually(put_right, "labels and extended resources")

    async def told() -> bool:
        page = await node.client.list(CORE_EVENTS, field_selector=f"involvedObject.name={NAME}")
        rebooted = ("Rebooted", f"Node {NAME} has been rebooted, boot id: {info['bootID']}")
        found = {(one["reason"], one["message"]) for one in page["items"] if one["type"] == "Warning"}
        reasons = {one["reason"] for one in page["items"]}
        return rebooted in found and reasons >= {
            "Starting",
            "NodeHasSufficientMemory",
            "NodeNotReady",
            "SupplyVoltageLow",
        }

    await node.eventually(told, "the node's events")
