"""Service accounts from their first to their last moment, as conformance walks through it."""

from __future__ import annotations

import contextlib
from typing import Any

from picluster.api.errors import ApiError
from picluster.api.resources import SERVICE_ACCOUNTS
from picluster.client import Client, PatchType

WATCH_S = 10


async def test_the_life_of_a_service_account(client: Client) -> None:
    """[sig-auth] ServiceAccounts should run through the lifecycle of a ServiceAccount."""
    labels = {"test-serviceaccount-static": "true"}
    body = {"metadata": {"name": "life", "namespace": "default", "labels": labels}}
    made = await client.create(SERVICE_ACCOUNTS, body)
    patch = {"automountServiceAccountToken": False}
    patched = await client.patch(SERVICE_ACCOUNTS, "life", patch, namespace="default", kind=PatchType.STRATEGIC)
    assert patched["automountServiceAccountToken"] is False
    everywhere = await client.list(SERVICE_ACCOUNTS, label_selector="test-serviceaccount-static=true")
    assert [item["metadata"]["name"] for item in everywhere["items"]] == ["life"]
    await client.delete_collection(
        SERVICE_ACCOUNTS, namespace="default", label_selector="test-serviceaccount-static=true"
    )
    seen: list[str] = []
    version = made["metadata"]["resourceVersion"]
    events = client.watch(
        SERVICE_ACCOUNTS, namespace="default", label_selector="test-serviceaccount-static=true",
        resource_version=version, timeout_s=WATCH_S,
    )  # fmt: skip
    async with contextlib.aclosing(events):
        async for event in events:
            seen.append(event.type)
            if event.type == "DELETED":
                break
    assert seen == ["MODIFIED", "DELETED"]


async def test_a_service_account_is_updated(client: Client) -> None:
    """[sig-auth] ServiceAccounts should update a ServiceAccount."""
    secrets = [{"name": "s", "kind": "Secret", "namespace": "other", "uid": "u"}]
    body: dict[str, Any] = {"metadata": {"name": "changing", "namespace": "default"}, "secrets": secrets}
    made = await client.create(SERVICE_ACCOUNTS, body)
    assert made["secrets"] == [{"name": "s"}]
    updated = await client.update(SERVICE_ACCOUNTS, {**made, "automountServiceAccountToken": True})
    assert updated["automountServiceAccountToken"] is True
    try:
        await client.update(SERVICE_ACCOUNTS, made)
    except ApiError as error:
        assert error.code == 409
    else:
        raise AssertionError("an update of what has changed meanwhile went through")
