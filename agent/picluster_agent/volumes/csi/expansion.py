"""A volume that has grown is made known to its file system: the node's part of resizing (KEP-1790, KEP-284).

The controller has grown the volume (its PersistentVolume says so); as long as the claim's status says less, the driver
is asked to expand what is mounted here, and then the claim is told.
"""

from __future__ import annotations

from typing import Any

from picluster.api.quantity import nanos, value
from picluster.api.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from picluster.api.types import Object
from picluster.client import Client, PatchType
from picluster_agent.volumes.csi.driver import Driver
from picluster_agent.volumes.csi.messages import EXPAND_VOLUME, NODE_EXPAND

PENDING = ("FileSystemResizePending", "Resizing", "NodeResizeError")


def needed(claim: Object, persistent: Object) -> str:
    """The size that the file system should have, where the claim does not have it yet; else nothing."""
    size = (persistent["spec"].get("capacity") or {}).get("storage")
    known = ((claim.get("status") or {}).get("capacity") or {}).get("storage")
    return str(size) if size is not None and known is not None and nanos(size) > nanos(known) else ""


def grown(claim: Object, size: str) -> Object:
    """What the claim's status becomes."""
    status = claim.get("status") or {}
    conditions = [one for one in status.get("conditions") or () if one["type"] not in PENDING]
    patch: Object = {"capacity": {"storage": size}, "conditions": conditions or None}
    if status.get("allocatedResourceStatuses"):
        patch["allocatedResourceStatuses"] = None
    return {"status": patch}


async def expand(client: Client, driver: Driver, namespace: str, claim_name: str, message: dict[str, Any]) -> str:
    """Expand a mounted volume if it has grown; its new size then. Raises ``RpcError`` and what the client raises."""
    if EXPAND_VOLUME not in await driver.capabilities():
        return ""
    claim = await client.get(PERSISTENT_VOLUME_CLAIMS, claim_name, namespace=namespace)
    persistent = await client.get(PERSISTENT_VOLUMES, claim["spec"]["volumeName"])
    size = needed(claim, persistent)
    if size:
        await driver.call(NODE_EXPAND, {**message, "capacity_range": {"required_bytes": value(size)}})
        await client.patch(
            PERSISTENT_VOLUME_CLAIMS,
            claim_name,
            grown(claim, size),
            namespace=namespace,
            kind=PatchType.MERGE,
            subresource="status",
        )
    return size
