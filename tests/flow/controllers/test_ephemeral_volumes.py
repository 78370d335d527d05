"""Claims that are made for a pod's own volumes, and end with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from picluster.api.errors import ApiError
from picluster.api.resources import PERSISTENT_VOLUME_CLAIMS, PODS, SERVICE_ACCOUNTS
from picluster.client import Client

Eventually = Callable[..., Awaitable[Any]]
SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
TEMPLATE = {"metadata": {"labels": {"tier": "scratch"}, "annotations": {"note": "x"}}, "spec": SPEC}


async def found(client: Client, name: str) -> dict[str, Any] | None:
    try:
        return await client.get(PERSISTENT_VOLUME_CLAIMS, name, namespace="default")
    except ApiError as error:
        assert error.code == 404
        return None


@pytest.mark.usefixtures("controllers")
async def test_claims_come_and_go_with_their_pod(client: Client, eventually: Eventually) -> None:
    async def admitted() -> bool:
        return any(one["metadata"]["name"] == "default" for one in (await client.list(SERVICE_ACCOUNTS))["items"])

    await eventually(admitted)
    foreign = {"metadata": {"name": "web-taken", "namespace": "default"}, "spec": SPEC}
    await client.create(PERSISTENT_VOLUME_CLAIMS, foreign)
    volumes = [{"name": name, "ephemeral": {"volumeClaimTemplate": TEMPLATE}} for name in ("scratch", "taken")]
    containers = [{"name": "web", "image": "web"}]
    body = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"containers": containers, "volumes": volumes}}
    pod = await client.create(PODS, body)
    await client.delete(PERSISTENT_VOLUME_CLAIMS, "web-taken", namespace="default")
    for name in ("web-scratch", "web-taken"):
        await eventually(lambda name=name: found(client, name))
    claim = await found(client, "web-scratch")
    assert claim is not None
    metadata = claim["metadata"]
    assert metadata["labels"] == {"tier": "scratch"} and metadata["annotations"]["note"] == "x"
    [owner] = metadata["ownerReferences"]
    assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (pod["metadata"]["uid"], True, True)
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    await client.delete(PODS, "web", namespace="default", grace_period_s=0)

    async def gone() -> bool:
        return await found(client, "web-scratch") is None

    await eventually(gone)
