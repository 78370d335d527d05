"""The authority of the API server, for every pod that wants to verify it: a ConfigMap in every namespace.

Source: ``pkg/controller/certificates/rootcacertpublisher`` of Kubernetes.
"""

from __future__ import annotations

from picluster.api.errors import ApiError
from picluster.api.resources import CONFIGMAPS, NAMESPACES
from picluster.api.types import Object
from picluster.runtime import Controller, Manager

NAME = "kube-root-ca.crt"
KEY = "ca.crt"
DESCRIPTION_KEY = "kubernetes.io/description"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


class RootCaPublisher(Controller):
    """Keys are namespaces' names."""

    name = "root-ca-certificate-publisher-controller"
    workers = 1

    def __init__(self, authority_pem: str) -> None:
        self._data = {KEY: authority_pem}

    def setup(self, manager: Manager) -> None:
        self._namespaces = manager.informer(NAMESPACES)
        self._published = manager.informer(CONFIGMAPS, field_selector=f"metadata.name={NAME}")
        self._namespaces.add_handler(self.enqueue)
        self._published.add_handler(self._on_config_map)

    def _on_config_map(self, old: Object | None, new: Object | None) -> None:
        changed = new if new is not None else old
        if changed is not None:
            self.queue.add(changed["metadata"]["namespace"])

    async def reconcile(self, key: str) -> float | None:
        namespace = self._namespaces.get(key)
        if namespace is None or namespace["metadata"].get("deletionTimestamp"):
            return None
        present = self._published.get(f"{key}/{NAME}")
        if present is None:
            await self._create(key)
        elif not self._is_good(present):
            metadata = present["metadata"]
            annotations = {**(metadata.get("annotations") or {}), DESCRIPTION_KEY: DESCRIPTION}
            changed = {**present, "metadata": {**metadata, "annotations": annotations}, "data": dict(self._data)}
            changed.pop("binaryData", None)
            await self.client.update(CONFIGMAPS, changed)
        return None

    def _is_good(self, present: Object) -> bool:
        annotations = present["metadata"].get("annotations") or {}
        whole = present.get("data") == self._data and not present.get("binaryData")
        return whole and annotations.get(DESCRIPTION_KEY) == DESCRIPTION

    async def _create(self, namespace: str) -> None:
        metadata = {"name": NAME, "namespace": namespace, "annotations": {DESCRIPTION_KEY: DESCRIPTION}}
        config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(self._data)}
        try:
            await self.client.create(CONFIGMAPS, config_map)
        except ApiError as error:
            namespace_is_going = error.code in (403, 404)
            if error.reason != "AlreadyExists" and not namespace_is_going:
                raise
