"""What a board needs to know before it trusts anybody: ``kube-public/cluster-info``, signed by every good token.

Whoever holds a token can verify with it that the kubeconfig there (address and authority, no identity) is the cluster's
own. Sources: ``pkg/controller/bootstrap/bootstrapsigner.go`` and ``k8s.io/cluster-bootstrap/token/jws`` of Kubernetes.
"""

from __future__ import annotations

from picluster.api import bootstraptoken
from picluster.api.errors import ApiError
from picluster.api.resources import CONFIGMAPS, SECRETS
from picluster.api.types import Object
from picluster.runtime import Controller, Manager

NAMESPACE, NAME, KEY = "kube-public", "cluster-info", "kubeconfig"
PREFIX = "jws-kubeconfig-"


class BootstrapSigner(Controller):
    """There is one key: that of the ConfigMap. ``kubeconfig`` is published where nobody has put another."""

    name = "bootstrap-signer-controller"
    workers = 1

    def __init__(self, kubeconfig: str) -> None:
        self._kubeconfig = kubeconfig

    def setup(self, manager: Manager) -> None:
        self._tokens = manager.informer(
            SECRETS, namespace=bootstraptoken.NAMESPACE, field_selector=f"type={bootstraptoken.SECRET_TYPE}"
        )
        self._published = manager.informer(CONFIGMAPS, namespace=NAMESPACE, field_selector=f"metadata.name={NAME}")
        self._tokens.add_handler(self._on_change)
        self._published.add_handler(self._on_change)

    def _on_change(self, old: Object | None, new: Object | None) -> None:
        self.queue.add(f"{NAMESPACE}/{NAME}")

    async def background(self) -> None:
        self.queue.add(f"{NAMESPACE}/{NAME}")

    async def reconcile(self, key: str) -> float | None:
        present = self._published.get(key)
        kubeconfig = ((present or {}).get("data") or {}).get(KEY) or self._kubeconfig
        data = {KEY: kubeconfig, **self._signatures(kubeconfig)}
        if present is None:
            await self._create(data)
        elif {**_unsigned(present), **data} != (present.get("data") or {}):
            await self.client.update(CONFIGMAPS, {**present, "data": {**_unsigned(present), **data}})
        return None

    def _signatures(self, kubeconfig: str) -> dict[str, str]:
        signatures = {}
        for secret in self._tokens.values():
            data = bootstraptoken.read(secret)
            if data is None or data.get("usage-bootstrap-signing") != "true":
                continue
            if not bootstraptoken.expired(data, self.clock.now()):
                identity = data.get("token-id", "")
                signatures[f"{PREFIX}{identity}"] = bootstraptoken.sign(
                    kubeconfig, identity, data.get("token-secret", "")
                )
        return signatures

    async def _create(self, data: dict[str, str]) -> None:
        metadata = {"name": NAME, "namespace": NAMESPACE}
        try:
            await self.client.create(
                CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
            )
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise


def _unsigned(config_map: Object) -> dict[str, str]:
    """What is in the ConfigMap besides signatures."""
    return {key: value for key, value in (config_map.get("data") or {}).items() if not key.startswith(PREFIX)}
