"""Service accounts: every living namespace has one named ``default`` (``pkg/controller/serviceaccount``)."""

from __future__ import annotations

from picluster.api.errors import ApiError
from picluster.api.resources import NAMESPACES, SERVICE_ACCOUNTS
from picluster.api.types import Object
from picluster.runtime import Controller, Manager

DEFAULT = "default"


class ServiceAccountController(Controller):
    """Keys are namespaces' names."""

    name = "serviceaccount-controller"
    workers = 1

    def setup(self, manager: Manager) -> None:
        self._namespaces = manager.informer(NAMESPACES)
        self._accounts = manager.informer(SERVICE_ACCOUNTS, metadata_only=True)
        self._namespaces.add_handler(self.enqueue)
        self._accounts.add_handler(self._on_account)

    def _on_account(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None and old["metadata"]["name"] == DEFAULT:
            self.queue.add(old["metadata"]["namespace"])

    async def reconcile(self, key: str) -> float | None:
        namespace = self._namespaces.get(key)
        if namespace is None or namespace["metadata"].get("deletionTimestamp"):
            return None
        if self._accounts.get(f"{key}/{DEFAULT}") is not None:
            return None
        account: Object = {
            "apiVersion": SERVICE_ACCOUNTS.api_version,
            "kind": SERVICE_ACCOUNTS.kind,
            "metadata": {"name": DEFAULT, "namespace": key},
        }
        try:
            await self.client.create(SERVICE_ACCOUNTS, account)
        except ApiError as error:
            namespace_is_going = error.code in (403, 404)
            if error.reason != "AlreadyExists" and not namespace_is_going:
                raise
        return None
