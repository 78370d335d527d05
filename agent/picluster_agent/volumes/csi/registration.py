"""Drivers that come and go, and what the cluster is told of them: CSINode, and the node's labels and annotation.

The kubelet's plugin watcher: a driver's registrar puts a socket into ``plugins_registry``, is asked who it is, and told
whether it was taken. (``pkg/kubelet/pluginmanager``, ``pkg/volume/csi/nodeinfomanager``.)
"""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

from picluster.api.errors import ApiError
from picluster.api.resources import CSI_NODES, NODES
from picluster.api.types import Object
from picluster.client import Client, PatchType
from picluster_agent.volumes.csi.driver import Driver, call
from picluster_agent.volumes.csi.messages import GET_INFO, NODE_GET_INFO, NOTIFY

log = logging.getLogger(__name__)

REGISTRAR_TIMEOUT_S = 10.0
NODE_ID = "csi.volume.kubernetes.io/nodeid"
CONFLICTS_MAX = 5


class RegistrationError(Exception):
    """The plugin is not one that this node takes."""


async def introduce(socket: Path) -> Driver:
    """Ask a registrar for its driver; raises ``RegistrationError`` or ``unary.RpcError``."""
    info = await call(socket, GET_INFO, {}, REGISTRAR_TIMEOUT_S)
    if info.get("type") != "CSIPlugin":
        raise RegistrationError(f"no handler registered for plugin type: {info.get('type')} at socket {socket}")
    versions = info.get("supported_versions", ())
    if not any(version.removeprefix("v").partition(".")[0] == "1" for version in versions):
        raise RegistrationError(f"none of the CSI versions reported by this driver are supported: {list(versions)}")
    return Driver(info.get("name", ""), Path(info.get("endpoint", "")), socket)


async def notify(socket: Path, error: str = "") -> None:
    """Tell a registrar how it went."""
    await call(socket, NOTIFY, {"plugin_registered": not error, "error": error}, REGISTRAR_TIMEOUT_S)


async def node_info(driver: Driver) -> dict[str, Any]:
    info = await driver.call(NODE_GET_INFO, {})
    if not info.get("node_id"):
        raise RegistrationError(f"driver {driver.name} has no node id")
    return info


def entry(driver: str, info: dict[str, Any]) -> Object:
    """The driver's part of CSINode."""
    found: Object = {"name": driver, "nodeID": info["node_id"]}
    segments = (info.get("accessible_topology") or {}).get("segments") or {}
    found["topologyKeys"] = sorted(segments)
    if (count := info.get("max_volumes_per_node", 0)) > 0:
        found["allocatable"] = {"count": count}
    return found


class NodeInfo:
    """Keeps CSINode and the Node in step with the drivers; one change at a time."""

    def __init__(self, client: Client, node_name: str) -> None:
        self._client = client
        self._node_name = node_name
        self._lock = asyncio.Lock()

    async def add(self, driver: str, info: dict[str, Any]) -> None:
        """Raises ``ApiError`` or ``TransportError``."""
        segments = (info.get("accessible_topology") or {}).get("segments") or {}
        async with self._lock:
            node = await self._client.get(NODES, self._node_name)
            await self._annotate(node, driver, info["node_id"], segments)
            await self._change(node, driver, entry(driver, info))

    async def remove(self, driver: str) -> None:
        async with self._lock:
            node = await self._client.get(NODES, self._node_name)
            await self._change(node, driver, None)
            await self._annotate(node, driver, None, {})

    async def _annotate(self, node: Object, driver: str, node_id: str | None, labels: dict[str, str]) -> None:
        known = json.loads((node["metadata"].get("annotations") or {}).get(NODE_ID) or "{}")
        wanted = {**known, driver: node_id} if node_id else {key: known[key] for key in known if key != driver}
        present = node["metadata"].get("labels") or {}
        if wanted == known and all(present.get(key) == value for key, value in labels.items()):
            return
        text = json.dumps(wanted, separators=(",", ":"), sort_keys=True) if wanted else None
        patch = {"metadata": {"annotations": {NODE_ID: text}, "labels": labels}}
        await self._client.patch(NODES, self._node_name, patch, kind=PatchType.MERGE)

    async def _change(self, node: Object, driver: str, wanted: Object | None) -> None:
        """Put one driver's entry into CSINode, or take it out; others' writes in between are no failure."""
        for _ in range(CONFLICTS_MAX):
            try:
                found = await self._client.get(CSI_NODES, self._node_name)
            except ApiError as error:
                if error.code != 404:
                    raise
                found = None
            try:
                await self._write(node, found, driver, wanted)
                return
            except ApiError as error:
                if error.code != 409:
                    raise
        log.warning("CSINode %s is being changed by somebody else all the time", self._node_name)

    async def _write(self, node: Object, found: Object | None, driver: str, wanted: Object | None) -> None:
        known = (found or {}).get("spec", {}).get("drivers") or []
        drivers = [one for one in known if one["name"] != driver] + ([wanted] if wanted else [])
        if found is None:
            owner = {"apiVersion": "v1", "kind": "Node", "name": self._node_name, "uid": node["metadata"]["uid"]}
            metadata = {"name": self._node_name, "ownerReferences": [owner]}
            await self._client.create(CSI_NODES, {"metadata": metadata, "spec": {"drivers": drivers}})
        elif sorted(known, key=_name) != sorted(drivers, key=_name):
            await self._client.update(CSI_NODES, {**found, "spec": {**found["spec"], "drivers": drivers}})


def _name(one: Object) -> str:
    return str(one["name"])
