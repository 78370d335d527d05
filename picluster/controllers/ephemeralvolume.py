"""Claims of generic ephemeral volumes: each such volume of a pod gets one that ends with the pod (KEP-1698).

The claim is named ``<pod>-<volume>`` and belongs to the pod. A claim of that name that belongs to nobody, or to another
pod, is left alone, and the pod waits. Source: ``pkg/controller/volume/ephemeral``.
"""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api.errors import ApiError
from picluster.api.resources import PERSISTENT_VOLUME_CLAIMS, PODS
from picluster.api.types import Object
from picluster.controllers.shared import indexes
from picluster.runtime import Controller, Manager


class ForeignClaim(Exception):
    """The claim that a volume would have is there and is somebody else's."""


class EphemeralVolumeController(Controller):
    """Keys are pods."""

    name = "ephemeral-volume-controller"
    workers = 2

    def setup(self, manager: Manager) -> None:
        self._pods = manager.informer(PODS)
        indexes.by_claim(self._pods)
        self._claims = manager.informer(PERSISTENT_VOLUME_CLAIMS)
        self._pods.add_handler(self._on_pod)
        self._claims.add_handler(self._on_claim)

    def _on_pod(self, old: Object | None, new: Object | None) -> None:
        if new is not None and is_wanting(new):
            self.enqueue(old, new)

    def _on_claim(self, old: Object | None, new: Object | None) -> None:
        """A claim that has gone may have been in the way, or may be needed again."""
        if old is None or new is not None:
            return
        metadata = old["metadata"]
        for pod in self._pods.index(indexes.CLAIM, f"{metadata['namespace']}/{metadata['name']}"):
            self._on_pod(None, pod)

    async def reconcile(self, key: str) -> float | None:
        known = self._pods.get(key)
        if known is None or not is_wanting(known):
            return None
        missing = [name for name in names(known) if self._is_missing(known, name)]
        if not missing:
            return None
        namespace, name = key.split("/")
        try:
            pod = await self.client.get(PODS, name, namespace=namespace)  # templates are not kept in the cache
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        if pod["metadata"]["uid"] == known["metadata"]["uid"]:
            for wanted in claims(pod):
                if wanted["metadata"]["name"] in missing:
                    await self.client.create(PERSISTENT_VOLUME_CLAIMS, wanted)
        return None

    def _is_missing(self, pod: Object, name: str) -> bool:
        """Raises ``ForeignClaim``, so that the pod is looked at again."""
        metadata = pod["metadata"]
        found = self._claims.get(f"{metadata['namespace']}/{name}")
        if found is not None and not belongs(found, pod):
            where = f"{metadata['namespace']}/{name}"
            raise ForeignClaim(f"PVC {where} was not created for pod {metadata['name']} (pod is not owner)")
        return found is None


def is_wanting(pod: Object) -> bool:
    return not pod["metadata"].get("deletionTimestamp") and any(names(pod))


def names(pod: Object) -> Iterator[str]:
    """The claims of a pod's own volumes."""
    for volume in pod["spec"].get("volumes") or ():
        if volume.get("ephemeral") is not None:
            yield f"{pod['metadata']['name']}-{volume['name']}"


def belongs(claim: Object, pod: Object) -> bool:
    owners = claim["metadata"].get("ownerReferences") or ()
    return any(one.get("controller") and one.get("uid") == pod["metadata"]["uid"] for one in owners)


def claims(pod: Object) -> Iterator[Object]:
    """The claims as they are made, from the templates in the pod."""
    metadata = pod["metadata"]
    owner = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    for volume in pod["spec"].get("volumes") or ():
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template is None:
            continue
        own: Object = {"name": f"{metadata['name']}-{volume['name']}", "namespace": metadata["namespace"]}
        given = template.get("metadata") or {}
        own |= {key: given[key] for key in ("labels", "annotations") if given.get(key)}
        yield {
            "apiVersion": PERSISTENT_VOLUME_CLAIMS.api_version,
            "kind": PERSISTENT_VOLUME_CLAIMS.kind,
            "metadata": {**own, "ownerReferences": [owner]},
            "spec": template["spec"],
        }
