"""Service account tokens that are kept in Secrets: filled in, and taken away with their account.

Source: ``pkg/controller/serviceaccount/tokens_controller.go`` of Kubernetes. Nobody gets such a Secret by itself since
KEP-2799; whoever makes one of type ``kubernetes.io/service-account-token`` finds a token in it.
"""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from picluster.api.errors import ApiError
from picluster.api.resources import SECRETS, SERVICE_ACCOUNTS
from picluster.api.types import Object
from picluster.runtime import Controller, Manager

if TYPE_CHECKING:
    from picluster.pki.tokens import Signer

TYPE = "kubernetes.io/service-account-token"
NAME_KEY = "kubernetes.io/service-account.name"
UID_KEY = "kubernetes.io/service-account.uid"
ISSUER = "kubernetes/serviceaccount"
ACCOUNT = "account"
CLAIM_PREFIX = "kubernetes.io/serviceaccount/"


class TokensController(Controller):
    """Keys are those of Secrets. ``key`` is the file of the signing key; it is read when a token is made."""

    name = "legacy-serviceaccount-token-controller"
    workers = 1

    def __init__(self, key: Path, authority_pem: str) -> None:
        self._key = key
        self._authority = b64encode(authority_pem.encode()).decode()
        self._signer: Signer | None = None

    def setup(self, manager: Manager) -> None:
        self._secrets = manager.informer(SECRETS, field_selector=f"type={TYPE}")
        self._secrets.add_indexer(ACCOUNT, _account_key)
        self._accounts = manager.informer(SERVICE_ACCOUNTS, metadata_only=True)
        self._secrets.add_handler(self.enqueue)
        self._accounts.add_handler(self._on_account)

    def _on_account(self, old: Object | None, new: Object | None) -> None:
        some = new if new is not None else old
        assert some is not None
        metadata = some["metadata"]
        for secret in self._secrets.index(ACCOUNT, f"{metadata['namespace']}/{metadata['name']}"):
            self.queue.add(f"{secret['metadata']['namespace']}/{secret['metadata']['name']}")

    async def reconcile(self, key: str) -> float | None:
        secret = self._secrets.get(key)
        if secret is None:
            await self._forget(key)
            return None
        account = await self._account(secret)
        if account is None:
            await self._delete(secret)
        elif not secret["metadata"].get("deletionTimestamp"):
            await self._fill(secret, account)
        return None

    async def _account(self, secret: Object) -> Object | None:
        """The account that a Secret says, as it lives now."""
        metadata = secret["metadata"]
        annotations = metadata.get("annotations") or {}
        name = annotations.get(NAME_KEY)
        if not name:
            return None
        try:
            account = await self.client.get(SERVICE_ACCOUNTS, name, namespace=metadata["namespace"])
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        wanted = annotations.get(UID_KEY)
        return account if not wanted or wanted == account["metadata"]["uid"] else None

    async def _delete(self, secret: Object) -> None:
        metadata = secret["metadata"]
        try:
            await self.client.delete(SECRETS, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"])
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _fill(self, secret: Object, account: Object) -> None:
        metadata, data = secret["metadata"], dict(secret.get("data") or {})
        annotations = {**(metadata.get("annotations") or {}), UID_KEY: account["metadata"]["uid"]}
        data["ca.crt"] = self._authority
        data["namespace"] = b64encode(metadata["namespace"].encode()).decode()
        if not data.get("token"):
            data["token"] = b64encode(self._sign(secret, account).encode()).decode()
        if data != secret.get("data") or annotations != metadata.get("annotations"):
            filled = {**secret, "metadata": {**metadata, "annotations": annotations}, "data": data}
            await self.client.update(SECRETS, filled)

    def _sign(self, secret: Object, account: Object) -> str:
        if self._signer is None:
            from picluster.pki.tokens import Signer

            self._signer = Signer.load(self._key)
        namespace, name = account["metadata"]["namespace"], account["metadata"]["name"]
        return self._signer.sign({
            "iss": ISSUER,
            f"{CLAIM_PREFIX}namespace": namespace,
            f"{CLAIM_PREFIX}secret.name": secret["metadata"]["name"],
            f"{CLAIM_PREFIX}service-account.name": name,
            f"{CLAIM_PREFIX}service-account.uid": account["metadata"]["uid"],
            "sub": f"system:serviceaccount:{namespace}:{name}",
        })  # fmt: skip

    async def _forget(self, key: str) -> None:
        """Take a Secret that is gone out of the accounts that name it."""
        namespace, _, name = key.partition("/")
        for account in list(self._accounts.values()):
            if account["metadata"]["namespace"] != namespace:
                continue
            whole = await self.client.get(SERVICE_ACCOUNTS, account["metadata"]["name"], namespace=namespace)
            kept = [each for each in whole.get("secrets") or () if each.get("name") != name]
            if len(kept) != len(whole.get("secrets") or ()):
                await self.client.update(SERVICE_ACCOUNTS, {**whole, "secrets": kept})


def _account_key(secret: Object) -> str:
    metadata = secret["metadata"]
    return f"{metadata['namespace']}/{(metadata.get('annotations') or {}).get(NAME_KEY, '')}"
