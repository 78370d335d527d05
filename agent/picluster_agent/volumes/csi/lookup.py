"""What the API server says of a driver's volume: CSIDriver, attachment, secrets, tokens of the pod's account."""

from __future__ import annotations

from picluster.api.errors import ApiError
from picluster.api.resources import (
    CSI_DRIVERS,
    NODES,
    SECRETS,
    SERVICE_ACCOUNTS,
    TOKEN_REQUEST,
    VOLUME_ATTACHMENTS,
    Resource,
)
from picluster.api.types import Object
from picluster.client import Client, TransportError
from picluster.util.clock import Clock
from picluster_agent.podman.env import secret_data
from picluster_agent.volumes.claims import Volume
from picluster_agent.volumes.csi.record import Record
from picluster_agent.volumes.manager import failed

FETCH_TIMEOUT_S = 5.0
TOKEN_LIFETIME_S = 3600


IN_USE_S = 10.0
LOOK_S = 0.2


def needs_attachment(volume: Volume, driver: Object) -> bool:
    """Whether a controller attaches the volume to nodes: as long as the driver does not say otherwise."""
    return volume.persistent is not None and (driver.get("spec") or {}).get("attachRequired") is not False


class Lookup:
    """Every method raises ``VolumeError`` when something is missing or cannot be read."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def driver(self, volume: Volume) -> Object:
        """The CSIDriver, or nothing where the driver has none."""
        return await self._get(CSI_DRIVERS, volume.source["driver"], None, volume, missing={})

    async def _get(
        self, resource: Resource, name: str, namespace: str | None, volume: Volume, missing: Object | None = None
    ) -> Object:
        try:
            return await self._client.get(resource, name, namespace=namespace, timeout_s=FETCH_TIMEOUT_S)
        except ApiError as error:
            if error.code == 404 and missing is not None:
                return missing
            raise failed("MountVolume.SetUp", volume.spec_name, f"kubernetes.io/csi: {error}") from error
        except TransportError as error:
            raise failed("MountVolume.SetUp", volume.spec_name, f"kubernetes.io/csi: {error}") from error

    async def attached(self, volume: Volume, driver: Object, wanted: Record) -> dict[str, str]:
        """The publish context, once the volume is attached to this node; nothing where drivers do not attach."""
        if not needs_attachment(volume, driver):
            return {}
        step, name = "MountVolume.WaitForAttach", wanted.attachment
        try:
            found = await self._client.get(VOLUME_ATTACHMENTS, name, timeout_s=FETCH_TIMEOUT_S)
        except (ApiError, TransportError) as error:
            text = f"volume {wanted.handle} has GET error for volume attachment {name}: {error}"
            raise failed(step, volume.spec_name, text) from error
        status = found.get("status") or {}
        if not status.get("attached"):
            wrong = (status.get("attachError") or {}).get("message")
            raise failed(step, volume.spec_name, wrong or f"watch error: volume {wanted.handle} is not attached yet")
        return dict(status.get("attachmentMetadata") or {})

    async def in_use(self, volume: Volume, name: str, node: str, clock: Clock) -> None:
        """Wait until the node's status says that the volume is in use, so that nobody detaches it from now on."""
        end_s = clock.monotonic() + IN_USE_S
        while True:
            found = await self._get(NODES, node, None, volume)
            if name in ((found.get("status") or {}).get("volumesInUse") or ()):
                return
            if clock.monotonic() > end_s:
                text = "Volume has not been added to the list of VolumesInUse in the node's volume status"
                raise failed("MountVolume.WaitForAttach", volume.spec_name, text)
            await clock.sleep(LOOK_S)

    async def secrets(self, volume: Volume, reference: Object | None, pod: Object | None) -> dict[str, str]:
        """A secret that the volume refers to; an inline volume's is in its pod's namespace."""
        if not reference:
            return {}
        namespace = reference.get("namespace") or (pod or {"metadata": {}})["metadata"].get("namespace")
        secret = await self._get(SECRETS, reference["name"], namespace, volume)
        return {key: value.decode(errors="replace") for key, value in secret_data(secret).items()}

    async def tokens(self, volume: Volume, pod: Object, driver: Object) -> dict[str, Object]:
        """Tokens of the pod's account that the driver wants to act with (KEP-2047), by audience."""
        found: dict[str, Object] = {}
        metadata = pod["metadata"]
        for wanted in (driver.get("spec") or {}).get("tokenRequests") or ():
            audience = wanted.get("audience") or ""
            reference = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
            spec: Object = {
                "audiences": [audience] if audience else [],
                "boundObjectRef": reference,
                "expirationSeconds": wanted.get("expirationSeconds") or TOKEN_LIFETIME_S,
            }
            account = pod["spec"].get("serviceAccountName") or "default"
            body = {"apiVersion": TOKEN_REQUEST.api_version, "kind": TOKEN_REQUEST.kind, "metadata": {}, "spec": spec}
            try:
                answer = await self._client.create(
                    SERVICE_ACCOUNTS, body, namespace=metadata["namespace"], name=account, subresource="token"
                )
            except (ApiError, TransportError) as error:
                text = f"kubernetes.io/csi: failed to fetch token: {error}"
                raise failed("MountVolume.SetUp", volume.spec_name, text) from error
            status = answer["status"]
            found[audience] = {"token": status["token"], "expirationTimestamp": status["expirationTimestamp"]}
        return found
