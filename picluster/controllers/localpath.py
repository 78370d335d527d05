"""The provisioner ``picluster.io/local-path``: a volume is a directory on the node of the claim's first pod.

The class ``local-path`` waits for a consumer, so the scheduler chooses the node and writes it on the claim. The node's
agent makes the directory and removes it again; it is asked through the API server, like everything that is asked of a
node. A released volume carries a finalizer until its node has said that the directory is gone: a board that is off
when its volume is released is asked again when it is back, whatever crashed meanwhile. A node that was taken out of
the cluster is not waited for. k3s has the same with helper pods (``rancher/local-path-provisioner``), which need an
image; claims, events and names are as there and in ``sig-storage-lib-external-provisioner``.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import orjson

from picluster.api import volumebinding as binding
from picluster.api.errors import ApiError
from picluster.api.meta import condition_is, key_of
from picluster.api.resources import NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES
from picluster.api.types import Object
from picluster.client import TransportError
from picluster.runtime import Controller, Manager

FINALIZER = "picluster.io/local-path"
NODE = "picluster.io/node"
HOST = "kubernetes.io/hostname"
DIRECTORY = "/var/lib/picluster/storage"
"""On nodes that have no agent to ask (hollow ones)."""
NAME_MAX = 200
UNREACHABLE_AGAIN_S = 60.0
MODES = {"ReadWriteOnce", binding.SINGLE_POD}
CLAIM, VOLUME = "claim:", "volume:"


class LocalPathProvisioner(Controller):
    """Keys are ``claim:<namespace>/<name>`` and ``volume:<name>``."""

    name = binding.LOCAL_PATH
    workers = 2

    def setup(self, manager: Manager) -> None:
        self._claims, self._volumes = (
            manager.informer(PERSISTENT_VOLUME_CLAIMS),
            manager.informer(PERSISTENT_VOLUMES),
        )
        self._classes, self._nodes = manager.informer(STORAGE_CLASSES), manager.informer(NODES)
        self._claims.add_handler(self._on_claim)
        self._volumes.add_handler(self._on_volume)
        self._nodes.add_handler(self._on_node)

    def _on_claim(self, old: Object | None, new: Object | None) -> None:
        if new is not None and is_asked(new):
            self.queue.add(CLAIM + key_of(new))

    def _on_volume(self, old: Object | None, new: Object | None) -> None:
        if new is not None and is_ours(new):
            self.queue.add(VOLUME + new["metadata"]["name"])

    def _on_node(self, old: Object | None, new: Object | None) -> None:
        """A node that is back, or gone for good, ends the waiting of its volumes."""
        if new is not None and (old is None or not condition_is(new, "Ready") or condition_is(old, "Ready")):
            return
        node = new if new is not None else old
        assert node is not None
        for volume in self._volumes.values():
            if is_ours(volume) and binding.annotations_of(volume).get(NODE) == node["metadata"]["name"]:
                self.queue.add(VOLUME + volume["metadata"]["name"])

    async def reconcile(self, key: str) -> float | None:
        if key.startswith(CLAIM):
            claim = self._claims.get(key.removeprefix(CLAIM))
            if claim is not None and is_asked(claim):
                await self._provision(claim)
            return None
        volume = self._volumes.get(key.removeprefix(VOLUME))
        if volume is None:
            return None
        if is_to_go(volume):
            return await self._delete(volume)
        if _holds(volume) and volume["spec"].get("persistentVolumeReclaimPolicy") != "Delete":
            await self._let_go(volume)
        return None

    async def _provision(self, claim: Object) -> None:
        storage_class = self._classes.get(binding.class_of(claim))
        if storage_class is None or storage_class.get("provisioner") != binding.LOCAL_PATH:
            return
        if self._volumes.get(volume_name(claim)) is not None:
            return  # made already; who binds will see it too
        name = binding.annotations_of(claim).get(binding.SELECTED_NODE)
        if name is None and binding.waits_for_consumer(storage_class):
            return
        why = refusal(claim, name)
        if why is not None:
            self._failed(claim, storage_class, why)
            return
        assert name is not None
        message = f'External provisioner is provisioning volume for claim "{key_of(claim)}"'
        self.recorder.event(claim, "Normal", "Provisioning", message)
        try:
            node = await self.client.get(NODES, name)
            path = await self._make(node, directory_of(claim))
        except (ApiError, TransportError) as error:
            self._failed(claim, storage_class, str(error))
            await self._choose_again(claim)
            return
        volume = volume_for(claim, storage_class, node, path)
        try:
            await self.client.create(PERSISTENT_VOLUMES, volume)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        done = f"Successfully provisioned volume {volume['metadata']['name']}"
        self.recorder.event(claim, "Normal", "ProvisioningSucceeded", done)

    def _failed(self, claim: Object, storage_class: Object, why: str) -> None:
        name = storage_class["metadata"]["name"]
        message = f'failed to provision volume with StorageClass "{name}": {why}'
        self.recorder.event(claim, "Warning", "ProvisioningFailed", message)

    async def _choose_again(self, claim: Object) -> None:
        """The scheduler is to choose a node anew, this one or another."""
        kept = {key: value for key, value in binding.annotations_of(claim).items() if key != binding.SELECTED_NODE}
        changed = {**claim, "metadata": {**claim["metadata"], "annotations": kept}}
        await self.client.update(PERSISTENT_VOLUME_CLAIMS, changed)

    async def _make(self, node: Object, directory: str) -> str:
        if not has_agent(node):
            return f"{DIRECTORY}/{directory}"
        answer = await self._ask("PUT", node["metadata"]["name"], directory)
        return str(answer["path"])

    async def _delete(self, volume: Object) -> float | None:
        """First the data, then the volume: in this order, since afterwards nobody would know of the data."""
        metadata = volume["metadata"]
        try:
            await self._remove(volume)
        except (ApiError, TransportError) as error:
            self.recorder.event(volume, "Warning", "VolumeFailedDelete", str(error))
            return UNREACHABLE_AGAIN_S
        if not metadata.get("deletionTimestamp"):
            volume = await self.client.delete(PERSISTENT_VOLUMES, metadata["name"], uid=metadata["uid"])
        await self._let_go(volume)
        return None

    async def _remove(self, volume: Object) -> None:
        name = binding.annotations_of(volume).get(NODE, "")
        try:
            node = await self.client.get(NODES, name)
        except ApiError as error:
            if error.code != 404:
                raise
            return
        path = (volume["spec"].get("hostPath") or {}).get("path", "")
        if has_agent(node):
            await self._ask("DELETE", name, path.rpartition("/")[2], path=path)

    async def _ask(self, method: str, node: str, directory: str, **query: str) -> Any:
        where = f"{NODES.path(None, quote(node, safe=''), 'proxy')}/localvolumes/{quote(directory, safe='')}"
        async with self.client.raw(method, f"{where}?{urlencode(query)}" if query else where) as response:
            return orjson.loads(await response.read())

    async def _let_go(self, volume: Object) -> None:
        metadata = volume["metadata"]
        kept = [each for each in metadata.get("finalizers") or () if each != FINALIZER]
        if len(kept) == len(metadata.get("finalizers") or ()):
            return
        try:
            await self.client.update(PERSISTENT_VOLUMES, {**volume, "metadata": {**metadata, "finalizers": kept}})
        except ApiError as error:
            if error.code != 404:
                raise


def is_asked(claim: Object) -> bool:
    """Whether the claim waits for a volume of ours. PURE."""
    wanted = binding.annotations_of(claim).get(binding.STORAGE_PROVISIONER) == binding.LOCAL_PATH
    return wanted and not claim["spec"].get("volumeName") and not claim["metadata"].get("deletionTimestamp")


def is_ours(volume: Object) -> bool:
    return binding.annotations_of(volume).get(binding.PROVISIONED_BY) == binding.LOCAL_PATH


def is_to_go(volume: Object) -> bool:
    """Whether nobody needs the volume any more, and its data is to go with it. PURE."""
    phase = (volume.get("status") or {}).get("phase")
    leaving = bool(volume["metadata"].get("deletionTimestamp"))
    unused = phase == "Released" or (leaving and phase != "Bound")
    return (
        unused and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete" and (_holds(volume) or not leaving)
    )


def refusal(claim: Object, node: str | None) -> str | None:
    """Why there can be no such volume, if so. PURE."""
    spec = claim["spec"]
    if spec.get("selector") is not None:
        return "claim.Spec.Selector is not supported"
    if not set(spec.get("accessModes") or ()) <= MODES:
        return "only ReadWriteOnce and ReadWriteOncePod access modes are supported"
    if binding.mode(claim) != "Filesystem":
        return "only volumeMode Filesystem is supported"
    if spec.get("dataSource") is not None or spec.get("dataSourceRef") is not None:
        return "claims with a data source are not supported"
    if node is None:
        return "no node was chosen; the class must have volumeBindingMode WaitForFirstConsumer"
    return None


def has_agent(node: Object) -> bool:
    endpoints = (node.get("status") or {}).get("daemonEndpoints") or {}
    return bool((endpoints.get("kubeletEndpoint") or {}).get("Port"))


def volume_name(claim: Object) -> str:
    return f"pvc-{claim['metadata']['uid']}"


def directory_of(claim: Object) -> str:
    """``<volume>_<namespace>_<claim>``, so that people find their data; cut where a file system would refuse it."""
    metadata = claim["metadata"]
    return f"{volume_name(claim)}_{metadata['namespace']}_{metadata['name']}"[:NAME_MAX]


def volume_for(claim: Object, storage_class: Object, node: Object, path: str) -> Object:
    """PURE."""
    metadata, spec = claim["metadata"], claim["spec"]
    host = (node["metadata"].get("labels") or {}).get(HOST, node["metadata"]["name"])
    policy = storage_class.get("reclaimPolicy") or "Delete"
    here = {"matchExpressions": [{"key": HOST, "operator": "In", "values": [host]}]}
    made_for = {"kind": "PersistentVolumeClaim", "apiVersion": "v1"}
    return {
        "metadata": {
            "name": volume_name(claim),
            "annotations": {binding.PROVISIONED_BY: binding.LOCAL_PATH, NODE: node["metadata"]["name"]},
            "finalizers": [FINALIZER] if policy == "Delete" else [],
        },
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec.get("accessModes") or [],
            "volumeMode": "Filesystem",
            "storageClassName": storage_class["metadata"]["name"],
            "persistentVolumeReclaimPolicy": policy,
            "claimRef": {**made_for, **{key: metadata[key] for key in ("namespace", "name", "uid")}},
            "hostPath": {"path": path, "type": "DirectoryOrCreate"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [here]}},
        },
    }


def _holds(volume: Object) -> bool:
    return FINALIZER in (volume["metadata"].get("finalizers") or ())
