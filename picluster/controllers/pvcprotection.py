"""Claims stay while a pod that has a node uses them (``pkg/controller/volume/pvcprotection``).

Whether a pod is done says nothing: as long as there is one that names the claim, the claim stays.
"""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api.resources import PERSISTENT_VOLUME_CLAIMS, PODS
from picluster.api.types import Object
from picluster.controllers.shared import indexes
from picluster.controllers.shared.protection import ProtectionController
from picluster.runtime import Manager


class PvcProtectionController(ProtectionController):
    name = "pvc-protection-controller"
    resource = PERSISTENT_VOLUME_CLAIMS
    finalizer = "kubernetes.io/pvc-protection"

    def setup(self, manager: Manager) -> None:
        super().setup(manager)
        self._pods = manager.informer(PODS)
        indexes.by_namespace(self._pods)
        self._pods.add_handler(self._on_pod)

    def _on_pod(self, old: Object | None, new: Object | None) -> None:
        """A pod that has gone, or has ended, or never ran, may have been the last to use its claims."""
        if old is not None and (new is None or _uid(new) != _uid(old) or is_shut_down(new)):
            for name in (*_claims(old), *_ephemeral(old)):
                self.queue.add(f"{old['metadata']['namespace']}/{name}")

    async def is_used(self, obj: Object) -> bool:
        """As the cache knows, and when it knows of no user, the server."""
        namespace = obj["metadata"]["namespace"]
        if any(uses(pod, obj) for pod in self._pods.index(indexes.NAMESPACE, namespace)):
            return True
        page = await self.client.list(PODS, namespace=namespace)
        return any(uses(pod, obj) for pod in page["items"])


def uses(pod: Object, claim: Object) -> bool:
    """Whether ``claim`` has to stay for ``pod``; a claim made for a pod's own volume stays until that has ended."""
    if not (pod.get("spec") or {}).get("nodeName") or pod["metadata"]["namespace"] != claim["metadata"]["namespace"]:
        return False
    name = claim["metadata"]["name"]
    if name in _claims(pod):
        return True
    owned = any(
        owner.get("controller") and owner.get("uid") == _uid(pod)
        for owner in claim["metadata"].get("ownerReferences") or ()
    )
    return owned and not is_shut_down(pod) and name in _ephemeral(pod)


def is_shut_down(pod: Object) -> bool:
    """Whether its node is done with it, or it was removed by force; somebody's finalizer may hold it still."""
    metadata = pod["metadata"]
    return bool(metadata.get("deletionTimestamp")) and metadata.get("deletionGracePeriodSeconds") == 0


def _claims(pod: Object) -> Iterator[str]:
    for volume in pod["spec"].get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            yield claim["claimName"]


def _ephemeral(pod: Object) -> Iterator[str]:
    for volume in pod["spec"].get("volumes") or ():
        if volume.get("ephemeral") is not None:
            yield f"{pod['metadata']['name']}-{volume['name']}"


def _uid(obj: Object) -> str:
    return str(obj["metadata"].get("uid"))
