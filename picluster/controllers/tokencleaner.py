"""Bootstrap tokens whose time is over are deleted (``pkg/controller/bootstrap/tokencleaner.go`` of Kubernetes)."""

from __future__ import annotations

from picluster.api import bootstraptoken
from picluster.api.errors import ApiError
from picluster.api.meta import parse_time
from picluster.api.resources import SECRETS
from picluster.runtime import Controller, Manager


class TokenCleaner(Controller):
    name = "token-cleaner"
    workers = 1

    def setup(self, manager: Manager) -> None:
        self._secrets = manager.informer(
            SECRETS, namespace=bootstraptoken.NAMESPACE, field_selector=f"type={bootstraptoken.SECRET_TYPE}"
        )
        self._secrets.add_handler(self.enqueue)

    async def reconcile(self, key: str) -> float | None:
        secret = self._secrets.get(key)
        data = bootstraptoken.read(secret) if secret is not None else None
        if secret is None or data is None or not data.get("expiration"):
            return None
        if not bootstraptoken.expired(data, self.clock.now()):
            return max(0.0, parse_time(data["expiration"]) - self.clock.now())
        metadata = secret["metadata"]
        try:
            await self.client.delete(SECRETS, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"])
        except ApiError as error:
            if error.code not in (404, 409):
                raise
        return None
